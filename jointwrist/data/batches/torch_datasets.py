"""PyTorch datasets that turn cases into tensors for one task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from jointwrist.data.batches.crop_erosions import crop_map, load_crop_erosion
from jointwrist.data.dataset.case import Case, load_crop, load_sample
from jointwrist.data.mask_resize import MaskRule, resize_bits
from jointwrist.data.preprocess import prepare_image
from jointwrist.data.sample import WristSample
from jointwrist.ops.bits import tensor_bits_dtype

#: Grey levels of a cached image: 257 times as many as the released 8 bits.
_GREYS = 2**16 - 1


def sample_to_item(
    sample: WristSample, size: int, mask_size: int | None = None, rule: MaskRule = "coverage"
) -> dict[str, object]:
    """Turn a sample in right-hand orientation into the item that batches are made of.

    Args:
        sample: The wrist.
        size: Side S of image and eroded pixels.
        mask_size: Side M of the bones; None takes `size`.
        rule: Rule for resizing masks; see `resize_bits`.

    Returns:
        image (1, S, S) float32; bones (M, M) bit map, int16 up to 15 bones, 0 without masks; eroded (S, S) bit map,
        uint8 up to 8 joints, 0 where unknown; scores (J,) int64; further_scores (F, J) int64 where the anatomy has
        some; has_bones, has_eroded bool; identifier, patient, side.
    """

    def bits(array: np.ndarray | None, dtype: np.dtype, side: int) -> Tensor:
        if array is None or not array.any():
            return _nothing(dtype, side)
        return resize_bits(torch.from_numpy(array.astype(dtype, copy=False))[None], side, rule)[0]

    image = prepare_image(torch.from_numpy(sample.image)[None], size)[0]
    bones = bits(sample.bones, _bones_dtype(sample), mask_size or size)
    eroded = bits(sample.eroded, _eroded_dtype(sample), size)
    return _item(image, bones, eroded, (sample.bones is not None, sample.eroded is not None), sample)


def _item(
    image: Tensor, bones: Tensor, eroded: Tensor, known: tuple[bool, bool], of: WristSample | Case
) -> dict[str, object]:
    further = {"further_scores": torch.tensor(np.array(of.further_scores))} if of.anatomy.further_scores else {}
    return {
        "image": image,
        "bones": bones,
        "eroded": eroded,
        "has_bones": torch.tensor(known[0]),
        "has_eroded": torch.tensor(known[1]),
        "scores": torch.from_numpy(np.array(of.scores, np.int64)),
        **further,
        "identifier": of.identifier,
        "patient": of.patient,
        "side": of.side,
    }


def _bones_dtype(of: WristSample | Case) -> np.dtype:
    return tensor_bits_dtype(len(of.anatomy.bones))


def _eroded_dtype(of: WristSample | Case) -> np.dtype:
    # one more than the joints, for pixels in doubt
    return tensor_bits_dtype(len(of.anatomy.joints) + 1, least=8)


def _nothing(dtype: np.dtype, size: int) -> Tensor:
    """Return an empty (S, S) bit map that takes no memory."""
    return torch.from_numpy(np.zeros((1, 1), dtype)).expand(size, size)


class WristDataset(Dataset):
    """Whole radiographs in right-hand orientation, for segmentation and the joint network.

    Args:
        cases: Cases of a dataset.
        size: Side of the square image in pixels.
        cache: Keep items in memory after the first reading: 4 bytes per pixel, 5 where erosions are known.
        mask_size: Side of the bone masks in pixels; None takes `size`.
        rule: Rule for resizing masks; see `resize_bits`.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size: int,
        cache: bool = True,
        mask_size: int | None = None,
        rule: MaskRule = "coverage",
    ):
        self.cases = list(cases)
        self.size, self.mask_size, self.rule = size, mask_size or size, rule
        self._cache = _Cache(self.cases, size, self.mask_size) if cache else None

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, object]:
        if self._cache is not None and index in self._cache:
            return self._cache[index]
        item = sample_to_item(load_sample(self.cases[index]), self.size, self.mask_size, self.rule)
        grey = item["image"].mul_(_GREYS).round_().to(torch.uint16)
        if self._cache is not None:
            self._cache.add(index, grey, item)
        return {**item, "image": _unit(grey)}


