"""Write annotated radiographs as a dataset in the released layout, and summarise what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.mask_alignment import misplaced
from jointwrist.data.dataset.writer import DatasetWriter, Pixels, ScoredRadiograph
from jointwrist.data.images import is_rotated, read_image
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.draw_splits import SHARES, draw_splits
from jointwrist.data.importers.identify import Entry, identify
from jointwrist.data.importers.outlined_erosions import draw_erosions
from jointwrist.data.importers.patient_table import Row
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.files import refuse_filled, whole_folder
from jointwrist.ops.drawn_roi import drawn_boxes, drawn_regions
from jointwrist.text import number_of


@dataclass(frozen=True)
class Imported:
    """Summary of an import.

    Attributes:
        radiographs: Number of radiographs per split.
        patients: Number of patients.
        scored: Number of radiographs with erosion scores.
        missing: Number of radiographs without a bone, by the bone's name; only bones that are missing somewhere.
        eroded: Number of radiographs with erosions outlined at a joint surface, or None if none was examined for them.
        elsewhere: Number of outlined erosions at no joint surface, which were left out.
        outlines: Number of polygons.
        through_centres: Number of polygons that were read as running through pixel centres.
        notes: Sentences about parts that were left out or cut off.
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


def write_dataset(
    radiographs: Sequence[AnnotatedRadiograph],
    out: str | Path,
    table: Sequence[Row] | None = None,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    allow_partial: bool = False,
    anatomy: Anatomy = WRIST,
) -> Imported:
    """Write radiographs, masks, outlined erosions and, where the table has them, scores with joint crops and spacings.

    Images are copied unchanged. Each patient is in one split, the table's or one drawn at random. Joint crops are cut
    around the drawn bones, as the joint network does.

    Args:
        radiographs: As from `read_coco` or `read_labelme`; may come from several files.
        out: Folder to write; must be empty or missing.
        table: As from `patient_table.read_table`; empty cells are filled from the file names.
        shares: Shares of the patients in train, val and test.
        seed: Seed of the draw.
        allow_partial: Accept rows without a radiograph, and radiographs without a row.
        anatomy: Bones and joints of radiographs and table.

    Raises:
        DataError: The folder is not empty, a patient or side is uncertain, an identifier is not unique, a patient is in
            two splits, or an annotation does not fit its radiograph.
    """
    out = Path(out)
    refuse_filled(out)
    notes = [note for radiograph in radiographs for note in radiograph.notes]
    notes += [
        f"{radiograph.image}: nothing is drawn on it; left out"
        for radiograph in radiographs
        if not _drawn_on(radiograph)
    ]
    radiographs = [radiograph for radiograph in radiographs if _drawn_on(radiograph)]
    if not radiographs:
        raise DataError(f"{out}: not written: the annotations describe no radiograph")
    entries = identify([radiograph.image for radiograph in radiographs], table, allow_partial, notes.append, anatomy)
    _refuse_duplicates(radiographs, entries)
    splits = draw_splits(entries, shares, seed)
    with whole_folder(out) as folder:
        writing = _Writing(DatasetWriter(folder, anatomy), splits, notes)
        progress = tqdm(radiographs, desc="import", unit="radiograph", disable=None, leave=False)
        for radiograph, entry in zip(progress, entries, strict=True):
            writing.add(radiograph, entry)
        writing.finish(entries)
    outlines = [outline for radiograph in radiographs for outline in radiograph.outlines]
    return Imported(
        radiographs={split: sum(splits[entry.identifier.patient] == split for entry in entries) for split in SPLITS},
        patients=len(splits),
        scored=len(writing.scored),
        missing={name: writing.missing[bone] for bone, name in enumerate(anatomy.bone_names) if writing.missing[bone]},
        eroded=sum(eroded for eroded, _ in writing.erosions) if writing.erosions else None,
        elsewhere=sum(elsewhere for _, elsewhere in writing.erosions),
        outlines=len(outlines),
        through_centres=sum(outline.through_centres for outline in outlines),
        notes=notes,
    )


