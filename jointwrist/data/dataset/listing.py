"""List the files of a dataset folder by radiograph, and report faults of names and splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.layout import SPLITS, parse_identifier
from jointwrist.data.dataset.tables import read_boxes, read_further_scores, read_scores, read_spacings
from jointwrist.data.faults import Fault, Report
from jointwrist.errors import DataError


def list_cases(root: Path, report: Report, splits: Collection[str], anatomy: Anatomy = WRIST) -> tuple[Case, ...]:
    """List the cases of a folder, sorted by identifier; no image or mask is read.

    Args:
        root: Folder in the released layout.
        report: Called with every fault.
        splits: Splits whose faults are reported.
        anatomy: Bones and joints of its labels.
    """
    return _Listing(root, report, splits, anatomy).cases()


def _ignore(fault: Fault) -> None:
    """Ignore a fault in a split that is not needed."""


class _Listing:
    """All files of a folder by identifier."""

    def __init__(self, root: Path, report: Report, splits: Collection[str], anatomy: Anatomy):
        self.root, self.report, self.needed, self.anatomy = root, report, splits, anatomy
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
        boxes = read_boxes(boxes_file, images, self.report, self.anatomy) if boxes_file.is_file() else {}
        further = read_further_scores(self.root, self.report, self.anatomy)
        unscored = (self.anatomy.unscored,) * len(self.anatomy.further_scores)
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
                    scores=self.scores.get(identifier, self.anatomy.unscored),
                    erosion_split=self.crop_splits.get(identifier),
                    crops=self.crops.get(identifier, {}),
                    boxes=boxes[identifier].corners if identifier in boxes else None,
                    boxes_size=boxes[identifier].size if identifier in boxes else None,
                    spacing_mm=spacings.get(parts.stem),
                    truth=self.truths.get(identifier),
                    anatomy=self.anatomy,
                    further_scores=further.get(identifier, unscored),
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
        """Return the function that reports a fault in any of these splits."""
        return self.report if set(splits) & set(self.needed) else _ignore

    def _is_new(self, identifier: str, path: Path, splits: dict[str, str], split: str) -> bool:
        if not self._has_side(identifier, path, self._report_of(split)):
            return False
        if identifier in splits:
            message = f"is in the {splits[identifier]} split as well; keep it in one"
            self._report_of(split, splits[identifier])(Fault("identifier in two splits", path, message))
            return False
        return True

    def _joint_crops(self, folder: Path, report: Report) -> dict[int, Path]:
        crops = {}
        for name, path in layout.list_images(folder, report).items():
            try:
                crops[self.anatomy.joint_index(name)] = path
            except KeyError as error:
                report(Fault("unknown joint", path, f"{error.args[0]}; rename or remove the crop"))
        return crops

    def _scores(self) -> dict[str, tuple[int, ...]]:
        path = self.root / layout.SCORES
        if not path.is_file():
            return {}
        scores = read_scores(path, self.report, self.anatomy)
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
            # scores without crops belong to no split: reported only if all splits are needed
            splits = [self.crop_splits[identifier]] if identifier in self.crop_splits else SPLITS
            if set(splits) <= set(self.needed):
                self.report(Fault("score without image", self.root / layout.CROPS, message))
