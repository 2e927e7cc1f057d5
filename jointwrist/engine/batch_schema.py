"""Schema of the batches that tasks receive: keys, shapes, dtypes, ranges, and which keys may be absent.

A dataset item has the same keys without the leading batch dimension; PyTorch's default collation stacks tensors and
lists strings. `Task.prepare` turns the batch of a loader into the input of a network.

Sizes: B images or crops; S x S pixels of a loaded image (`detail_size`, or `image_size` if that is 0); M x M of loaded
masks (S in training, `image_size` in evaluation); N x N of the network (`image_size`); P x P of a crop
(`erosion.crop_size`). C bones and J joints of the anatomy: types and ranges are those of the wrist, whose bones and
joints fit into 16 and 8 bits; more need wider types (`jointwrist.ops.bits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NotRequired, TypedDict

import torch
from torch import Tensor

from jointwrist.anatomy import WRIST

#: Highest values in batches of wrists.
_BONE_BITS, _JOINT_BITS = 2 ** len(WRIST.bones) - 1, 2 ** (len(WRIST.joints) + 1) - 1
_HIGHEST_SCORE = WRIST.erosion.highest


@dataclass(frozen=True)
class TensorSpec:
    """Specification of a tensor in a batch, written `Annotated[Tensor, TensorSpec(...)]`.

    Attributes:
        shape: Sizes; a letter is the same size wherever it occurs in a batch.
        dtype: Data type.
        low: Smallest value.
        high: Largest value.
    """

    shape: tuple[int | str, ...]
    dtype: torch.dtype
    low: float
    high: float


_Flag = Annotated[Tensor, TensorSpec(("B",), torch.bool, 0, 1)]
_Inserted = Annotated[Tensor, TensorSpec(("B", "J"), torch.bool, 0, 1)]
_Further = Annotated[Tensor, TensorSpec(("B", "F", "J"), torch.int64, -1, float("inf"))]
_Pair = Annotated[Tensor, TensorSpec(("B",), torch.int64, -1, float("inf"))]


class CaseBatch(TypedDict):
    """Identifiers of the radiographs in a batch.

    Attributes:
        identifier: Case identifiers, `PPPP_SSSS_L|R` in RAM-W600.
        patient: Patient identifiers.
        side: "L" or "R", the hand on the radiograph; images are in right-hand orientation whatever it is.
    """

    identifier: list[str]
    patient: list[str]
    side: list[str]


class WristBatch(CaseBatch):
    """Whole radiographs, as the loaders of segmentation, foundation and joint tasks give them.

    Attributes:
        image: Radiographs, each stretched to [0, 1] by its own minimum and maximum.
        bones: Bone masks as a bit map (bit b is bone b); 0 where `has_bones` is False.
        eroded: Eroded pixels as a bit map (bit j is joint surface j, the bit after them pixels in doubt); 0 where
            `has_eroded` is False.
        scores: Erosion scores; -1 where a joint has none.
        further_scores: Scores of the anatomy's F further scores; -1 where a joint has none.
        has_bones: Whether the masks are known.
        has_eroded: Whether the eroded pixels are known.
        inserted: Joints into which an erosion was inserted (training with `radiographs`).
        pair: Number of the pair that a radiograph with inserted erosions forms with the next one of the batch, the same
            without them; -1 of other images.
    """

    image: Annotated[Tensor, TensorSpec(("B", 1, "S", "S"), torch.float32, 0, 1)]
    bones: Annotated[Tensor, TensorSpec(("B", "M", "M"), torch.int16, 0, _BONE_BITS)]
    eroded: Annotated[Tensor, TensorSpec(("B", "S", "S"), torch.uint8, 0, _JOINT_BITS)]
    scores: Annotated[Tensor, TensorSpec(("B", "J"), torch.int64, -1, _HIGHEST_SCORE)]
    further_scores: NotRequired[_Further]
    has_bones: _Flag
    has_eroded: _Flag
    inserted: NotRequired[_Inserted]
    pair: NotRequired[_Pair]


class SegmentationBatch(CaseBatch):
    """Batch for a segmentation network; `bones`, `eroded` and the flags of `WristBatch` are kept.

    Attributes:
        image: Radiographs at the network's size; augmentation may leave [0, 1] by its noise.
        masks: Bone masks, 0 or 1; all 0 where `has_bones` is False.
        scores: As in `WristBatch`.
        has_bones: As in `WristBatch`.
    """

    image: Annotated[Tensor, TensorSpec(("B", 1, "N", "N"), torch.float32, -1, 2)]
    masks: Annotated[Tensor, TensorSpec(("B", "C", "N", "N"), torch.float32, 0, 1)]
    scores: Annotated[Tensor, TensorSpec(("B", "J"), torch.int64, -1, _HIGHEST_SCORE)]
    has_bones: _Flag


class JointBatch(SegmentationBatch):
    """Batch for the joint network.

    Attributes:
        detail: The same radiographs at the size that joint crops are cut from.
        other: Index in the batch of the patient's other hand, -1 where it is not in the batch; None unless the network
            has the option `other_hand`.
        bones: As in `WristBatch`, warped like the image.
        eroded: As in `WristBatch`, warped like the image.
        further_scores: As in `WristBatch`.
        has_eroded: As in `WristBatch`; False unless eroded pixels supervise the training (`erosion.pixel_truth`).
        inserted: As in `WristBatch`.
        pair: As in `WristBatch`.
    """

    detail: Annotated[Tensor, TensorSpec(("B", 1, "S", "S"), torch.float32, -1, 2)]
    other: Annotated[Tensor, TensorSpec(("B",), torch.int64, -1, float("inf"))] | None
    bones: Annotated[Tensor, TensorSpec(("B", "M", "M"), torch.int16, 0, _BONE_BITS)]
    eroded: Annotated[Tensor, TensorSpec(("B", "S", "S"), torch.uint8, 0, _JOINT_BITS)]
    further_scores: NotRequired[_Further]
    has_eroded: _Flag
    inserted: NotRequired[_Inserted]
    pair: NotRequired[_Pair]


class CropBatch(CaseBatch):
    """Joint crops, as the loaders of the erosion task return them and a classifier receives them.

    Attributes:
        image: Crops, each stretched to [0, 1]; augmentation may leave the range by its noise.
        eroded: Eroded pixels, 0 or 1; 0 where `has_eroded` is False.
        has_eroded: Whether the eroded pixels are known.
        score: Erosion score; joints without one are not in the dataset.
        joint: Index of the joint surface.
    """

    image: Annotated[Tensor, TensorSpec(("B", 1, "P", "P"), torch.float32, -1, 2)]
    eroded: Annotated[Tensor, TensorSpec(("B", "P", "P"), torch.uint8, 0, 1)]
    has_eroded: _Flag
    score: Annotated[Tensor, TensorSpec(("B",), torch.int64, 0, _HIGHEST_SCORE)]
    joint: Annotated[Tensor, TensorSpec(("B",), torch.int64, 0, len(WRIST.joints) - 1)]


class ImageBatch(TypedDict):
    """Radiographs without labels, for pretraining.

    Attributes:
        identifier: Files, or names of phantoms.
        image: Radiographs, each stretched to [0, 1].
    """

    identifier: list[str]
    image: Annotated[Tensor, TensorSpec(("B", 1, "S", "S"), torch.float32, 0, 1)]


class HiddenBatch(TypedDict):
    """Batch for an encoder in pretraining.

    Attributes:
        identifier: As in `ImageBatch`.
        image: Radiographs at the network's size.
        hidden: Pixels that are hidden from the encoder.
    """

    identifier: list[str]
    image: Annotated[Tensor, TensorSpec(("B", 1, "N", "N"), torch.float32, -1, 2)]
    hidden: Annotated[Tensor, TensorSpec(("B", 1, "N", "N"), torch.bool, 0, 1)]
