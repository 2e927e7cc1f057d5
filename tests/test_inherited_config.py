"""What a further training takes over from the weights that it starts from."""

from __future__ import annotations

import pytest

from jointwrist.config import build, to_dict
from jointwrist.engine.config.inherited_config import inherited_config
from jointwrist.engine.config.run_config import RunConfig

FIRST = {"model": "jointwrist_tiny", "task": "joint", "image_size": 64, "options": {"roi_crop": 32}}


@pytest.mark.parametrize(
    "last",
    [
        {"joint": {"trained": "erosion"}},
        {"joint": {"test_masks": "truth", "doubly_labelled": True}},
        {"erosion": {"weight": 0.0, "heat_map": 0.0, "shapes": 0.0}},
    ],
    ids=["frozen bones", "true masks", "no scores"],
)
def test_what_the_last_training_left_out_is_trained_again(last):
    stored = to_dict(build(RunConfig, {**FIRST, **last}))
    assert build(RunConfig, inherited_config(stored)) == build(RunConfig, FIRST)


def test_what_belongs_to_the_network_stays():
    values = {**FIRST, "erosion": {"weight": 0.5, "pixel_truth": True}, "joint": {"segmenter": "bones.safetensors"}}
    assert build(RunConfig, inherited_config(to_dict(build(RunConfig, values)))) == build(RunConfig, values)
