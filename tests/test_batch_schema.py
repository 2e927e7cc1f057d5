"""Batches of every task look as their schema says: keys, shapes, data types and ranges of real loaders."""

from __future__ import annotations

import typing

import pytest
import torch
from torch.utils.data import default_collate

from jointwrist.config import build, merge_trees
from jointwrist.engine.batch_schema import CropBatch, JointBatch, SegmentationBatch, TensorSpec, WristBatch
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task

AUGMENT = {"augment": {"affine_probability": 1.0, "gamma": 0.3, "noise": 0.02, "uneven": 0.5}}
STREAM = {"stream": {"wrists": 8, "options": {"prevalence": 0.5}}}
JOINT = {"model": "jointwrist_tiny", "task": "joint", "image_size": 32, "detail_size": 48}
CROPS = {"model": "mobilenet", "task": "erosion", "erosion": {"crop_size": 32}}
RUNS = {
    "segmentation": ({"model": "unet", "task": "segmentation", "image_size": 32}, WristBatch, SegmentationBatch),
    "foundation": ({"model": "sam_box", "task": "foundation", "image_size": 32}, WristBatch, SegmentationBatch),
    "joint": (JOINT, WristBatch, JointBatch),
    "joint, both hands": ({**JOINT, "options": {"other_hand": True}}, WristBatch, JointBatch),
    "joint, pixels": ({**JOINT, **STREAM, "erosion": {"pixel_truth": True}}, WristBatch, JointBatch),
    "crops": (CROPS, CropBatch, CropBatch),
    "crops, stream": (merge_trees(CROPS, STREAM), CropBatch, CropBatch),
}


def check(batch: dict, schema: type, exact: bool) -> None:
    """Hold a batch against its schema; with `exact`, it has no further keys."""
    hints, sizes = typing.get_type_hints(schema, include_extras=True), {}
    required = {name for name, hint in hints.items() if typing.get_origin(hint) is not typing.NotRequired}
    assert required <= batch.keys()
    assert not exact or batch.keys() <= hints.keys()
    for name, hint in hints.items():
        if name not in batch:
            continue
        value = batch[name]
        if typing.get_origin(hint) is typing.NotRequired:
            (hint,) = typing.get_args(hint)
        options = typing.get_args(hint)
        if type(None) in options:
            if value is None:
                continue
            hint = options[0]
        if hint == list[str]:
            assert all(type(entry) is str for entry in value), name
            assert sizes.setdefault("B", len(value)) == len(value), name
            continue
        spec = next(entry for entry in hint.__metadata__ if isinstance(entry, TensorSpec))
        assert value.dtype == spec.dtype and value.ndim == len(spec.shape), (name, value.dtype, value.shape)
        for wanted, size in zip(spec.shape, value.shape, strict=True):
            assert size == (sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted), (name, value.shape)
        assert spec.low <= value.min() and value.max() <= spec.high, (name, value.min(), value.max())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", RUNS)
def test_real_batches_match_their_schema(name, training, dataset):
    values, loaded, prepared = RUNS[name]
    config = build(RunConfig, {**values, **AUGMENT})
    data = load_run_data(config, dataset, ("train", "val"), training)
    dataset, task = data.train if training else data.val, build_task(config)
    batch = default_collate([dataset[index] for index in range(min(4, len(dataset)))])
    check(batch, loaded, exact=True)
    torch.manual_seed(0)
    batch = task.prepare(batch, training)
    check(batch, prepared, exact=False)
    if name == "joint, pixels" and training:
        assert batch["eroded"].any() and batch["has_eroded"].all()
    if name == "joint, both hands":
        assert batch["other"] is not None


def test_a_batch_that_differs_is_noticed():
    batch = {
        "image": torch.rand(2, 1, 8, 8),
        "eroded": torch.zeros(2, 8, 8, dtype=torch.uint8),
        "has_eroded": torch.zeros(2, dtype=torch.bool),
        "score": torch.tensor([0, 3]),
        "joint": torch.tensor([0, 5]),
        "identifier": ["a", "b"],
        "patient": ["a", "b"],
        "side": ["L", "R"],
    }
    check(batch, CropBatch, exact=True)
    for change in (
        {"image": torch.rand(2, 1, 8, 9)},
        {"image": torch.rand(2, 1, 8, 8).double()},
        {"score": torch.tensor([0, 6])},
        {"joint": torch.tensor([0, 1, 2])},
        {"further": torch.zeros(2)},
    ):
        with pytest.raises(AssertionError):
            check({**batch, **change}, CropBatch, exact=True)
