"""A model of one's own: CONTRIBUTING followed word for word, and what `models check` finds in faulty ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn

from benchmarks.run_all import main as run_all
from jointwrist import registry
from jointwrist.cli import main
from jointwrist.inference.check_model import check_model
from jointwrist.registry import ModelSpec, list_models, register_model
from jointwrist.weights.checkpoint import load_weights

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## A new model") :].partition("\n## ")[0]
CODE, COMMANDS = (re.search(rf"```{kind}\n(.*?)```", SECTION, re.DOTALL)[1] for kind in ("python", "sh"))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """Models that a test registers are gone after it."""
    list_models()
    for name in ("_SPECS", "_BUILDERS", "_RENAMED"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_contributing_followed_word_for_word_works(phantom_root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my_unet.py").write_text(CODE)
    check, benchmark, phantoms, train, predict = (shlex.split(line) for line in COMMANDS.splitlines())
    quick = ["image_size=32", "optim.epochs=1", "optim.batch_size=16"]

    def run(command: list[str], function, *further: str) -> None:
        for name in ("_SPECS", "_BUILDERS", "_RENAMED"):  # as in a process of its own
            getattr(registry, name).pop("my_unet", None)
        assert function([*command, *further]) == 0

    assert check[0] == phantoms[0] == train[0] == "jointwrist" and benchmark[:2] == ["python", "benchmarks/run_all.py"]
    run(check[1:], main)
    assert "2,190 trainable" in capsys.readouterr().out
    run(benchmark[2:], run_all, "--data", str(phantom_root), "--results", "results", "--set", *quick)
    (tables,) = Path("results").glob("*/README.md")
    assert "| `my_unet` | 2,190 |" in tables.read_text()
    run(phantoms[1:], main, "--wrists", "12", "--size", "96")
    run(train[1:], main, "--set", *quick)
    assert load_weights(Path("runs/my_unet/best.safetensors"))[1]["model"] == "my_unet"
    run(predict[1:], main)
    assert list(Path("predictions-my_unet").glob("*_masks.png"))


class Faulty(nn.Module):
    """A network with one fault, or none."""

    def __init__(self, fault: str):
        super().__init__()
        self.fault = fault
        self.layer = nn.Conv2d(1, 14, 1)
        self.scale = torch.rand(1)  # neither parameter nor buffer

    def forward(self, image):
        logits = self.layer(image)
        faults = {
            "sigmoid": lambda: logits.sigmoid(),
            "shape": lambda: logits[..., ::2],
            "mixes": lambda: logits - logits.mean(0),
            "detached": lambda: logits.detach().requires_grad_(),
            "unsaved": lambda: logits * (1 + self.scale),
            "list": lambda: [logits],
            "size": lambda: logits[..., :64, :64],
            "branches": lambda: logits if float(logits.detach().sum()) > 1e9 else -logits,
        }
        return faults.get(self.fault, lambda: logits)()


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        ("none", set()),
        ("count", {"parameters"}),
        ("sigmoid", {"forward"}),
        ("shape", {"forward", "sizes"}),
        ("mixes", {"images of a batch do not mix"}),
        ("detached", {"backward"}),
        ("unsaved", {"weight file"}),
        ("size", {"sizes"}),
        ("branches", {"export"}),
    ],
)
def test_every_fault_is_found_by_its_check(fault, failed):
    spec = ModelSpec("faulty", "segmentation", None, "-", "MIT", "-", 1 if fault == "count" else 28, 64)
    register_model(spec)(lambda: Faulty(fault))
    assert {check.name for check in check_model("faulty") if not check.passed} == failed


def test_a_faulty_plugin_is_named(tmp_path, capsys):
    broken, empty = tmp_path / "broken.py", tmp_path / "empty.py"
    broken.write_text("raise OSError('no such library')")
    empty.write_text("")
    assert main(["--plugin", str(broken), "models", "list"]) == 2
    assert "OSError: no such library" in capsys.readouterr().err
    assert main(["--plugin", str(empty), "models", "list"]) == 2
    assert "registers no model" in capsys.readouterr().err
    assert main(["models", "check", "sam_box"]) == 2
