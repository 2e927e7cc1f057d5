"""Items of a dataset: the same whether read anew or cached, and small; and the datasets of a folder, one per task."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from jointwrist.data.batches.ram_w600_datasets import RamW600Erosion, RamW600Joint, RamW600Segmentation
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.layout import MASKS
from jointwrist.data.mask_resize import resize_bits
from jointwrist.data.preprocess import prepare_image, unpack_bits
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError

SIZE = 64


def test_items_are_the_same_read_anew_and_kept(dataset):
    cases = [case for case in dataset.cases if case.mask]
    kept, anew = WristDataset(cases, SIZE, cache=True), WristDataset(cases, SIZE, cache=False)
    for index, case in enumerate(cases):
        items = [kept[index], kept[index], anew[index]]
        for item in items[1:]:
            assert item.keys() == items[0].keys()
            for key, value in items[0].items():
                assert torch.equal(item[key], value) if isinstance(value, torch.Tensor) else item[key] == value
        sample = load_sample(case)
        exact = prepare_image(torch.from_numpy(sample.image)[None], SIZE)[0]
        assert (items[0]["image"] - exact).abs().max() < 1e-5
        truth = torch.from_numpy(unpack_masks(sample.bones).astype(np.uint8))
        for bone, mask in enumerate(unpack_bits(items[0]["bones"][None], 14)[0]):
            assert torch.equal(mask, resize_bits(truth[bone : bone + 1], SIZE)[0].float())
    assert sum(block.nbytes for block in kept._cache._blocks) == 4 * SIZE**2 * len(cases)
    eroded = [found.untyped_storage() for _, found in kept._cache._known.values()]
    assert {storage.nbytes() for storage in eroded} == {1, SIZE**2}
    assert len({storage.data_ptr() for storage in eroded if storage.nbytes() == 1}) == 1


def test_datasets_of_a_folder_hold_the_radiographs_of_their_split(dataset):
    for split in ("train", "val", "test"):
        segmentation = RamW600Segmentation(dataset.root, split, size=SIZE)
        assert [item["identifier"] for item in segmentation] == [
            case.identifier for case in dataset.cases if case.segmentation_split == split
        ]
        assert all(item["image"].shape == (1, SIZE, SIZE) and item["has_bones"] for item in segmentation)
        erosion = RamW600Erosion(dataset, split, size=32)
        scored = [case for case in dataset.cases if case.erosion_split == split]
        assert [int(item["score"]) for item in erosion] == [score for case in scored for score in case.scores]
    parts = [{item["patient"] for item in RamW600Joint(dataset, split, SIZE)} for split in ("train", "val", "test")]
    assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_an_empty_split_is_refused(dataset, tmp_path):
    root = shutil.copytree(dataset.root, tmp_path / "phantom")
    shutil.rmtree(root / MASKS / "val")
    with pytest.raises(DataError, match="no radiographs in val"):
        RamW600Segmentation(root, "val")
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        RamW600Joint(root, "dev")
