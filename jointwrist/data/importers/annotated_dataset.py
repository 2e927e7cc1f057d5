"""Annotated radiographs on disk, in the released layout of RAM-W600."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import BONE_NAMES, JOINTS, NOT_SCORED, RELEASE_JOINT_NAMES
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.images import IMAGE_SUFFIXES, read_image, write_image
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.identify import Entry, identify
from jointwrist.data.importers.outlined_erosions import draw_erosions
from jointwrist.data.importers.patient_table import Row
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.files import whole_folder, write_text
from jointwrist.ops.drawn_roi import drawn_boxes, drawn_regions

#: Shares of the patients in train, val and test, about those of RAM-W600.
SHARES = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        radiographs: Radiographs a split.
        patients: Number of patients.
        scored: Radiographs with erosion scores.
        missing: Radiographs that lack a bone, by the bone's name; only bones that some lack.
        eroded: Radiographs with erosions outlined at a joint surface, or None where nobody looked for them.
        elsewhere: Outlined erosions that lie at none of the six joint surfaces, and were left out.
        outlines: Number of polygons.
        through_centres: How many of them were taken to run through pixel centres.
        notes: What was left out or cut off, a sentence each.
    """

    radiographs: Mapping[str, int]
    patients: int
    scored: int
    missing: Mapping[str, int]
    eroded: int | None
    elsewhere: int
    outlines: int
    through_centres: int
    notes: Sequence[str]


class RadiographBoxes(NamedTuple):
    """Joint boxes of one radiograph.

    Attributes:
        file: The image's file name.
        size: Height and width of the image.
        corners: (6, 4) x0, y0, x1, y1, nan for a joint without a box.
    """

    file: str
    size: tuple[int, int]
    corners: np.ndarray


