"""Reader of the RAM-W600 release as it is published (arXiv 2507.05193), and of folders in the same layout."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointwrist.anatomy import BONE_NAMES, NOT_SCORED, NUM_BONES, NUM_JOINTS, joint_index
from jointwrist.data import layout
from jointwrist.data.arrays import read_npy, read_npz
from jointwrist.data.faults import Fault, Report, refuse
from jointwrist.data.images import read_image
from jointwrist.data.layout import SPLITS, Identifier, parse_identifier
from jointwrist.data.sample import WristSample, as_right_hand, pack_masks
from jointwrist.data.tables import read_boxes, read_scores, read_spacings
from jointwrist.errors import DataError

__all__ = ["Case", "Identifier", "Release", "load_crop", "load_sample", "parse_identifier", "read_masks", "read_truth"]

_UNSCORED = (NOT_SCORED,) * NUM_JOINTS


@dataclass(frozen=True)
class Case:
    """What a release has of one radiograph; nothing of it has been read but the tables.

    Attributes:
        identifier: `PPPP_SSSS_L|R` or `EXT_PPPP_0001_L|R`.
        patient: Patient, with `EXT_` in front for images from outside the cohorts.
        side: "L" or "R".
        image: The radiograph.
        mask: Bone masks, or None.
        segmentation_split: Split of the segmentation task, or None if the radiograph is not in it.
        scores: Six erosion scores, `NOT_SCORED` where there is none.
        erosion_split: Split of the erosion task, or None if the radiograph is not in it.
        crops: Joint crops by joint index.
        boxes: (6, 4) float32 joint boxes (x0, y0, x1, y1), nan where a joint has none; or None.
        boxes_size: Height and width of the image that the boxes were drawn on, or None if that is not stated.
        spacing_mm: Pixel spacing in mm, or None if unknown.
        truth: File with the pixels of its erosions, of a phantom or outlined by somebody, or None.
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


@dataclass(frozen=True)
class Release:
    """A folder in the released layout.

    Attributes:
        root: The folder.
        cases: All radiographs, sorted by identifier.
    """

    root: Path
    cases: tuple[Case, ...]

    @classmethod
    def open(cls, root: str | Path, report: Report = refuse, splits: Collection[str] = SPLITS) -> Release:
        """List a folder and read its tables; no image is read. A table that is missing leaves its field empty.

        Args:
            root: The folder.
            report: What to do with faults; the default refuses the folder at the first error.
            splits: Those that are needed. Files of the others are listed, so that their patients are known, and their
                faults are not reported; neither are scores of radiographs that the folder has not got.

        Raises:
            DataError: There is no such folder, it holds no radiographs, or `report` refused a fault.
        """
        root = Path(root)
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; get the data with `jointwrist data download` or `data phantom`")
        cases = _Listing(root, report, splits).cases()
        if not cases:
            raise DataError(
                f"{root}: holds no radiographs in {layout.MASK_IMAGES} or {layout.SCORE_IMAGES}; give the folder"
                " that holds BoneSegmentation"
            )
        return cls(root, cases)

    @property
    def is_phantom(self) -> bool:
        """Whether the radiographs are synthetic."""
        return (self.root / layout.TRUTH).is_dir()

    def segmentation(self, split: str) -> list[Case]:
        """Cases of one split of the segmentation task."""
        return [case for case in self.cases if case.segmentation_split == _known(split)]

    def erosion(self, split: str) -> list[Case]:
        """Scored cases of one split of the erosion task."""
        return [case for case in self.cases if case.erosion_split == _known(split) and case.scores != _UNSCORED]


