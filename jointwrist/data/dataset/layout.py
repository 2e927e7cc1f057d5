"""Folders, file names and identifiers of the released layout (RAM-W600, arXiv 2507.05193)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from jointwrist.data.faults import Fault, Report, refuse
from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.result_files import is_result
from jointwrist.errors import DataError

MASK_IMAGES = Path("BoneSegmentation", "images")
MASKS = Path("BoneSegmentation", "masks")
SCORE_IMAGES = Path("JointLocationDetection", "images")
BOXES = Path("JointLocationDetection", "Joints.coco.json")
CROPS = Path("SvdHBEScoreClassification")
SCORES = CROPS / "JointBE_SvdH_GT.json"
METADATA = Path("Metadata.xlsx")
#: Only in datasets of another anatomy than the wrist: its bones and joints.
ANATOMY = Path("anatomy.yaml")
#: Ending of the tables of scores other than erosion, such as `narrowing.csv`.
FURTHER_SCORES = ".csv"
#: Only in phantoms: the ground truth of each radiograph.
TRUTH = Path("PhantomTruth")
#: Only in imported datasets: the outlined erosions of each radiograph.
EROSIONS = Path("ErosionMasks")
SPLITS = ("train", "val", "test")

_IDENTIFIER = re.compile(r"(?P<patient>(EXT_)?[A-Za-z0-9-]+)_(?P<study>[A-Za-z0-9-]+)_(?P<side>[LR])")


def refuse_dataset_as_output(folder: Path) -> None:
    """Refuse a dataset as the folder of results.

    A training's model card would replace the dataset's README, and tables of results those of its scores.

    Raises:
        DataError: The folder holds a dataset.
    """
    if any(os.path.isdir(folder / part) for part in (MASK_IMAGES.parent, SCORE_IMAGES.parent, CROPS)):
        raise DataError(
            f"{folder}: holds a dataset, and results would replace its README.md or tables; choose another --out"
        )


def holds_labels(folder: Path) -> bool:
    """Whether a folder holds masks, crops or truths of a dataset, whose radiographs lie elsewhere in it."""
    for part in (MASKS, CROPS, TRUTH, EROSIONS):
        root = _root(folder, part)
        if root is not None and any((root / images).is_dir() for images in (MASK_IMAGES, SCORE_IMAGES)):
            return True
    return False


def images_read_instead(folder: Path) -> Path | None:
    """Return the folder of a dataset whose images take precedence over those of equal names in `folder`, or None."""
    root = _root(folder, SCORE_IMAGES)
    return root and root / MASK_IMAGES


def _root(folder: Path, part: Path) -> Path | None:
    """Return the dataset of which a folder is a part."""
    count = len(part.parts)
    return folder.parents[count - 1] if folder.parts[-count:] == part.parts else None


class Identifier(NamedTuple):
    """Parts of `PPPP_SSSS_L|R` or `EXT_PPPP_0001_L|R`.

    Attributes:
        patient: Patient, with `EXT_` in front for images from outside the cohorts.
        study: Study of the patient.
        side: "L" or "R".
    """

    patient: str
    study: str
    side: str

    @property
    def stem(self) -> str:
        """The identifier without its side, as in the metadata."""
        return f"{self.patient}_{self.study}"


def parse_identifier(text: str) -> Identifier:
    """Split an identifier into its parts.

    Raises:
        DataError: It is not an identifier, for example because the side is missing.
    """
    match = _IDENTIFIER.fullmatch(text)
    if not match or match["patient"] == "EXT":
        raise DataError(
            f"identifier {text!r} is not PATIENT_STUDY_L or _R (as in 0172_0003_L); the last character is the side"
        )
    return Identifier(match["patient"], match["study"], match["side"])


def identifier_in(file_name: str, known: Collection[str]) -> str | None:
    """Find the known identifier that a file name begins with; annotation tools append text to names."""
    stem = Path(file_name).stem
    if stem in known:
        return stem
    match = _IDENTIFIER.match(Path(file_name).name)
    return match[0] if match and match[0] in known else None


def list_files(
    folder: Path, suffixes: Collection[str], report: Report = refuse, skip: Callable[[Path], bool] = lambda _: False
) -> dict[str, Path]:
    """List the regular files of a folder with one of the endings, by stem; a missing folder is empty.

    Hidden files, and those for which `skip` returns True, are left out. Two files with the same stem are reported; the
    first in alphabetical order is used.
    """
    found: dict[str, Path] = {}
    for entry in _entries(folder):
        path = Path(entry.path)
        if path.suffix.lower() not in suffixes or not entry.is_file() or skip(path):
            continue
        if path.stem in found:
            message = f"has the same identifier as {found[path.stem].name}; keep one of them"
            report(Fault("duplicate identifier", path, message))
        else:
            found[path.stem] = path
    return found


def list_images(folder: Path, report: Report = refuse) -> dict[str, Path]:
    """List the images of a folder by stem, without overlays and masks of predictions that were written into it."""
    return list_files(folder, IMAGE_SUFFIXES - {".npy"}, report, is_result)


def list_folders(folder: Path) -> list[Path]:
    """List the visible folders in a folder; a missing folder is empty."""
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        yield from sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
