"""Runs that are bitwise repeatable, and the effect of bfloat16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jointwrist.engine.processes.session import open_accelerator
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.checkpoint import load_weights
from jointwrist.weights.find import find_weights
from tests import ranks

pytestmark = pytest.mark.trust

#: Three steps of all that draws at random: augmentation, order, reading processes, guidance by true masks.
STEPS = ("image_size=32", "detail_size=64", "options.roi_crop=32", "workers=1", "optim.epochs=1", "optim.batch_size=8")


def train(processes, data: Path, out: Path) -> dict[str, bytes]:
    """Weight files of a run in a process of its own."""
    command = ["train", "jointwrist_tiny", "--data", str(data), "-o", str(out), "--deterministic", "--set", *STEPS]
    assert ranks.start(processes, 1, ranks.command, command) == [0]
    return {path.name: path.read_bytes() for path in out.glob("*.safetensors")}


def test_the_same_seed_gives_the_same_bytes(processes, phantom_root, tmp_path):
    first, again = (train(processes, phantom_root, tmp_path / name) for name in ("first", "again"))
    assert set(first) == {"best.safetensors", "last.safetensors"}
    assert first == again


def test_an_operation_that_cannot_be_repeated_stops_a_deterministic_run():
    try:
        open_accelerator(deterministic=True)
        with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    finally:
        torch.use_deterministic_algorithms(False)


def test_bfloat16_changes_the_shipped_weights_answers_within_bounds():
    model = load_weights(find_weights("jointwrist_tiny"))[0]
    config = PhantomConfig(size=256, prevalence=0.4)
    image = torch.from_numpy(np.stack([make_wrist(5, index, config).image for index in range(4)]))
    with torch.no_grad():
        exact = model(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(image)
    masks, half_masks = (output.mask_logits > 0 for output in (exact, half))
    both = (masks & half_masks).sum((2, 3))
    assert (2 * both / (masks.sum((2, 3)) + half_masks.sum((2, 3)))).min() > 0.97
    erosion, half_erosion = (output.erosion_logits.float().sigmoid() for output in (exact, half))
    assert 0 < (erosion - half_erosion).abs().max() < 0.08
