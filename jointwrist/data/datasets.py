"""Datasets that turn cases of the release into tensors for one task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from jointwrist.anatomy import NUM_JOINTS
from jointwrist.data.preprocess import prepare_image, resize_bits
from jointwrist.data.ram_w600 import Case, load_crop, load_sample
from jointwrist.data.sample import WristSample

#: Levels that a kept image distinguishes: 257 times as many as the released 8 bits.
_GREYS = 2**16 - 1


def sample_to_item(sample: WristSample, size: int) -> dict[str, object]:
    """Turn a sample in right-hand orientation into the item that batches are made of.

    Returns:
        image (1, S, S) float32; bones (S, S) int16 bit map, 0 without masks; eroded (S, S) uint8 bit map, 0 where
        unknown; scores (6,) int64; has_bones, has_eroded bool; identifier, patient and side.
    """

    def bits(array: np.ndarray | None, dtype: type[np.integer]) -> Tensor:
        if array is None or not array.any():
            return torch.from_numpy(np.zeros((1, 1), dtype)).expand(size, size)  # takes no memory
        return resize_bits(torch.from_numpy(array.astype(dtype, copy=False))[None], size)[0]

    return {
        "image": prepare_image(torch.from_numpy(sample.image)[None], size)[0],
        # 14 bones leave the sign of int16 alone
        "bones": bits(sample.bones, np.int16),
        "eroded": bits(sample.eroded, np.uint8),
        "has_bones": torch.tensor(sample.bones is not None),
        "has_eroded": torch.tensor(sample.eroded is not None),
        "scores": torch.from_numpy(np.asarray(sample.scores, np.int64)),
        "identifier": sample.identifier,
        "patient": sample.patient,
        "side": sample.side,
    }


class WristDataset(Dataset):
    """Whole radiographs in right-hand orientation, for segmentation and the joint network.

    Args:
        cases: Cases of the release.
        size: Side of the square image in pixels.
        cache: Keep items in memory after the first reading: 4 bytes a pixel, 5 with known erosions.
    """

    def __init__(self, cases: Sequence[Case], size: int, cache: bool = True):
        self.cases = list(cases)
        self.size = size
        self._items: list[dict | None] | None = [None] * len(self.cases) if cache else None

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, object]:
        item = None if self._items is None else self._items[index]
        if item is None:
            item = sample_to_item(load_sample(self.cases[index]), self.size)
            item["image"] = (item["image"] * _GREYS).round().to(torch.uint16)
            if self._items is not None:
                self._items[index] = item
        return {**item, "image": item["image"].float() / _GREYS}


class CropDataset(Dataset):
    """Released joint crops, for the erosion classifiers.

    Args:
        cases: Cases with scores and crops.
        size: Side of the square crop in pixels.
        mirror_left: Mirror the crops of left hands.
        cache: Keep crops in memory after the first reading.
    """

    def __init__(self, cases: Sequence[Case], size: int, mirror_left: bool = False, cache: bool = True):
        self.size = size
        self.mirror_left = mirror_left
        self.index = [
            (case, joint)
            for case in cases
            for joint in range(NUM_JOINTS)
            if case.scores is not None and case.scores[joint] >= 0 and joint in case.crops
        ]
        self._crops: list[Tensor | None] | None = [None] * len(self.index) if cache else None

    def __len__(self) -> int:
        return len(self.index)

    def score(self, index: int) -> int:
        """Return the erosion score of a crop without reading it."""
        case, joint = self.index[index]
        return case.scores[joint]

    def _crop(self, index: int) -> Tensor:
        case, joint = self.index[index]
        crop = load_crop(case, joint, mirrored=self.mirror_left and case.side == "L")
        return prepare_image(torch.from_numpy(np.ascontiguousarray(crop))[None, None], self.size)[0]

    def __getitem__(self, index: int) -> dict[str, object]:
        case, joint = self.index[index]
        if self._crops is None:
            crop = self._crop(index)
        else:
            if self._crops[index] is None:
                self._crops[index] = self._crop(index)
            crop = self._crops[index]
        return {
            "image": crop,
            "score": torch.tensor(case.scores[joint]),
            "joint": torch.tensor(joint),
            "identifier": case.identifier,
            "patient": case.patient,
            "side": case.side,
        }
