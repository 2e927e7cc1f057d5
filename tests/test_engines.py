"""The two engines give one answer, and onnxruntime's needs no PyTorch; arrays are resampled as tensors are."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from test_imports import run

from jointwrist.cli import main
from jointwrist.data.images import write_image
from jointwrist.data.preprocess import normalise
from jointwrist.data.resample import enlarge_above, normalise_plane, resample
from jointwrist.errors import DataError
from jointwrist.inference.engines import program_cache
from jointwrist.inference.engines.onnx_network import OnnxNetwork
from jointwrist.inference.engines.program_parts import joints_part, split_program
from jointwrist.inference.engines.torch_network import usable_device
from jointwrist.inference.predictor import Predictor
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.find import SHIPPED

WEIGHTS = SHIPPED / "jointwrist_tiny.safetensors"
#: What `jointwrist predict` must not load for one radiograph.
HEAVY = (
    "torch", "torchvision", "timm", "kornia", "einops", "accelerate", "pandas", "matplotlib", "statsmodels", "sklearn",
    "numba", "huggingface_hub", "pydicom", "scipy.optimize", "tqdm",
)  # fmt: skip


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A wrist of known side as a picture."""
    wrist = make_wrist(5, 0, PhantomConfig(size=300, prevalence=0.5))
    path = tmp_path_factory.mktemp("film") / f"wrist_{wrist.side}.png"
    write_image(path, wrist.image[0])
    return path


def test_the_shipped_program_is_that_of_the_shipped_weights():
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    assert program_cache.open_program(WEIGHTS) is not None, (
        f"make it again: python -m jointwrist.inference.engines.program_cache {WEIGHTS}"
    )


def test_both_engines_give_one_answer(film, predictor):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    network = predictor(film).single()
    program = Predictor.from_pretrained("jointwrist_tiny", "cpu", engine="onnx")(film).single()
    assert len(network.bones) == 14 and network.scored.all()
    assert program.resolution == network.resolution and program.notes == network.notes
    np.testing.assert_allclose(program.probabilities, network.probabilities, atol=1e-4)
    np.testing.assert_array_equal(program.scores, network.scores)
    np.testing.assert_allclose(program.boxes, network.boxes, atol=0.01)
    np.testing.assert_allclose(program.heat_maps, network.heat_maps, atol=1e-2)
    for one, other in zip(program.masks, network.masks, strict=True):
        away = np.maximum(distance_transform_edt(other), distance_transform_edt(~other)) > 1.5
        np.testing.assert_array_equal(one[away], other[away])


