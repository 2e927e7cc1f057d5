"""The eight networks written here against the authors' code: its state dicts find their places, its outputs return."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

pytest.importorskip("monai")

from authors_rule import arithmetic, assert_output_equals, ruled, seeded

from jointwrist.cli import main
from jointwrist.registry import create_model, model_spec
from jointwrist.weights.checkpoint import load_weights
from jointwrist.weights.official import load_official_state
from jointwrist_baselines.segmentation.umamba import UMambaBot, UMambaEnc

#: Of the authors' code: number of tensors in the state dict and a digest of their names and shapes; the same of the
#: second names it has for some tensors; the buffers that are ours to compute. Then an input size, and of the output the
#: shape, mean, deviation and 64 samples, all parameters being set by `rule`.
OFFICIAL = json.loads((Path(__file__).parent / "data" / "official.json").read_text())

#: PyTorch, and `arithmetic` of a machine with AVX-512, that give the recorded output of Swin-Unet.
AS_RECORDED = ("2.14", "4c03ffabb4f8966c")
#: How far the rounding of float32 may move its samples.
ROUNDING_OF_SWIN_UNET = 0.015


def digest(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def build(name):
    return create_model(name, img_size=OFFICIAL[name]["input"][-1] if model_spec(name).size_dependent else None)


def second_names(model):
    """Names of the authors' for tensors that have one already: their U-Mamba registers its encoder twice, and so on."""
    if not isinstance(model, (UMambaBot, UMambaEnc)):
        return {}
    first = list(model.state_dict())
    found = {f"decoder.{name}": name for name in first if name.startswith("encoder.")}
    for name in [*first, *found]:
        for position, part in enumerate((".conv.", ".norm.")):
            if part in name and "mamba_layers" not in name:
                found[name.replace(part, f".all_modules.{position}.")] = found.get(name, name)
    return found


def authors_state(name, model, state):
    """Tensors by the model's names, and all that a checkpoint of the authors' holds beside them."""
    twice = {official: state[own] for official, own in second_names(model).items()}
    return state | twice | {buffer: torch.zeros(12) for buffer in OFFICIAL[name]["unplaced"]}


@pytest.mark.parametrize("name", OFFICIAL)
def test_names_and_shapes_are_the_authors(name):
    with torch.device("meta"):
        model = build(name)
    tensors = [f"{key} {list(value.shape)}" for key, value in model.state_dict().items()]
    assert (len(tensors), digest(tensors)) == (OFFICIAL[name]["tensors"], OFFICIAL[name]["names"])
    aliases = [f"{official} {own}" for official, own in second_names(model).items()]
    assert (len(aliases), digest(aliases)) == (OFFICIAL[name]["aliases"], OFFICIAL[name]["alias_names"])


@pytest.mark.parametrize("name", OFFICIAL)
def test_outputs_equal_the_authors(name):
    """Swin-Unet's are reproduced to 3e-7 where float32 is rounded as when they were recorded.

    Its temperatures, by `rule`, magnify the logits up to a hundredfold in each of 46 blocks: a change of 1e-7 in the
    image, or a logarithm that rounds otherwise, moves the samples by up to 0.02. Where the machine rounds otherwise,
    float64 is the nearest to all roundings; a mask missing in one block, or a layer norm's epsilon of 1e-6 for 1e-5,
    makes the difference 0.06 or more.
    """
    expected, model = OFFICIAL[name], build(name).eval()
    assert load_official_state(model, authors_state(name, model, ruled(model))) == expected["unplaced"]
    image = torch.rand(expected["input"], generator=seeded("input"))
    here = (torch.__version__.rpartition(".")[0], arithmetic())
    rounded_otherwise = name == "swin_unet" and here != AS_RECORDED
    with torch.no_grad():
        output = model.double()(image.double()) if rounded_otherwise else model(image)
    assert_output_equals(output, expected, atol=ROUNDING_OF_SWIN_UNET if rounded_otherwise else 1e-4)


@pytest.mark.parametrize("name", ["ukan", "umamba_bot"])
def test_convert_takes_a_file_of_the_authors(name, tmp_path, capsys):
    torch.manual_seed(0)
    model = build(name).eval()
    torch.save({"model": authors_state(name, model, model.state_dict()), "epoch": 7}, tmp_path / "authors.pth")
    target = tmp_path / "ours.safetensors"
    assert main(["models", "convert", str(tmp_path / "authors.pth"), str(target), "--model", name]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"{name}: {target}"
    left_out = OFFICIAL[name]["unplaced"]
    assert rest == (
        [f"left out because the model has no counterpart for them: {', '.join(left_out)}"] if left_out else []
    )
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_weights(target)[0].eval()(image), model(image))