def write_dataset(
    radiographs: Sequence[AnnotatedRadiograph],
    out: str | Path,
    table: Sequence[Row] | None = None,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    allow_partial: bool = False,
) -> Imported:
    """Write radiographs, masks, outlined erosions and, where the table has them, scores with joint crops and spacings.

    Images are copied as they are. A patient is in one split only: in that of the table, else in one drawn at random.
    Joint crops are cut round the drawn bones, as the joint network cuts them.

    Args:
        radiographs: As from `read_coco` or `read_labelme`; may come from several files.
        out: Folder to write; must be empty or missing.
        table: As from `importers.table.read_table`; what it leaves empty is told by the names.
        shares: Shares of the patients in train, val and test.
        seed: Seed of the draw.
        allow_partial: Accept rows without a radiograph, and radiographs without a row.

    Raises:
        DataError: The folder is not empty, a patient or a side is not certain, two radiographs have one identifier, a
            patient is in two splits, or a radiograph and its annotation do not fit each other.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; import into a new folder")
    notes = [note for radiograph in radiographs for note in radiograph.notes]
    notes += [
        f"{radiograph.image}: nothing is drawn on it; left out"
        for radiograph in radiographs
        if not _drawn_on(radiograph)
    ]
    radiographs = [radiograph for radiograph in radiographs if _drawn_on(radiograph)]
    if not radiographs:
        raise DataError(f"{out}: not written, for the annotations describe no radiograph")
    entries = identify([radiograph.image for radiograph in radiographs], table, allow_partial, notes.append)
    _refuse_duplicates(radiographs, entries)
    splits = draw_splits(entries, shares, seed)
    missing: Counter[int] = Counter()
    boxes: list[RadiographBoxes] = []
    erosions: list[tuple[bool, int]] = []
    pictures: dict[bytes, tuple[Path, str]] = {}
    with whole_folder(out) as folder:
        progress = tqdm(radiographs, desc="import", unit="radiograph", disable=None, leave=False)
        for radiograph, entry in zip(progress, entries, strict=True):
            image = read_image(radiograph.image)
            patient = entry.identifier.patient
            other = pictures.setdefault(sha256(image.tobytes()).digest(), (radiograph.image, patient))
            if other[1] != patient:
                notes.append(
                    f"{radiograph.image}: shows the same picture as {other[0]}, of another patient; keep one of them"
                )
            masks = unpack_masks(radiograph.bones(image.shape, notes.append))
            split = splits[patient]
            missing.update(bone for bone, mask in enumerate(masks) if not mask.any())
            copy = _copy_image(radiograph.image, folder / layout.MASK_IMAGES, entry.name)
            _write_masks(folder / layout.MASKS / split / f"{entry.name}.npy", masks)
            drawn = draw_erosions(radiograph, masks, notes.append)
            if drawn is not None:
                erosions.append((bool(drawn[0].any()), drawn[1]))
                _write_erosions(folder / layout.EROSIONS / f"{entry.name}.npz", drawn[0])
            if max(entry.scores) != NOT_SCORED:
                _copy_image(radiograph.image, folder / layout.SCORE_IMAGES, entry.name)
                boxes.append(RadiographBoxes(copy.name, image.shape, _joint_boxes(masks, entry, radiograph.source)))
                _write_crops(folder / layout.CROPS / split / entry.name, image, boxes[-1].corners, entry.scores)
        _write_spacings(folder / layout.METADATA, entries)
        _write_scores(folder / layout.SCORES, entries)
        _write_boxes(folder / layout.BOXES, boxes)
    return Imported(
        radiographs={split: sum(splits[entry.identifier.patient] == split for entry in entries) for split in SPLITS},
        patients=len(splits),
        scored=len(boxes),
        missing={name: missing[bone] for bone, name in enumerate(BONE_NAMES) if missing[bone]},
        eroded=sum(eroded for eroded, _ in erosions) if erosions else None,
        elsewhere=sum(elsewhere for _, elsewhere in erosions),
        outlines=sum(len(radiograph.outlines) for radiograph in radiographs),
        through_centres=sum(outline.through_centres for radiograph in radiographs for outline in radiograph.outlines),
        notes=notes,
    )


def draw_splits(entries: Sequence[Entry], shares: Sequence[float] = SHARES, seed: int = 0) -> dict[str, str]:
    """Choose a split for every patient; those that the table gives stand.

    Every split gets a patient if its share is above 0 and there are as many patients to draw as splits.

    Raises:
        DataError: A patient is in two splits, or the shares are not three parts of one.
    """
    if len(shares) != len(SPLITS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f"shares {tuple(shares)} of train, val and test must be three numbers that add up to 1")
    chosen: dict[str, str] = {}
    for entry in entries:
        patient = entry.identifier.patient
        if entry.split and chosen.setdefault(patient, entry.split) != entry.split:
            raise DataError(f"patient {patient} is in {chosen[patient]} and {entry.split}; keep a patient in one split")
    rest = sorted({entry.identifier.patient for entry in entries} - chosen.keys())
    order = np.random.default_rng(seed).permutation(len(rest))
    # the largest remainders are rounded up, then every split with a share gets at least one
    exact = np.asarray(shares) * len(rest)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: len(rest) - counts.sum()]] += 1
    for split in np.flatnonzero((np.asarray(shares) > 0) & (counts == 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[split] += 1
    drawn = np.repeat(SPLITS, counts)
    return chosen | {rest[index]: str(split) for index, split in zip(order, drawn, strict=True)}


def _drawn_on(radiograph: AnnotatedRadiograph) -> bool:
    return bool(radiograph.regions or radiograph.erosions)


def _refuse_duplicates(radiographs: Sequence[AnnotatedRadiograph], entries: Sequence[Entry]) -> None:
    first: dict[str, Path] = {}
    for radiograph, entry in zip(radiographs, entries, strict=True):
        if first.get(entry.name) == radiograph.image:
            raise DataError(f"{radiograph.image}: is annotated twice; give one file that holds all of its bones")
        if entry.name in first:
            raise DataError(
                f"{radiograph.image} and {first[entry.name]} are both {entry.name}; give them other patients or studies"
                " in the table"
            )
        first[entry.name] = radiograph.image


def _copy_image(source: Path, folder: Path, name: str) -> Path:
    suffix = source.suffix.lower()
    if suffix not in IMAGE_SUFFIXES - {".npy"}:
        raise DataError(f"{source}: save it as BMP, PNG, JPEG or TIFF, with that ending")
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, folder / f"{name}{suffix}"))


def _write_masks(path: Path, masks: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, masks.astype(np.uint8), allow_pickle=False)


def _write_erosions(path: Path, eroded: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, eroded=eroded)


def _joint_boxes(masks: np.ndarray, entry: Entry, source: Path) -> np.ndarray:
    """Return (6, 4) whole-number boxes x0, y0, x1, y1 within the image, nan round joints whose bone was not drawn."""
    height, width = masks.shape[1:]
    boxes, valid = drawn_boxes(drawn_regions(masks).joint)
    for joint in JOINTS:
        if entry.scores[joint.index] != NOT_SCORED and not valid[joint.index]:
            raise DataError(
                f"{source}: {entry.name} has a score of {joint.name} but not its bone, or none of the bones that it"
                " meets; draw them or leave the score empty"
            )
    boxes = np.clip(np.round(boxes), 0, (width, height, width, height))
    return np.where(valid[:, None], boxes, np.nan)


def _write_crops(folder: Path, image: np.ndarray, boxes: np.ndarray, scores: Sequence[int]) -> None:
    for name, box, score in zip(RELEASE_JOINT_NAMES, boxes, scores, strict=True):
        if score != NOT_SCORED:
            x0, y0, x1, y1 = box.astype(int)
            write_image(folder / f"{name}.bmp", image[y0:y1, x0:x1])


def _write_scores(path: Path, entries: Sequence[Entry]) -> None:
    rows = []
    for entry in entries:
        scores = zip(RELEASE_JOINT_NAMES, entry.scores, strict=True)
        joints = {name: score for name, score in scores if score != NOT_SCORED}
        if joints:
            rows.append({"identifier": entry.name, "joints": joints})
    if rows:
        write_text(path, json.dumps(rows, indent=1))


def _write_boxes(path: Path, boxes: Sequence[RadiographBoxes]) -> None:
    images, annotations = [], []
    for image, (name, (height, width), corners) in enumerate(boxes, 1):
        images.append({"id": image, "file_name": name, "width": width, "height": height})
        for joint in np.flatnonzero(~np.isnan(corners[:, 0])).tolist():
            x0, y0, x1, y1 = corners[joint].tolist()
            box = [x0, y0, x1 - x0, y1 - y0]
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": joint + 1, "bbox": box})
    categories = [{"id": joint + 1, "name": name} for joint, name in enumerate(RELEASE_JOINT_NAMES)]
    if images:
        write_text(path, json.dumps({"images": images, "annotations": annotations, "categories": categories}, indent=1))


def _write_spacings(path: Path, entries: Sequence[Entry]) -> None:
    """Write one row a study, which is why both hands of one must have the same spacing."""
    spacings: dict[str, float] = {}
    for entry in entries:
        stem, spacing = entry.identifier.stem, entry.spacing_mm
        if spacing is not None and spacings.setdefault(stem, spacing) != spacing:
            raise DataError(f"study {stem} has spacings {spacings[stem]} and {spacing} mm; make two studies of it")
    if spacings:
        from openpyxl import Workbook

        book = Workbook()
        book.active.append(["Mapped Image Stem", "PixelSpacing"])
        for row in spacings.items():
            book.active.append(row)
        book.save(path)
