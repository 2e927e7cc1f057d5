"""The core works with PyTorch on a CPU: no import of an optional or heavy package where it is not needed."""

from __future__ import annotations

import subprocess
import sys

import apart

OPTIONAL = (
    "monai", "segmentation_models_pytorch", "transformers", "highdicom", "pylibjpeg", "mamba_ssm",
    "selective_scan_cuda", "causal_conv1d", "triton", "onnx", "onnxruntime", "onnxscript", "tensorboard", "submitit",
    "sklearn", "mambapy", "nibabel", "nrrd", "pycocotools",
)  # fmt: skip
#: Ordinary dependencies that prediction with a network needs as little as the extras.
UNNEEDED = ("pydicom", "matplotlib", "openpyxl")

#: Makes modules look as if they were not installed.
BLOCK = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.split(".")[0] in {blocked!r} else find(name, *rest)
"""


def run(code: str, blocked: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    code = BLOCK.format(blocked=set(blocked)) + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)


def test_import_loads_nothing():
    done = run("import jointwrist; assert not {'torch', 'numpy'} & set(sys.modules); print(jointwrist.__version__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".") == 2


def test_importing_annotations_needs_no_torch():
    code = "import sys, jointwrist.data.importers.annotated_dataset, jointwrist.data.importers.coco_annotations"
    done = run(f"{code}; assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_configuration_keys_are_checked_before_torch_is_loaded():
    commands = [["train", "unetpp", "--data=d"], ["finetune", "d"], ["pretrain"], ["evaluate", "w", "--data=d"]]
    code = f"""
import sys
from jointwrist.cli import main
for command in {commands}:
    assert main([*command, "--out", "o", "--set", "optim.epoch=5"]) == 2
assert "torch" not in sys.modules
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("jointwrist: unknown key optim.epoch; did you mean optim.epochs?") == 4


def test_the_block_blocks():
    assert "ModuleNotFoundError" in run("import monai", ("monai",)).stderr


def test_joint_network_predicts_without_optional_packages_and_others_name_theirs():
    code = """
import torch, jointwrist
assert "jointwrist_tiny" in jointwrist.list_models()
model = jointwrist.create_model("jointwrist_tiny")
predictor = jointwrist.Predictor(model, image_size=64, device="cpu", localise=False)
assert predictor(torch.rand(64, 64).numpy()).single().masks.shape == (14, 64, 64)
print("predicted")
jointwrist.create_model("unetpp")
"""
    done = run(code, OPTIONAL + UNNEEDED)
    assert done.returncode == 1 and done.stdout.split() == ["predicted"], done.stderr
    assert "pip install -e '.[baselines]'" in done.stderr


def test_unknown_attribute_is_an_attribute_error():
    assert "AttributeError" in run("import jointwrist; jointwrist.nothing").stderr


def test_public_names_exist(processes, tmp_path):
    code = "import jointwrist; [getattr(jointwrist, name) for name in jointwrist.__all__]; print(dir(jointwrist))"
    done = apart.fresh(processes, tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert "create_model" in done.stdout