class _Cache:
    """Items cached in two large blocks of memory; the system provides pages only for the parts that are written.

    Cached one by one, as small tensors between the memory that reading takes and frees, items would fragment the heap
    and take nearly half as much again.
    """

    def __init__(self, cases: Sequence[Case], size: int, mask_size: int):
        self.cases, self.size, self.mask_size = cases, size, mask_size
        self._blocks: tuple[Tensor, Tensor] | None = None
        #: By index: whether there are masks, and the eroded pixels if known.
        self._known: dict[int, tuple[bool, Tensor | None]] = {}
        if self.cases:
            self._no_bones = _nothing(_bones_dtype(self.cases[0]), mask_size)
            self._no_erosion = _nothing(_eroded_dtype(self.cases[0]), size)

    def __contains__(self, index: int) -> bool:
        return index in self._known

    def __getitem__(self, index: int) -> dict[str, object]:
        masked, eroded = self._known[index]
        images, bones = self._blocks
        found = bones[index] if masked else self._no_bones, self._no_erosion if eroded is None else eroded
        return _item(_unit(images[index, None]), *found, (masked, eroded is not None), self.cases[index])

    def add(self, index: int, grey: Tensor, item: dict[str, object]) -> None:
        """Cache an item, whose image is given as (1, S, S) uint16."""
        if self._blocks is None:  # not earlier: each reading process allocates its own
            number, size, mask_size = len(self.cases), self.size, self.mask_size
            self._blocks = (
                torch.empty(number, size, size, dtype=torch.uint16),
                torch.empty(number, mask_size, mask_size, dtype=self._no_bones.dtype),
            )
        images, bones = self._blocks
        images[index, None] = grey
        masked, eroded = bool(item["has_bones"]), item["eroded"] if item["has_eroded"] else None
        if masked:
            bones[index] = item["bones"]
        if eroded is not None and eroded.untyped_storage().nbytes() == 1:
            eroded = self._no_erosion
        self._known[index] = masked, eroded


def _unit(grey: Tensor) -> Tensor:
    """Convert uint16 to float32 in [0, 1]."""
    return grey.float().div_(_GREYS)


class CropDataset(Dataset):
    """Joint crops for the erosion classifiers, with their eroded pixels where these are known.

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
            for joint in range(len(case.scores))
            if case.scores is not None and case.scores[joint] >= 0 and joint in case.crops
        ]
        self._crops: list[dict[str, Tensor] | None] | None = [None] * len(self.index) if cache else None

    def __len__(self) -> int:
        return len(self.index)

    def score(self, index: int) -> int:
        """Return the erosion score of a crop without reading it."""
        case, joint = self.index[index]
        return case.scores[joint]

    def _crop(self, index: int) -> dict[str, Tensor]:
        case, joint = self.index[index]
        mirrored = self.mirror_left and case.side == "L"
        crop = load_crop(case, joint, mirrored)
        eroded = load_crop_erosion(case, joint, crop.shape, mirrored)
        image = prepare_image(torch.from_numpy(np.ascontiguousarray(crop))[None, None], self.size)[0]
        return {"image": image, **crop_map(eroded, self.size)}

    def __getitem__(self, index: int) -> dict[str, object]:
        case, joint = self.index[index]
        if self._crops is None:
            crop = self._crop(index)
        else:
            if self._crops[index] is None:
                self._crops[index] = self._crop(index)
            crop = self._crops[index]
        return {
            **crop,
            "score": torch.tensor(case.scores[joint]),
            "joint": torch.tensor(joint),
            "identifier": case.identifier,
            "patient": case.patient,
            "side": case.side,
        }