class _Writing:
    """Write radiographs one by one, and count what is on them.

    Args:
        writer: Writes the files.
        splits: Split by patient.
        notes: Takes sentences about parts that were left out, cut off or should be looked at.

    Attributes:
        scored: Radiographs with erosion scores.
        missing: Number of radiographs without a bone, by the bone's index.
        erosions: Of each radiograph that was examined for erosions, whether one is outlined at a joint surface, and how
            many are outlined elsewhere.
    """

    def __init__(self, writer: DatasetWriter, splits: Mapping[str, str], notes: list[str]):
        self.writer, self.splits, self.notes, self.anatomy = writer, splits, notes, writer.anatomy
        self.scored: list[ScoredRadiograph] = []
        self.missing: Counter[int] = Counter()
        self.erosions: list[tuple[bool, int]] = []
        self._pictures: dict[bytes, tuple[Path, str]] = {}
        self._rotated: list[Path] = []

    def add(self, radiograph: AnnotatedRadiograph, entry: Entry) -> None:
        """Write a radiograph with its masks, outlined erosions and, if it is scored, joint crops.

        Raises:
            DataError: An annotation does not fit the radiograph, or a scored joint lacks its bones.
        """
        image = read_image(radiograph.image)
        split = self.splits[entry.identifier.patient]
        self._note_same_picture(radiograph.image, image, entry.identifier.patient)
        bits = radiograph.bones(image.shape, self.notes.append)
        masks = unpack_masks(bits, len(self.anatomy.bones))
        self._rotated += [radiograph.image] * is_rotated(radiograph.image)
        if where := misplaced(image, bits):
            self.notes.append(f"{radiograph.source}: the masks of {radiograph.image.name} {where}; look at them")
        self.missing.update(bone for bone, mask in enumerate(masks) if not mask.any())
        self.writer.add_masks(entry.name, split, radiograph.image, masks)
        drawn = draw_erosions(radiograph, masks, self.notes.append)
        if drawn is not None:
            self.erosions.append((bool(drawn[0].any()), drawn[1]))
            self.writer.add_arrays(layout.EROSIONS, entry.name, eroded=drawn[0])
        if max(entry.scores, default=NOT_SCORED) != NOT_SCORED:
            boxes = _joint_boxes(masks, entry, radiograph.source, self.anatomy)
            pixels = Pixels(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
            self.scored.append(self.writer.add_scored(entry.name, split, radiograph.image, pixels, entry.scores, boxes))

    def finish(self, entries: Sequence[Entry]) -> None:
        """Write the tables of pixel spacings, scores and boxes.

        Raises:
            DataError: A study has two pixel spacings.
        """
        if self._rotated:
            self.notes.append(
                f"{number_of(len(self._rotated), 'picture')} with an EXIF or TIFF orientation, such as"
                f" {self._rotated[0].name}: annotations are taken to be drawn on the picture as shown, not as stored"
            )
        if spacings := _spacings(entries):
            self.writer.write_metadata(("Mapped Image Stem", "PixelSpacing"), list(spacings.items()))
        if self.scored:
            self.writer.write_scores(self.scored)
            self.writer.write_boxes(self.scored)

    def _note_same_picture(self, path: Path, image: np.ndarray, patient: str) -> None:
        other = self._pictures.setdefault(sha256(image.tobytes()).digest(), (path, patient))
        if other[1] != patient:
            self.notes.append(f"{path}: shows the same picture as {other[0]}, of another patient; keep one of them")


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


def _joint_boxes(masks: np.ndarray, entry: Entry, source: Path, anatomy: Anatomy) -> np.ndarray:
    """Return (J, 4) integer boxes x0, y0, x1, y1 within the image, nan for joints whose bone was not drawn."""
    height, width = masks.shape[1:]
    boxes, valid = drawn_boxes(drawn_regions(masks, joints=anatomy.joints).joint)
    for joint in anatomy.joints:
        if entry.scores[joint.index] != NOT_SCORED and not valid[joint.index]:
            raise DataError(
                f"{source}: {entry.name} has a score of {joint.name} but not its bone, or none of the bones that it"
                " meets; draw them or leave the score empty"
            )
    boxes = np.clip(np.round(boxes), 0, (width, height, width, height))
    return np.where(valid[:, None], boxes, np.nan)


def _spacings(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the pixel spacing of each study; the workbook has one row per study."""
    spacings: dict[str, float] = {}
    for entry in entries:
        stem, spacing = entry.identifier.stem, entry.spacing_mm
        if spacing is not None and spacings.setdefault(stem, spacing) != spacing:
            raise DataError(f"study {stem} has spacings {spacings[stem]} and {spacing} mm; make two studies of it")
    return spacings
