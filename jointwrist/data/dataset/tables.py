"""Read the tables of the released layout: erosion scores, joint boxes, metadata and further scores."""

from __future__ import annotations

import csv
import json
import math
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy, Score
from jointwrist.data.dataset.layout import FURTHER_SCORES, identifier_in
from jointwrist.data.faults import Fault, Report, refuse
from jointwrist.data.spacing import parse_spacing
from jointwrist.readable import why_unreadable
from jointwrist.text import is_missing, whole_number

#: Limits on the size of a table; those of RAM-W600 have about 2 MB and 611 rows of 30 columns.
MAX_TABLE_BYTES = 2**25
MAX_ROWS, MAX_COLUMNS = 100_000, 256


def read_scores(path: Path, report: Report = refuse, anatomy: Anatomy = WRIST) -> dict[str, tuple[int, ...]]:
    """Read `JointBE_SvdH_GT.json`: `[{"identifier": ..., "joints": {name: score}}]`.

    Returns:
        Erosion scores by identifier, one per joint of the anatomy, `NOT_SCORED` for a joint without a score.
    """
    found: dict[str, tuple[int, ...]] = {}
    for number, row in enumerate(_read_json(path, list, report) or ()):
        match row:
            case {"identifier": str(identifier), "joints": dict(joints)}:
                if identifier in found:
                    report(Fault("duplicate identifier", path, f"{identifier} is scored twice; keep one entry"))
                    continue
                found[identifier] = _joint_scores(path, identifier, joints, report, anatomy, anatomy.erosion)
            case _:
                message = f"entry {number} has no identifier and joints; correct or remove it"
                report(Fault("unreadable table", path, message))
    return found


def read_further_scores(
    root: Path, report: Report = refuse, anatomy: Anatomy = WRIST
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Read the tables of the scores other than erosion, `narrowing.csv`: a column `identifier` and one per joint.

    Args:
        root: Folder of the dataset; a table that is not there scores nothing.
        report: Called with every fault.
        anatomy: Joints and scores.

    Returns:
        By identifier, for each further score, the score of each joint; `NOT_SCORED` where the cell is empty.
    """
    found: dict[str, list[tuple[int, ...]]] = {}
    for number, score in enumerate(anatomy.further_scores):
        path = root / f"{score.name}{FURTHER_SCORES}"
        for identifier, cells in _read_table(path, report):
            values = found.setdefault(identifier, [anatomy.unscored] * len(anatomy.further_scores))
            values[number] = _joint_scores(path, identifier, cells, report, anatomy, score)
    return {identifier: tuple(values) for identifier, values in found.items()}


def _read_table(path: Path, report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the identifier and the other cells of the rows of a CSV file; empty cells are None, numbers are int."""
    if not path.is_file():
        return
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError(f"it is larger than {MAX_TABLE_BYTES:,} bytes")
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(), restkey="more", restval=""))
    except (OSError, ValueError, csv.Error) as error:
        problem = why_unreadable(path) or f"cannot be read ({error}); correct or remove it"
        report(Fault("unreadable table", path, problem))
        return
    seen: set[str] = set()
    for number, row in enumerate(rows, 2):
        identifier = (row.pop("identifier", None) or "").strip()
        if not identifier or "more" in row:
            message = f"line {number} has no identifier, or more cells than the first line; correct or remove it"
            report(Fault("unreadable table", path, message))
        elif identifier in seen:
            report(Fault("duplicate identifier", path, f"{identifier} is scored twice; keep one line"))
        else:
            seen.add(identifier)
            texts = {name: "" if is_missing(text.strip()) else text.strip() for name, text in row.items()}
            numbers = {name: whole_number(text) for name, text in texts.items()}
            yield identifier, {n: t or None if numbers[n] is None else numbers[n] for n, t in texts.items()}


def _joint_scores(
    path: Path, identifier: str, joints: dict[str, Any], report: Report, anatomy: Anatomy, of: Score
) -> tuple[int, ...]:
    scores = list(anatomy.unscored)
    for name, score in joints.items():
        try:
            joint = anatomy.joint_index(name)
        except KeyError as error:
            report(Fault("unknown joint", path, f"{identifier}: {error.args[0]}"))
            continue
        if score is None:
            continue
        if joint not in of.joints:
            report(Fault("unknown joint", path, f"{identifier}: {name} is not scored for {of.name}; remove the score"))
            continue
        if isinstance(score, bool) or score not in of.values:
            message = f"{identifier}, {name}: score {score!r} is not one of 0 to {of.highest}"
            report(Fault("score out of range", path, message))
            continue
        if scores[joint] != NOT_SCORED:
            report(Fault("unknown joint", path, f"{identifier}: {name} is scored under two spellings; keep one"))
            continue
        scores[joint] = int(score)
    return tuple(scores)


class JointBoxes(NamedTuple):
    """Boxes of one radiograph.

    Attributes:
        corners: (J, 4) float32 (x0, y0, x1, y1) in pixels, nan for a joint without a box.
        size: Height and width of the image that the boxes were drawn on, or None if the file does not state it.
    """

    corners: np.ndarray
    size: tuple[int, int] | None


