"""Export radiographs with their masks to annotation tools, for correction and re-import."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.label_files import read_masks, read_truth
from jointwrist.data.dataset.layout import parse_identifier
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.images import IMAGE_SUFFIXES, read_image, write_image
from jointwrist.data.importers.patient_table import COLUMNS
from jointwrist.data.mask_formats import coco, labelme, nifti, seg_nrrd
from jointwrist.data.mask_formats.layers import Layer, layers_of
from jointwrist.errors import DataError
from jointwrist.files import atomic, refuse_filled, whole_folder, write_text

#: Table of patients, sides, splits, spacings and scores, for `data import --table`.
TABLE = "table.csv"
INSTANCES = "instances.json"


@dataclass(frozen=True)
class DrawnRadiograph:
    """A radiograph and its masks, in the orientation of its file.

    Attributes:
        stem: Name of its files without extension.
        image: (H, W) float32 in [0, 1].
        picture: File of the radiograph to copy; None writes `image` as an 8-bit PNG.
        bones: (H, W) bit map.
        eroded: (H, W) bit map of erosions by joint surface, or None.
        spacing_mm: Pixel spacing, or None if unknown.
        row: Columns of the table besides `file` and `spacing_mm`.
    """

    stem: str
    image: np.ndarray
    picture: Path | None
    bones: np.ndarray
    eroded: np.ndarray | None = None
    spacing_mm: float | None = None
    row: Mapping[str, Any] = field(default_factory=dict)


class Export:
    """Write a folder of radiographs with their masks in one format; `finish` writes the files shared by all.

    Args:
        out: Folder, new or empty.
        kind: One of `FORMATS`.
        anatomy: Bones and joints of the radiographs.

    Raises:
        DataError: The folder holds files.
    """

    def __init__(self, out: Path, kind: str, anatomy: Anatomy = WRIST):
        refuse_filled(out)
        self.out, self._write, self.anatomy = out, FORMATS[kind], anatomy
        self.rows: list[dict[str, Any]] = []
        self.coco: list[coco.CocoImage] = []
        #: Whether the erosions of every radiograph are known.
        self.erosions = True

    def add(self, radiograph: DrawnRadiograph) -> None:
        """Write a radiograph and its masks.

        Raises:
            MissingExtraError: A package that the format needs is not installed.
        """
        name = self._copy(radiograph)
        self._write(self, radiograph, name, layers_of(radiograph.bones, radiograph.eroded, self.anatomy))
        self.erosions &= radiograph.eroded is not None
        self.rows.append({"file": name, "spacing_mm": radiograph.spacing_mm, **radiograph.row})

    def finish(self) -> None:
        """Write the table and, for COCO, the file of instances."""
        if self.coco:
            coco.write(self.out / INSTANCES, self.coco, self.erosions, self.anatomy)
        used = {key for row in self.rows for key, value in row.items() if value is not None}
        text = io.StringIO()
        columns = [name for name in (*COLUMNS, *self.anatomy.joint_names) if name in used]
        table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        write_text(self.out / TABLE, text.getvalue())

    def _copy(self, radiograph: DrawnRadiograph) -> str:
        if radiograph.picture is None or radiograph.picture.suffix.lower() not in IMAGE_SUFFIXES - {".npy"}:
            write_image(self.out / f"{radiograph.stem}.png", radiograph.image)
            return f"{radiograph.stem}.png"
        name = f"{radiograph.stem}{radiograph.picture.suffix.lower()}"
        with atomic(self.out / name) as temporary:
            shutil.copyfile(radiograph.picture, temporary)
        return name


def _coco(export: Export, radiograph: DrawnRadiograph, name: str, layers: Sequence[Layer]) -> None:
    export.coco.append(coco.CocoImage.of(name, radiograph.bones.shape, layers))


def _labelme(export: Export, radiograph: DrawnRadiograph, name: str, layers: Sequence[Layer]) -> None:
    labelme.write(export.out / f"{radiograph.stem}.json", name, layers, radiograph.bones.shape)


def _nifti(export: Export, radiograph: DrawnRadiograph, name: str, layers: Sequence[Layer]) -> None:
    nifti.write_radiograph(export.out / radiograph.stem, radiograph.image, radiograph.spacing_mm)
    nifti.write_folder(export.out / radiograph.stem, layers, radiograph.spacing_mm)


def _seg_nrrd(export: Export, radiograph: DrawnRadiograph, name: str, layers: Sequence[Layer]) -> None:
    seg_nrrd.write_radiograph(export.out / f"{radiograph.stem}.nrrd", radiograph.image, radiograph.spacing_mm)
    path = export.out / f"{radiograph.stem}{seg_nrrd.SUFFIX}"
    seg_nrrd.write(path, layers, radiograph.bones.shape, radiograph.spacing_mm)


#: Writer of the masks of one radiograph by format.
FORMATS: Mapping[str, Callable[[Export, DrawnRadiograph, str, Sequence[Layer]], None]] = {
    "coco": _coco,
    "labelme": _labelme,
    "nifti": _nifti,
    "seg.nrrd": _seg_nrrd,
}


def drawn_case(case: Case) -> DrawnRadiograph:
    """Read a case that has masks.

    Raises:
        DataError: A file is damaged, or masks and image differ in size.
    """
    image = read_image(case.image)
    size = image.shape
    parts = parse_identifier(case.identifier)
    scores = zip(case.anatomy.joint_names, case.scores, strict=True)
    return DrawnRadiograph(
        stem=case.identifier,
        image=image,
        picture=case.image,
        bones=read_masks(case.mask, size, case.anatomy),
        eroded=None if case.truth is None else read_truth(case.truth, size).get("eroded"),
        spacing_mm=case.spacing_mm,
        row={
            "patient": parts.patient,
            "study": parts.study,
            "side": parts.side,
            "split": case.segmentation_split,
            **{name: score for name, score in scores if score != NOT_SCORED},
        },
    )


def export_dataset(root: str | Path, out: str | Path, kind: str, split: str = "all") -> tuple[int, int]:
    """Write the radiographs of a dataset that have masks.

    Args:
        root: Folder in the released layout.
        out: Folder, new or empty.
        kind: One of `FORMATS`.
        split: "train", "val", "test" or "all".

    Returns:
        Numbers of radiographs written, and of those left out for lack of masks.

    Raises:
        DataError: `out` is not empty, no radiograph has masks, or a file of the dataset is damaged.
        MissingExtraError: A package that the format needs is not installed.
    """
    dataset = RamW600.open(root)
    chosen = [case for case in dataset.cases if split in ("all", case.segmentation_split or case.erosion_split)]
    cases = [case for case in chosen if case.mask is not None]
    if not cases:
        remedy = "draw them first" if split == "all" else "choose another split, or all"
        raise DataError(f"{root}: no radiographs with masks in {split}; {remedy}")
    refuse_filled(Path(out))
    with whole_folder(Path(out)) as folder:
        export = Export(folder, kind, dataset.anatomy)
        for case in tqdm(cases, desc="export", unit="radiograph", disable=None, leave=False):
            export.add(drawn_case(case))
        export.finish()
    return len(cases), len(chosen) - len(cases)
