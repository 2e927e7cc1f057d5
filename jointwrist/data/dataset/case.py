"""One radiograph of a dataset: the paths of its files, its entries in the tables, and functions that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy
from jointwrist.data.dataset.label_files import read_families, read_masks, read_scope, read_truth
from jointwrist.data.images import read_image
from jointwrist.data.sample import WristSample, as_right_hand
from jointwrist.errors import DataError
from jointwrist.ops.bits import bits_dtype


@dataclass(frozen=True)
class Case:
    """Paths and table entries of one radiograph; none of its image and label files has been read.

    Attributes:
        identifier: `PPPP_SSSS_L|R` or `EXT_PPPP_0001_L|R`.
        patient: Patient, with `EXT_` in front for images from outside the cohorts.
        side: "L" or "R".
        image: The radiograph.
        mask: Bone masks, or None.
        segmentation_split: Split of the segmentation task, or None if the radiograph is not in it.
        scores: Erosion score of each joint, `NOT_SCORED` where there is none.
        erosion_split: Split of the erosion task, or None if the radiograph is not in it.
        crops: Joint crops by joint index.
        boxes: (J, 4) float32 joint boxes (x0, y0, x1, y1), nan where a joint has none; or None.
        boxes_size: Height and width of the image on which the boxes were drawn, or None if unknown.
        spacing_mm: Pixel spacing in mm, or None if unknown.
        truth: File with its erosion pixels, known of a phantom or outlined by a reader, or None.
        anatomy: Bones and joints of its labels.
        further_scores: For each further score of the anatomy, the score of each joint; `NOT_SCORED` without one.
    """

    identifier: str
    patient: str
    side: str
    image: Path
    mask: Path | None
    segmentation_split: str | None
    scores: tuple[int, ...]
    erosion_split: str | None
    crops: Mapping[int, Path]
    boxes: np.ndarray | None
    boxes_size: tuple[int, int] | None
    spacing_mm: float | None
    truth: Path | None
    anatomy: Anatomy = WRIST
    further_scores: tuple[tuple[int, ...], ...] = ()

    @property
    def scored(self) -> bool:
        """Whether any joint has a score."""
        return any(score != NOT_SCORED for score in self.scores)


def load_sample(case: Case, right_hand: bool = True) -> WristSample:
    """Read image and labels of a case at the full size of the radiograph.

    Args:
        case: A case of `RamW600`.
        right_hand: Mirror left hands.

    Raises:
        DataError: A file is damaged, or masks and image differ in size; the message names the file.
    """
    image = read_image(case.image)
    size = image.shape
    bones = None if case.mask is None else read_masks(case.mask, size, case.anatomy)
    truth = {} if case.truth is None else read_truth(case.truth, size)
    sample = WristSample(
        identifier=case.identifier,
        patient=case.patient,
        side=case.side,
        image=image[None],
        bones=bones,
        scores=np.array(case.scores, np.int64),
        spacing_mm=case.spacing_mm,
        eroded=_with_doubt(truth, len(case.anatomy.joints)),
        healthy=truth.get("healthy"),
        boxes=radiograph_boxes(case, size),
        families=None if case.truth is None else read_families(case.truth),
        scope=None if case.truth is None else read_scope(case.truth),
        anatomy=case.anatomy,
        further_scores=np.array(case.further_scores, np.int64) if case.further_scores else None,
    )
    return as_right_hand(sample) if right_hand else sample


def _with_doubt(truth: Mapping[str, np.ndarray], joints: int) -> np.ndarray | None:
    """Return the bit map of eroded pixels, with those in doubt in the bit after the joint surfaces."""
    eroded, unsure = truth.get("eroded"), truth.get("unsure")
    if eroded is None or unsure is None or not unsure.any():
        return eroded
    dtype = bits_dtype(joints + 1, least=8)
    return eroded.astype(dtype) | (unsure.astype(dtype) << dtype.type(joints))


def load_crop(case: Case, joint: int, mirrored: bool = False) -> np.ndarray:
    """Read the released crop of one joint.

    Args:
        case: A case of `RamW600`.
        joint: Joint index.
        mirrored: Flip the crop left to right.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        DataError: The joint has no crop, or the file is damaged.
    """
    if joint not in case.crops:
        raise DataError(f"{case.identifier}: no crop of joint {joint}; check the folder with `jointwrist data check`")
    crop = read_image(case.crops[joint])
    return np.ascontiguousarray(crop[:, ::-1]) if mirrored else crop


def radiograph_boxes(case: Case, size: tuple[int, int]) -> np.ndarray | None:
    """Scale the joint boxes of a case to the size (height, width) of its image, in case the image was resized.

    Returns:
        (J, 4) float32 (x0, y0, x1, y1) in pixels, nan where a joint has none; or None without boxes.
    """
    if case.boxes is None or case.boxes_size is None:
        return case.boxes
    height, width = np.divide(size, case.boxes_size)
    return (case.boxes * [width, height, width, height]).astype(np.float32)