def read_boxes(
    path: Path, known: Collection[str], report: Report = refuse, anatomy: Anatomy = WRIST
) -> dict[str, JointBoxes]:
    """Read the joint boxes from a COCO file.

    Categories match any spelling of a joint; categories without boxes are ignored. Images that are not among the known
    identifiers are reported as warnings.

    Returns:
        Boxes by identifier.
    """
    content = _read_json(path, dict, report)
    if content is None:
        return {}
    try:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        sizes = {image["id"]: _image_size(image) for image in content["images"]}
        entries = [
            (entry["image_id"], entry["category_id"], entry["bbox"])
            for entry in content["annotations"]
            if entry["image_id"] in files
        ]
        joints = _match_categories(path, names, {category for _, category, _ in entries}, report, anatomy)
    except (KeyError, TypeError) as error:
        report(Fault("unreadable table", path, f"is not a COCO file ({error!r}); download it again"))
        return {}
    identifiers = {image: identifier_in(name, known) for image, name in files.items()}
    for image, identifier in identifiers.items():
        if identifier is None:
            message = f"describes {files[image]}, which is not in the folder"
            report(Fault("boxes without image", path, message, "warning"))
    found: dict[str, JointBoxes] = {}
    for image, category, box in entries:
        identifier, joint = identifiers[image], joints.get(category)
        if identifier is None or joint is None:
            continue
        empty = JointBoxes(np.full((len(anatomy.joints), 4), np.nan, np.float32), sizes[image])
        boxes = found.setdefault(identifier, empty).corners
        corners = _corners(box)
        if corners is None:
            report(Fault("wrong box", path, f"{identifier}: box {box!r} is not x, y, width, height; correct it"))
        elif not np.isnan(boxes[joint, 0]):
            message = f"{identifier}: two boxes for {names[category]}; the first is used"
            report(Fault("duplicate box", path, message, "warning"))
        else:
            boxes[joint] = corners
    return found


def _match_categories(
    path: Path, names: dict[Any, str], used: set[Any], report: Report, anatomy: Anatomy
) -> dict[Any, int]:
    joints = {}
    for category in sorted(used, key=str):
        try:
            joints[category] = anatomy.joint_index(names[category])
        except KeyError as error:
            report(Fault("unknown joint", path, f"category {category!r}: {error.args[0]}; rename it"))
    return joints


def _image_size(image: dict[str, Any]) -> tuple[int, int] | None:
    match image:
        case {"height": int(height), "width": int(width)} if height > 0 and width > 0:
            return height, width
    return None


def _corners(box: Any) -> list[float] | None:
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, (int, float)) for v in box):
        return None
    x, y, width, height = (float(v) for v in box)
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        return None
    return [x, y, x + width, y + height]


def read_spacings(path: Path, report: Report = refuse) -> dict[str, float | None]:
    """Read the pixel spacings of `Metadata.xlsx`.

    Returns:
        Spacing in mm by `Mapped Image Stem` (an identifier without its side), None where the row gives none.
    """
    try:
        rows = list(_read_rows(path, report))
    except Exception as error:  # a damaged workbook makes openpyxl raise anything
        report(Fault("unreadable table", path, f"damaged workbook ({error!r}); download it again"))
        return {}
    if not rows:
        return {}
    names = [str(name).strip() for name in rows[0]]
    missing = [name for name in ("Mapped Image Stem", "PixelSpacing") if name not in names]
    if missing:
        report(Fault("unreadable table", path, f"has no column {' and '.join(missing)} in its first row"))
        return {}
    stem_column, spacing_column = names.index("Mapped Image Stem"), names.index("PixelSpacing")
    found: dict[str, float | None] = {}
    for row in rows[1:]:
        stem = str(row[stem_column] or "").strip()
        if not stem:
            continue
        if stem in found:
            report(Fault("duplicate identifier", path, f"two rows for {stem}; the first is used", "warning"))
            continue
        found[stem] = parse_spacing(row[spacing_column])
        if found[stem] is None:
            message = f"{stem}: PixelSpacing {row[spacing_column]!r} is not a spacing in mm of square pixels"
            report(Fault("no pixel spacing", path, message, "warning"))
    return found


def _read_json(path: Path, kind: type, report: Report) -> Any:
    """Read a list or dict; report any fault and return None."""
    problem = f"is larger than {MAX_TABLE_BYTES:,} bytes; download it again"
    try:
        if path.stat().st_size <= MAX_TABLE_BYTES:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            if isinstance(content, kind):
                return content
            problem = f"is not a JSON {kind.__name__}; download it again"
    except (OSError, ValueError, RecursionError) as error:
        problem = why_unreadable(path) or f"is not valid JSON ({error}); download it again"
    report(Fault("unreadable table", path, problem))
    return None


def _read_rows(path: Path, report: Report) -> Iterator[tuple]:
    """Yield the rows of the first sheet of a workbook within the size limits."""
    from openpyxl import load_workbook

    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_TABLE_BYTES:
        message = f"{size:,} bytes uncompressed are more than the {MAX_TABLE_BYTES:,} allowed; download it again"
        report(Fault("unreadable table", path, message))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # styles and extensions that openpyxl drops
        book = load_workbook(path, read_only=True, data_only=True)
    try:
        yield from book.worksheets[0].iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True)
    finally:
        book.close()
