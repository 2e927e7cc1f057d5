"""The only writer of the released layout: images, bone masks, joint crops, erosion pixels and the three tables.

The phantom and the importers both write with it. `layout` names the folders, `ram_w600.RamW600` reads them again.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.anatomy_file import write_anatomy
from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.errors import DataError
from jointwrist.files import atomic, write_arrays, write_bytes, write_text


class Pixels(NamedTuple):
    """An image that is written as BMP.

    Attributes:
        values: (H, W) uint8.
        colour: Whether it is written with three equal channels.
    """

    values: np.ndarray
    colour: bool = False


@dataclass(frozen=True)
class ScoredRadiograph:
    """Entries of one radiograph in the tables of scores and boxes.

    Attributes:
        identifier: `PATIENT_STUDY_SIDE`.
        file_name: Name of its image.
        size: Height and width of the image.
        scores: Erosion score of each joint, `NOT_SCORED` where there is none.
        boxes: (J, 4) x0, y0, x1, y1 in pixels, nan for a joint without a box.
    """

    identifier: str
    file_name: str
    size: tuple[int, int]
    scores: Sequence[int]
    boxes: np.ndarray


class DatasetWriter:
    """Writes a dataset radiograph by radiograph; every file is written whole or not at all.

    Args:
        root: Folder to write to; made where it is missing.
        anatomy: Bones and joints of the labels, written into the folder too unless it is the wrist.
    """

    def __init__(self, root: str | Path, anatomy: Anatomy = WRIST) -> None:
        self.root, self.anatomy = Path(root), anatomy
        self._released = tuple(joint.released for joint in anatomy.joints)
        write_anatomy(self.root, anatomy)

    def add_masks(self, identifier: str, split: str, image: Path | Pixels, masks: np.ndarray) -> None:
        """Write a radiograph of the segmentation task.

        Args:
            identifier: `PATIENT_STUDY_SIDE`.
            split: "train", "val" or "test".
            image: File to copy, or pixels.
            masks: (C, H, W) bool, of every bone.
        """
        self._write_image(layout.MASK_IMAGES, identifier, image)
        buffer = io.BytesIO()
        np.save(buffer, masks.astype(np.uint8), allow_pickle=False)
        write_bytes(self.root / layout.MASKS / split / f"{identifier}.npy", buffer.getvalue())

    def add_scored(
        self,
        identifier: str,
        split: str,
        image: Path | Pixels,
        pixels: Pixels,
        scores: Sequence[int],
        boxes: np.ndarray,
    ) -> ScoredRadiograph:
        """Write a radiograph of the erosion task, and a crop of each scored joint.

        Args:
            identifier: `PATIENT_STUDY_SIDE`.
            split: "train", "val" or "test".
            image: File to copy, or pixels.
            pixels: Pixels from which the crops are cut.
            scores: Erosion score of each joint, `NOT_SCORED` where there is none.
            boxes: (J, 4) x0, y0, x1, y1; crops are cut by the rounded boxes. A scored joint must have one.

        Returns:
            Entries of the radiograph in the tables.
        """
        path = self._write_image(layout.SCORE_IMAGES, identifier, image)
        folder = self.root / layout.CROPS / split / identifier
        for name, score, box in zip(self._released, scores, boxes, strict=True):
            if score != NOT_SCORED:
                x0, y0, x1, y1 = np.round(box).astype(int)
                _save_bmp(folder / f"{name}.bmp", Pixels(pixels.values[y0:y1, x0:x1], pixels.colour))
        return ScoredRadiograph(identifier, path.name, pixels.values.shape, tuple(scores), boxes)

    def add_arrays(self, folder: Path, identifier: str, **arrays: np.ndarray) -> None:
        """Write the eroded pixels of a radiograph and further arrays as `folder/identifier.npz`.

        Args:
            folder: `layout.EROSIONS` or `layout.TRUTH`.
            identifier: `PATIENT_STUDY_SIDE`.
            **arrays: Arrays by name, such as `eroded`.
        """
        write_arrays(self.root / folder / f"{identifier}.npz", **arrays)

    def write_further(self, score: str, joints: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> None:
        """Write the table of a score other than erosion, with an empty cell where a joint has none.

        Args:
            score: Name of the score.
            joints: Names of the joints, J.
            rows: Identifier of each radiograph, and its (J,) scores.
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("identifier", *joints))
        for identifier, scores in rows:
            table.writerow((identifier, *("" if value == NOT_SCORED else value for value in scores)))
        write_text(self.root / f"{score}{layout.FURTHER_SCORES}", text.getvalue())

    def write_scores(self, scored: Sequence[ScoredRadiograph]) -> None:
        """Write the table of erosion scores."""
        entries = []
        for radiograph in scored:
            scores = zip(self._released, radiograph.scores, strict=True)
            joints = {name: score for name, score in scores if score != NOT_SCORED}
            entries.append({"identifier": radiograph.identifier, "joints": joints})
        self._write_json(layout.SCORES, entries)

    def write_boxes(self, scored: Sequence[ScoredRadiograph], areas: bool = False) -> None:
        """Write the joint boxes as COCO instances.

        Args:
            scored: Radiographs, numbered in this order.
            areas: Whether each box comes with its `area` and `iscrowd`, which COCO's own tools require.
        """
        images, annotations = [], []
        for number, radiograph in enumerate(scored, 1):
            height, width = radiograph.size
            images.append({"id": number, "file_name": radiograph.file_name, "width": width, "height": height})
            for joint in np.flatnonzero(~np.isnan(radiograph.boxes[:, 0])).tolist():
                x0, y0, x1, y1 = radiograph.boxes[joint].tolist()
                box = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": joint + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                }
                annotations.append(box | ({"area": (x1 - x0) * (y1 - y0), "iscrowd": 0} if areas else {}))
        categories = [{"id": joint + 1, "name": name} for joint, name in enumerate(self._released)]
        self._write_json(layout.BOXES, {"images": images, "annotations": annotations, "categories": categories})

    def write_metadata(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write the workbook of metadata, one row per study; `tables.read_spacings` reads two of its columns."""
        from openpyxl import Workbook

        book = Workbook()
        for row in (columns, *rows):
            book.active.append(list(row))
        buffer = io.BytesIO()
        book.save(buffer)
        write_bytes(self.root / layout.METADATA, buffer.getvalue())

    def _write_json(self, path: Path, content: object) -> None:
        write_text(self.root / path, json.dumps(content, indent=1))

    def _write_image(self, folder: Path, identifier: str, image: Path | Pixels) -> Path:
        if isinstance(image, Pixels):
            path = self.root / folder / f"{identifier}.bmp"
            _save_bmp(path, image)
            return path
        suffix = image.suffix.lower()
        if suffix not in IMAGE_SUFFIXES - {".npy"}:
            raise DataError(f"{image}: save it as BMP, PNG, JPEG or TIFF, with that ending")
        path = self.root / folder / f"{identifier}{suffix}"
        with atomic(path) as temporary:
            shutil.copyfile(image, temporary)
        return path


def _save_bmp(path: Path, pixels: Pixels) -> None:
    image = Image.fromarray(np.ascontiguousarray(pixels.values))
    buffer = io.BytesIO()
    (image.convert("RGB") if pixels.colour else image).save(buffer, format="BMP")
    write_bytes(path, buffer.getvalue())
