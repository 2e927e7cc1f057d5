"""Write RAM-H1200 as a dataset of wrists or hands in the layout of RAM-W600."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import NOT_SCORED, WRIST, load_anatomy
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.writer import DatasetWriter, Pixels, ScoredRadiograph
from jointwrist.data.images import read_image
from jointwrist.data.importers.ram_h1200.leaks import Leak, Patients, find_leaks, find_patients
from jointwrist.data.importers.ram_h1200.lesions import assign
from jointwrist.data.importers.ram_h1200.release import ReleasedRadiograph, read_release
from jointwrist.data.importers.ram_h1200.window import Window, whole_radiograph, wrist_window
from jointwrist.data.shapes.region import Note, Region
from jointwrist.errors import DataError
from jointwrist.files import refuse_filled, whole_folder, write_text
from jointwrist.ops.drawn_roi import drawn_boxes, drawn_regions

#: Names of the release that the wrist anatomy lacks.
_WRIST_SITES = {
    "CMC-T": "Metacarpal1st",
    "Tm": "Trapezium",
    "S": "Scaphoid",
    "L": "Lunate",
    "R": "DistalRadius",
    "U": "DistalUlna",
}
_FINGER_SITES = ("IP", *(f"MCP-{finger}" for finger in "TIMRS"), *(f"PIP-{finger}" for finger in "IMRS"))
_BONES = {"Pisifrom_Triquetrum": "TriquetrumPisiform"}
#: Sites of joint-space narrowing.
NARROWING_SITES = ("CMC-M", "CMC-R", "CMC-S", "STT", "SC", "SR")
NARROWING_MAX = 4
#: Sites whose names belong to other joints in the wrist anatomy.
_OTHER_NAMES = {"SC": "Scaphocapitate"}
LEAKS = Path("leaks.csv")


@dataclass(frozen=True)
class Converted:
    """Summary of an import.

    Attributes:
        radiographs: Number of radiographs by split.
        leaks: Radiographs that the clean split leaves out, whether or not it was requested.
        united: Groups of patient numbers that belong to one person.
        pieces: Erosions at one joint surface, those in doubt, and those at none.
        sound: Radiographs that are known to be free of erosions.
        missing: Number of radiographs without a bone, by the bone's name.
        notes: Sentences about what was left out.
    """

    radiographs: Mapping[str, int]
    leaks: Sequence[Leak]
    united: Sequence[tuple[str, ...]]
    pieces: tuple[int, int, int]
    sound: int
    missing: Mapping[str, int]
    notes: Sequence[str]


def convert(
    root: str | Path, out: str | Path, official: bool = False, doubtful: bool = False, hand: bool = False
) -> Converted:
    """Write the wrist of every hand, or the whole hand, with its masks, scores and outlined erosions.

    A wrist is a square of `WINDOW_MM` around the carpal bones, cut from the radiograph's own pixels. `leaks.csv` lists
    the radiographs shared by two splits; `narrowing.csv` holds the scores of joint-space narrowing of the anatomy
    `wrist_narrowing`, or `hand`.

    Args:
        root: The folder as it was downloaded.
        out: Folder to write; must be empty or missing.
        official: Keep the splits of the release, leaks included; otherwise leaks are left out.
        doubtful: Whether erosions of the category `SvdH-BE-50` count as certain ones.
        hand: Write whole radiographs with all bones and joints of the anatomy `hand`.

    Raises:
        DataError: The folder is not empty, or a file of the release is missing or damaged.
    """
    out = Path(out)
    refuse_filled(out)
    notes: list[str] = []
    radiographs = read_release(Path(root), notes.append)
    if not radiographs:
        raise DataError(f"{root}: lists no radiograph; download the data again")
    digests = {
        radiograph.stem: _digest(radiograph.image)
        for radiograph in tqdm(radiographs, "compare", unit="radiograph", disable=None, leave=False)
    }
    patients = find_patients(radiographs, digests)
    leaks = find_leaks(radiographs, digests, patients)
    out_of = set() if official else {leak.radiograph for leak in leaks}
    kept = [radiograph for radiograph in radiographs if radiograph.stem not in out_of]
    with whole_folder(out) as folder:
        writer = DatasetWriter(folder, load_anatomy("hand" if hand else "wrist"))
        writing = _Writing(writer, patients, doubtful, notes.append)
        for radiograph in tqdm(kept, "import", unit="radiograph", disable=None, leave=False):
            writing.add(radiograph)
        writing.finish(folder)
        _write_table(folder / LEAKS, ("film", *Leak._fields[1:]), leaks)
    return Converted(
        {split: writing.splits[split] for split in SPLITS},
        leaks,
        patients.united,
        tuple(writing.pieces.tolist()),
        writing.sound,
        dict(writing.missing),
        notes,
    )


class _Writing:
    """What has been written so far."""

    def __init__(self, writer: DatasetWriter, patients: Patients, doubtful: bool, note: Note) -> None:
        self.writer, self.patients, self.doubtful, self.note = writer, patients, doubtful, note
        self.anatomy = writer.anatomy
        self.whole = self.anatomy != WRIST
        self.splits, self.missing = Counter(), Counter()
        self.pieces, self.sound = np.zeros(3, int), 0
        self.scored: list[ScoredRadiograph] = []
        self.spacings: dict[str, float] = {}
        self.narrowing: list[tuple[str, tuple[int, ...]]] = []

    def add(self, radiograph: ReleasedRadiograph) -> None:
        """Write one radiograph; one without carpal bones is left out with a note."""
        image = read_image(radiograph.image)
        masks = self._masks(radiograph, image.shape)
        spacing = radiograph.spacing(*image.shape)
        window = (whole_radiograph if self.whole else wrist_window)(masks, spacing)
        if window is None:
            self.note(f"{radiograph.image}: left out, as no carpal bone is annotated")
            return
        if window.padded:
            self.note(f"{radiograph.image}: the wrist reaches beyond the radiograph, which is padded with black")
        pixels = Pixels(np.round(np.clip(window.cut(image), 0, 1) * 255).astype(np.uint8))
        masks = window.cut(masks)
        name = (
            f"{self.patients.of[radiograph.stem]}_{radiograph.name.date}-{radiograph.name.code}_{radiograph.name.side}"
        )
        self.splits[radiograph.split] += 1
        self.missing.update(bone for bone, mask in zip(self.anatomy.bone_names, masks, strict=True) if not mask.any())
        self.writer.add_masks(name, radiograph.split, pixels, masks)
        if spacing is not None:
            self.spacings[name[:-2]] = spacing
        if radiograph.lesions is not None:
            self._add_lesions(radiograph, name, window, masks, image.shape)
        self._add_scores(radiograph, name, pixels, masks)
        if radiograph.narrowing:
            scores = (
                _score(radiograph, radiograph.narrowing, site, NARROWING_MAX, self.note)
                for site in self.narrowing_sites
            )
            self.narrowing.append((name, tuple(scores)))

    @property
    def narrowing_sites(self) -> tuple[str, ...]:
        """Return the sites whose scores of narrowing are written."""
        return NARROWING_SITES + (_FINGER_SITES[1:] if self.whole else ())

    def _masks(self, radiograph: ReleasedRadiograph, shape: tuple[int, int]) -> np.ndarray:
        """Draw the bones, (C, H, W) bool; regions of the same bone are merged, and other regions are left out."""
        masks = np.zeros((len(self.anatomy.bones), *shape), bool)
        for category, region in radiograph.bones:
            try:
                bone = self.anatomy.bone_index(_BONES.get(category, category))
            except KeyError:
                continue
            masks[bone] |= _draw(region, shape)
        return masks

    def _add_lesions(
        self, radiograph: ReleasedRadiograph, name: str, window: Window, masks: np.ndarray, shape: tuple[int, int]
    ) -> None:
        drawn = [(category, window.cut(_draw(region, shape))) for category, region in radiograph.lesions]
        lesions = assign(drawn, masks, window.spacing, self.anatomy, self.doubtful)
        self.pieces += lesions.pieces
        self.sound += not radiograph.lesions
        self.writer.add_arrays(layout.EROSIONS, name, eroded=lesions.eroded, unsure=lesions.unsure)

    def _add_scores(self, radiograph: ReleasedRadiograph, name: str, pixels: Pixels, masks: np.ndarray) -> None:
        scores = [*self.anatomy.unscored]
        for site, joint in self._sites():
            scores[joint] = _score(radiograph, radiograph.erosion, site, self.anatomy.erosion.highest, self.note)
        if max(scores) == NOT_SCORED:
            return
        boxes, valid = drawn_boxes(drawn_regions(masks, joints=self.anatomy.joints).joint)
        height, width = masks.shape[1:]
        boxes = np.where(valid[:, None], np.clip(np.round(boxes), 0, (width, height, width, height)), np.nan)
        for joint in self.anatomy.eroded_joints:
            if scores[joint.index] != NOT_SCORED and not valid[joint.index]:
                self.note(f"{radiograph.image}: the score of {joint.name} is left out, as its bones are not annotated")
                scores[joint.index] = NOT_SCORED
        if max(scores) != NOT_SCORED:
            self.scored.append(self.writer.add_scored(name, radiograph.split, pixels, pixels, scores, boxes))

    def _sites(self) -> list[tuple[str, int]]:
        """Return the sites of erosion and their joint surfaces."""
        fingers = [(site, self.anatomy.joint_index(site)) for site in _FINGER_SITES] if self.whole else []
        return [(site, self.anatomy.joint_index(name)) for site, name in _WRIST_SITES.items()] + fingers

    def finish(self, folder: Path) -> None:
        """Write the tables."""
        if self.spacings:
            self.writer.write_metadata(("Mapped Image Stem", "PixelSpacing"), list(self.spacings.items()))
        if self.scored:
            self.writer.write_scores(self.scored)
            self.writer.write_boxes(self.scored)
        if self.narrowing:
            anatomy = self.anatomy if self.whole else load_anatomy("wrist_narrowing")
            others = {} if self.whole else _OTHER_NAMES
            joints = [anatomy.joint_index(others.get(site, site)) for site in self.narrowing_sites]
            self.writer.write_further("narrowing", [anatomy.joint_names[joint] for joint in joints], self.narrowing)


def _draw(region: Region, shape: tuple[int, int]) -> np.ndarray:
    return region.draw(shape).mask


def _score(radiograph: ReleasedRadiograph, scores: Mapping[str, int], site: str, highest: int, note: Note) -> int:
    score = scores.get(site, NOT_SCORED)
    if score != NOT_SCORED and not 0 <= score <= highest:
        note(f"{radiograph.image}: score {score} of {site} is not one of 0 to {highest}; left out")
        return NOT_SCORED
    return score


def _digest(path: Path) -> bytes:
    image = read_image(path)
    return sha256(repr(image.shape).encode() + image.tobytes()).digest()


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(path, text.getvalue())