def _known(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; splits are {', '.join(SPLITS)}")
    return split


def _ignore(fault: Fault) -> None:
    """Pass over a fault of what is not needed."""


class _Listing:
    """All files of a release by identifier."""

    def __init__(self, root: Path, report: Report, splits: Collection[str]):
        self.root, self.report, self.needed = root, report, splits
        self.images = self._images(layout.MASK_IMAGES)
        self.score_images = self._images(layout.SCORE_IMAGES)
        self.masks: dict[str, Path] = {}
        self.mask_splits: dict[str, str] = {}
        self.crops: dict[str, dict[int, Path]] = {}
        self.crop_splits: dict[str, str] = {}
        for split in SPLITS:
            self._add_masks(split)
            self._add_crops(split)
        self.truths = {
            identifier: path
            for folder in (layout.EROSIONS, layout.TRUTH)
            for identifier, path in layout.list_files(root / folder, {".npz"}, report).items()
        }
        self.scores = self._scores()

    def cases(self) -> tuple[Case, ...]:
        """One case for every identifier that has an image."""
        images = {**self.score_images, **self.images}
        self._report_missing_images(images)
        boxes_file, metadata_file = self.root / layout.BOXES, self.root / layout.METADATA
        boxes = read_boxes(boxes_file, images, self.report) if boxes_file.is_file() else {}
        spacings = read_spacings(metadata_file, self.report) if metadata_file.is_file() else {}
        found = []
        for identifier, image in sorted(images.items()):
            parts = parse_identifier(identifier)
            found.append(
                Case(
                    identifier=identifier,
                    patient=parts.patient,
                    side=parts.side,
                    image=image,
                    mask=self.masks.get(identifier),
                    segmentation_split=self.mask_splits.get(identifier),
                    scores=self.scores.get(identifier, _UNSCORED),
                    erosion_split=self.crop_splits.get(identifier),
                    crops=self.crops.get(identifier, {}),
                    boxes=boxes[identifier].corners if identifier in boxes else None,
                    boxes_size=boxes[identifier].size if identifier in boxes else None,
                    spacing_mm=spacings.get(parts.stem),
                    truth=self.truths.get(identifier),
                )
            )
        return tuple(found)

    def _images(self, folder: Path) -> dict[str, Path]:
        found = layout.list_images(self.root / folder, self.report)
        return {identifier: path for identifier, path in found.items() if self._has_side(identifier, path, self.report)}

    @staticmethod
    def _has_side(identifier: str, path: Path, report: Report) -> bool:
        try:
            parse_identifier(identifier)
        except DataError as error:
            report(Fault("identifier without side", path, f"{error}; rename it"))
            return False
        return True

    def _add_masks(self, split: str) -> None:
        report = self._report_of(split)
        for identifier, path in layout.list_files(self.root / layout.MASKS / split, {".npy"}, report).items():
            if self._is_new(identifier, path, self.mask_splits, split):
                self.masks[identifier] = path
                self.mask_splits[identifier] = split

    def _add_crops(self, split: str) -> None:
        for folder in layout.list_folders(self.root / layout.CROPS / split):
            if self._is_new(folder.name, folder, self.crop_splits, split):
                self.crop_splits[folder.name] = split
                self.crops[folder.name] = self._joint_crops(folder, self._report_of(split))

    def _report_of(self, *splits: str) -> Report:
        """What to do with a fault that concerns some of the splits."""
        return self.report if set(splits) & set(self.needed) else _ignore

    def _is_new(self, identifier: str, path: Path, splits: dict[str, str], split: str) -> bool:
        if not self._has_side(identifier, path, self._report_of(split)):
            return False
        if identifier in splits:
            message = f"is in the {splits[identifier]} split as well; keep it in one"
            self._report_of(split, splits[identifier])(Fault("identifier in two splits", path, message))
            return False
        return True

    @staticmethod
    def _joint_crops(folder: Path, report: Report) -> dict[int, Path]:
        crops = {}
        for name, path in layout.list_images(folder, report).items():
            try:
                crops[joint_index(name)] = path
            except KeyError as error:
                report(Fault("unknown joint", path, f"{error.args[0]}; rename or remove the crop"))
        return crops

    def _scores(self) -> dict[str, tuple[int, ...]]:
        path = self.root / layout.SCORES
        if not path.is_file():
            return {}
        scores = read_scores(path, self.report)
        return {
            identifier: values for identifier, values in scores.items() if self._has_side(identifier, path, self.report)
        }

    def _report_missing_images(self, images: Mapping[str, Path]) -> None:
        for identifier in sorted(self.masks.keys() - images.keys()):
            message = f"has no image in {layout.MASK_IMAGES}; add the image or remove the mask"
            report = self._report_of(self.mask_splits[identifier])
            report(Fault("mask without image", self.masks[identifier], message))
        for identifier in sorted((self.scores.keys() | self.crops.keys()) - images.keys()):
            message = f"{identifier} has scores or crops but no image in {layout.SCORE_IMAGES}; add the image"
            # scores without crops are in no split: they are missed where all are needed
            splits = [self.crop_splits[identifier]] if identifier in self.crop_splits else SPLITS
            if set(splits) <= set(self.needed):
                self.report(Fault("score without image", self.root / layout.CROPS, message))


def load_sample(case: Case, right_hand: bool = True) -> WristSample:
    """Read a case at the size of its radiograph.

    Args:
        case: A case of `Release`.
        right_hand: Mirror left hands.

    Raises:
        DataError: A file is damaged, or masks and image do not fit each other; the message names the file.
    """
    image = read_image(case.image)
    size = image.shape
    bones = None if case.mask is None else read_masks(case.mask, size)
    truth = {} if case.truth is None else read_truth(case.truth, size)
    sample = WristSample(
        identifier=case.identifier,
        patient=case.patient,
        side=case.side,
        image=image[None],
        bones=bones,
        scores=np.array(case.scores, np.int64),
        spacing_mm=case.spacing_mm,
        eroded=truth.get("eroded"),
        healthy=truth.get("healthy"),
        boxes=radiograph_boxes(case, size),
    )
    return as_right_hand(sample) if right_hand else sample


def load_crop(case: Case, joint: int, mirrored: bool = False) -> np.ndarray:
    """Read the released crop of one joint.

    Args:
        case: A case of `Release`.
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


def read_masks(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Read (14, H, W) bone masks of any type; set pixels are 1 or 255. `size` None takes any height and width.

    Returns:
        (H, W) uint16 bit map, bit b for bone b.

    Raises:
        DataError: The file is damaged, has another shape than 14 masks of the image's size, or other values.
    """
    masks = read_npy(path)
    if masks.ndim != 3 or masks.shape[0] != NUM_BONES:
        message = f"masks are {masks.shape}, not ({NUM_BONES}, H, W); write all bones, along the first axis"
        refuse(Fault("wrong channel count", path, message))
    if size is not None and masks.shape[1:] != size:
        message = f"masks are {masks.shape[1:]} pixels (height, width), their image {size}; write them at its size"
        refuse(Fault("size mismatch", path, message))
    if masks.dtype.kind not in "buif":
        refuse(Fault("non-binary mask", path, f"values of type {masks.dtype}; store 0 and 1"))
    for bone, mask in zip(BONE_NAMES, masks, strict=True):
        top = mask.max()
        # unsigned values up to 1 are 0 and 1
        binary = (top <= 1 and mask.dtype.kind in "bu") or ((mask == 0) | (mask == top)).all()
        if top not in (0, 1, 255) or not binary:
            refuse(Fault("non-binary mask", path, f"{bone} has values other than 0 and 1; threshold the masks"))
    return pack_masks(masks)


def radiograph_boxes(case: Case, size: tuple[int, int]) -> np.ndarray | None:
    """Scale the joint boxes of a case to the size (height, width) of its image, which tools may have resized.

    Returns:
        (6, 4) float32 (x0, y0, x1, y1) in pixels, nan where a joint has none; or None without boxes.
    """
    if case.boxes is None or case.boxes_size is None:
        return case.boxes
    height, width = np.divide(size, case.boxes_size)
    return (case.boxes * [width, height, width, height]).astype(np.float32)


def read_truth(path: Path, size: tuple[int, int] | None) -> dict[str, np.ndarray]:
    """Read the pixels of the erosions of a radiograph, and what else a phantom knows of it.

    Returns:
        `eroded` (H, W) uint8, bit j for joint surface j, and `healthy` (H, W) uint16, bit b for bone b, if there.

    Raises:
        DataError: The file is damaged, or an array has another size than the image; `size` None takes any.
    """
    truth = read_npz(path, ("eroded", "healthy"))
    for name, array in truth.items():
        if size is not None and array.shape != size:
            refuse(
                Fault(
                    "size mismatch",
                    path,
                    f"{name} is {array.shape}, its image {size}; make the phantom or import the annotations again",
                )
            )
    return truth
