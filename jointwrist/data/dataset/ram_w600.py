"""Reader of the RAM-W600 dataset as it was released (arXiv 2507.05193), and of folders in the same layout."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy, shows_wrist
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.anatomy_file import folder_anatomy
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.listing import list_cases
from jointwrist.data.faults import Report, refuse
from jointwrist.errors import DataError

#: Name of the released data.
RELEASE = "RAM-W600"
#: Radiographs with masks, and with scores, in each split of the release.
RELEASED = {"train": (425, 559), "val": (69, 81), "test": (124, 160)}


@dataclass(frozen=True)
class RamW600:
    """A folder in the released layout.

    Attributes:
        root: The folder.
        cases: All radiographs, sorted by identifier.
        anatomy: Bones and joints of the labels.
    """

    root: Path
    cases: tuple[Case, ...]
    anatomy: Anatomy = WRIST

    @classmethod
    def open(
        cls,
        root: str | Path,
        report: Report = refuse,
        splits: Collection[str] = SPLITS,
        anatomy: Anatomy | None = None,
    ) -> RamW600:
        """List the files of a folder and read its tables, but no images. Fields of missing tables stay empty.

        Args:
            root: The folder.
            report: Called with every fault; the default raises at the first error.
            splits: Splits that are needed. Files of the others are listed, so that their patients are known, but their
                faults are not reported; nor are scores of radiographs that are missing from the folder.
            anatomy: Anatomy of the labels; None takes that of the folder's `anatomy.yaml`, or the wrist.

        Raises:
            DataError: There is no such folder, it holds no radiographs, its anatomy is another one or faulty, or
                `report` refused a fault.
            ValueError: A split is unknown.
        """
        if unknown := set(splits) - set(SPLITS):
            raise ValueError(f"unknown split {sorted(unknown)[0]!r}; splits are {', '.join(SPLITS)}")
        root = Path(root)
        if root.is_file():
            raise DataError(f"{root}: is a file; give the folder that holds BoneSegmentation")
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; get the data with `jointwrist data download` or `data phantom`")
        anatomy = folder_anatomy(root, anatomy)
        cases = list_cases(root, report, splits, anatomy)
        if not cases:
            raise DataError(
                f"{root}: holds no radiographs in {layout.MASK_IMAGES} or {layout.SCORE_IMAGES}; give the folder"
                " that holds BoneSegmentation"
            )
        return cls(root, cases, anatomy)

    @property
    def is_phantom(self) -> bool:
        """Whether the radiographs are synthetic."""
        return (self.root / layout.TRUTH).is_dir()

    @property
    def name(self) -> str:
        """Return "phantom", "RAM-W600" for the release as published, an anatomy other than the wrist, or the folder."""
        if self.is_phantom:
            return "phantom"
        if not shows_wrist(self.anatomy):
            return self.anatomy.name
        counts = {split: (len(self.segmentation(split)), len(self.erosion(split))) for split in SPLITS}
        return RELEASE if counts == RELEASED else self.root.resolve().name

    def segmentation(self, split: str) -> list[Case]:
        """Cases of one split of the segmentation task."""
        return [case for case in self.cases if case.segmentation_split == _known(split)]

    def erosion(self, split: str) -> list[Case]:
        """Scored cases of one split of the erosion task."""
        return [case for case in self.cases if case.erosion_split == _known(split) and case.scored]


def _known(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; splits are {', '.join(SPLITS)}")
    return split