def test_one_radiograph_is_predicted_without_pytorch_and_the_like(film, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    words = ["predict", str(film), "--device", "cpu", "-o", str(tmp_path)]
    done = run(f"import sys\nfrom jointwrist.cli import main\nassert main({words!r}) == 0", HEAVY)
    assert done.returncode == 0, done.stderr
    assert "14 of 14 bones" in done.stdout and (tmp_path / f"{film.stem}_overlay.png").is_file()


def test_a_program_is_found_by_the_content_of_its_weights(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    elsewhere = shutil.copy(WEIGHTS, tmp_path / "mine.safetensors")
    assert program_cache.open_program(elsewhere) is None
    kept = program_cache._cached(program_cache._read(elsewhere)[1])
    kept.parent.mkdir(parents=True)
    shutil.copy(WEIGHTS.with_suffix(".onnx"), kept)
    assert program_cache.open_program(elsewhere) is None, "its second part is not there"
    shutil.copy(joints_part(WEIGHTS.with_suffix(".onnx")), joints_part(kept))
    assert program_cache.open_program(elsewhere).weights == elsewhere
    content = bytearray(elsewhere.read_bytes())
    content[-1] ^= 1
    elsewhere.write_bytes(content)
    assert program_cache.open_program(elsewhere) is None
    # the program of other weights, beside them
    shutil.copy(kept, elsewhere.with_suffix(".onnx"))
    assert program_cache.open_program(elsewhere) is None
    kept.write_bytes(b"torn")
    assert program_cache.open_program(shutil.copy(WEIGHTS, tmp_path / "again.safetensors")) is None


def test_both_parts_of_a_program_give_the_answer_of_the_whole(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        make("Relu", ["image"], ["features"]), make("Neg", ["features"], ["mask_logits"]),
        make("Exp", ["image"], ["e"]), make("Add", ["features", "detail"], ["sum"]),
        make("Mul", ["sum", "mask_logits"], ["erosion_logits"]), make("Sub", ["sum", "e"], ["roi_boxes"]),
    ]  # fmt: skip
    inputs, outputs = ["image", "detail"], ["mask_logits", "erosion_logits", "roi_boxes"]
    floats = [[info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in names] for names in (inputs, outputs)]
    graph = onnx.helper.make_graph(nodes, "program", *floats)
    program = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    program = onnx.shape_inference.infer_shapes(program)
    described = {"model": "jointwrist_tiny", "task": "joint", "image_size": 3, "bones": [], "joints": []}
    onnx.helper.set_model_props(program, {"jointwrist": json.dumps(described)})
    whole, split = tmp_path / "whole.onnx", tmp_path / "split.onnx"
    onnx.save(program, whole)
    onnx.save(program, split)
    split_program(split, "jointwrist")
    one, other = OnnxNetwork(whole), OnnxNetwork(split)
    assert (other.names, other.inputs, other.shapes) == (outputs, inputs, one.shapes)
    given = np.random.default_rng(0).normal(size=(2, 1, 3)).astype(np.float32)
    for a, b in zip(one.run(*given), other.run(*given), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(other.segment(given[0]), one.run(*given)[0][0])
    assert "Exp" not in {node.op_type for node in onnx.load(split).graph.node}
    shutil.copy(joints_part(WEIGHTS.with_suffix(".onnx")), joints_part(split))
    with pytest.raises(DataError, match="belongs to another program"):
        OnnxNetwork(split)


@pytest.mark.slow
def test_a_program_is_made_once(tmp_path, monkeypatch, film):
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mine = shutil.copy(WEIGHTS, tmp_path / "mine.safetensors")
    assert main(["predict", str(film), "-w", str(mine), "--engine", "onnx", "-o", str(tmp_path / "out")]) == 0
    monkeypatch.setattr(program_cache, "write_program", lambda *_: pytest.fail("made again"))
    assert main(["predict", str(film), "-w", str(mine), "--engine", "onnx", "-o", str(tmp_path / "out")]) == 0


def test_arguments_that_do_not_go_together_are_refused():
    with pytest.raises(DataError, match="run by onnxruntime, not by PyTorch"):
        Predictor.from_pretrained(WEIGHTS.with_suffix(".onnx"), engine="torch")
    with pytest.raises(DataError, match="onnxruntime runs on the CPU here; leave device cuda:1 out"):
        Predictor.from_pretrained(WEIGHTS, "cuda:1", engine="onnx")
    with pytest.raises(ValueError, match="engines are auto, torch, onnx"):
        Predictor.from_pretrained(WEIGHTS, engine="tflite")


@pytest.mark.parametrize("name", ["nonsense", "", "cpu:x", "cuda:99", "meta", "xla", "privateuseone", "-1", "cuda,cpu"])
def test_a_device_that_is_not_there_is_one_line(name, film, tmp_path, capsys):
    with pytest.raises(DataError, match=r"cannot be used here \(.+\); `cpu` always can"):
        usable_device(name)
    assert main(["predict", str(film), f"--device={name}", "-o", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and said.out == "" and f"device {name}: " in said.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line():
    with pytest.raises(DataError, match="device cuda: cannot be used here"):
        usable_device("cuda")


@pytest.mark.parametrize("shape", [(61, 40), (30, 95), (200, 7), (1, 1), (61, 95)])
def test_arrays_are_resampled_as_tensors_are(shape):
    plane = np.random.default_rng(0).random((61, 95), dtype=np.float32)
    expected = F.interpolate(torch.from_numpy(plane)[None, None], shape, mode="bilinear", antialias=True)[0, 0]
    np.testing.assert_allclose(resample(plane, shape), expected, atol=2e-6)


@pytest.mark.parametrize("side", [20, 64, 100, 333])
@pytest.mark.parametrize("threshold", [-0.3, 0.5, 0.9, 2.0])
def test_a_plane_is_enlarged_as_a_tensor_is(side, threshold):
    rows, columns = np.mgrid[:64, :64]
    plane = np.cos(rows / 9) * np.sin(columns / 5 + 1) + 0.05 * np.random.default_rng(0).random((64, 64))
    plane = plane.astype(np.float32)
    expected = F.interpolate(torch.from_numpy(plane)[None, None], (side, side), mode="bilinear")[0, 0]
    sure = (expected - threshold).abs().numpy() > 1e-4
    found = enlarge_above(plane, side, threshold)
    np.testing.assert_array_equal(found[sure], (expected > threshold).numpy()[sure])
    assert sure.mean() > 0.99
    window = slice(side // 3, side), slice(5, side // 2)
    np.testing.assert_array_equal(enlarge_above(plane, side, threshold, window), found[window])


@pytest.mark.parametrize("plane", [[[0.0, 3.0], [1.0, 2.0]], [[5.0, 5.0]], [[-3e38, 3e38]], [[0.0, 1e-42]]])
def test_grey_is_stretched_as_a_tensor_is(plane):
    plane = np.array(plane, np.float32)
    np.testing.assert_allclose(normalise_plane(plane), normalise(torch.from_numpy(plane)), atol=1e-6)


def test_a_description_without_a_size_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
    program = onnx.load(WEIGHTS.with_suffix(".onnx"))
    for entry in program.metadata_props:
        if entry.key == "jointwrist":
            told = json.loads(entry.value)
            del told["image_size"]
            entry.value = json.dumps(told)
    onnx.save(program, tmp_path / "program.onnx")
    with pytest.raises(DataError, match="names no image_size"):
        Predictor.from_pretrained(tmp_path / "program.onnx")
