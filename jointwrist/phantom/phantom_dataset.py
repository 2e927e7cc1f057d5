"""Phantom wrists on disk, in the layout in which RAM-W600 was released."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import NOT_SCORED, NUM_JOINTS, load_anatomy
from jointwrist.data.dataset.layout import CROPS, MASK_IMAGES, METADATA, SCORE_IMAGES, TRUTH
from jointwrist.data.dataset.writer import DatasetWriter, Pixels, ScoredRadiograph
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.phantom.cohort import CohortEntry, Parts, cohort_entry
from jointwrist.phantom.data_sheet import data_sheet
from jointwrist.phantom.narrowing import SITES
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.wrist import make_wrist
from jointwrist.text import number_of

_RECIPE = "phantom.json"
_SHEET = "README.md"
#: What a phantom writes beside its ground truth; in a folder without a recipe it belongs to something else.
_WRITTEN = (MASK_IMAGES.parent, SCORE_IMAGES.parent, CROPS, METADATA, "narrowing.csv", _SHEET)
_CENTRES = ("Centre A", "Centre B", "Centre C", "Centre D", "Centre E", "Centre F")
_METADATA = (
    "Mapped Image Stem", "NormalizedPatientID", "NormalizedStudyID", "InstitutionName", "IsRA", "PatientAge",
    "PatientSex", "StudyDate", "PixelSpacing", "SvdH_L", "SvdH_R",
)  # fmt: skip
#: Columns of the joint scores, to which the side is added.
_JOINT_COLUMNS = ("1st MC", "Trapz", "Sc", "Lu", "DR", "DU")

#: Columns of the table of narrowing, one per site.
NARROWING_JOINTS = tuple(joint.name for joint in load_anatomy("wrist_narrowing").scored_joints("narrowing"))


def write_phantom(
    root: str | Path,
    wrists: int,
    size: int = 600,
    seed: int = 0,
    config: PhantomConfig | None = None,
    workers: int | None = None,
    parts: Parts | None = None,
) -> Path:
    """Write the first `wrists` wrists of cohort `seed` in the released layout, splits by patient.

    Existing files are kept, so that an interrupted call can be resumed. From 9 wrists up, no split of either task is
    empty. Beside the released folders, `PhantomTruth/<id>.npz` holds `eroded` (H, W) uint8 and `healthy` (H, W) uint16,
    bit maps in radiograph orientation; `narrowing.csv` holds the narrowing scores of the anatomy `wrist_narrowing`;
    `README.md` is the data sheet.

    Args:
        root: Folder to write to.
        wrists: Number of radiographs.
        size: Side of most radiographs in pixels, replaces `config.size`. With 600 px, some radiographs have 650 and
            720 px, as in RAM-W600.
        seed: Seed of the cohort.
        config: Distribution of the wrists.
        workers: Number of processes, by default one per processor. The files do not depend on it.
        parts: Splits of given sizes, `parts.wrists` in all; by default the proportions of RAM-W600.

    Returns:
        The folder.

    Raises:
        DataError: The folder holds a phantom made from another seed or configuration, one of more wrists, or files of
            something else that would be written over.
    """
    if wrists < 1:
        raise ValueError(f"wrists must be at least 1, not {wrists}")
    if parts and parts.wrists != wrists:
        raise ValueError(f"the parts hold {parts.wrists} wrists, not {wrists}")
    root = Path(root)
    config = replace(config or PhantomConfig(), size=size)
    recipe = _checked_recipe(root, seed, config, parts)
    workers = min(workers or os.cpu_count() or 1, wrists)
    jobs = [WristJob(root, index, seed, config, parts) for index in range(wrists)]
    missing = [job for job in jobs if not job.truth_file.exists()]
    further = len(list((root / TRUTH).glob("*.npz"))) - (len(jobs) - len(missing))
    if further:
        total = len(jobs) - len(missing) + further
        raise DataError(
            f"{root}: holds {total} wrists, more than {wrists}; ask for {total}, or write to another folder"
        )
    _write_all(missing, workers)
    written = [_read_back(job) for job in jobs]
    scored = [wrist.scored for wrist in written if wrist.entry.has_scores]
    writer = DatasetWriter(root)
    writer.write_scores(scored)
    writer.write_boxes(scored, areas=True)
    writer.write_further(
        "narrowing", NARROWING_JOINTS, [(w.entry.identifier, w.narrowing) for w in written if w.entry.has_scores]
    )
    columns = [*_METADATA, *(f"{column}_{side}" for side in "LR" for column in _JOINT_COLUMNS)]
    writer.write_metadata(columns, _metadata_rows(written, seed))
    sheet = data_sheet(recipe, [job.entry for job in jobs], [wrist.scores for wrist in scored])
    write_text(root / _SHEET, sheet)
    return root


def _write_all(jobs: list[WristJob], workers: int) -> None:
    """Write wrists and show progress; the first one's time, mostly imports, does not count towards the rate."""
    if not jobs:
        return
    print(f"phantom: preparing {number_of(len(jobs), 'wrist')}", file=sys.stderr, flush=True)
    progress = {"total": len(jobs), "initial": 1, "desc": "phantom", "unit": "wrist"}
    if workers == 1:
        _write_wrist(jobs[0])
        for job in tqdm(jobs[1:], **progress):
            _write_wrist(job)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        written = [pool.submit(_write_wrist, job) for job in jobs]
        try:
            written[0].result()
            for future in tqdm(written[1:], **progress):
                future.result()
        except BaseException:
            # by the executor: it treats futures cancelled elsewhere as errors if a signal has also ended its processes
            pool.shutdown(cancel_futures=True)
            raise


class WristJob(NamedTuple):
    """One wrist to be written: its folder, index, seed, distribution and splits."""

    root: Path
    index: int
    seed: int
    config: PhantomConfig
    parts: Parts | None

    @property
    def entry(self) -> CohortEntry:
        """Patient, side, labels and split of the wrist."""
        return (self.parts.entry if self.parts else cohort_entry)(self.index, self.config.left_fraction)

    @property
    def truth_file(self) -> Path:
        """The last file written for a wrist: if it exists, all others do."""
        return self.root / TRUTH / f"{self.entry.identifier}.npz"


class _Written(NamedTuple):
    """Table entries of one wrist."""

    entry: CohortEntry
    scored: ScoredRadiograph
    spacing_mm: float
    narrowing: tuple[int, ...]


def radiograph_size(index: int, size: int) -> int:
    """Return the side of radiograph `index`: of a 600 px dataset one in 16 has 650 px and one in 16 has 720 px."""
    return {5: 650, 12: 720}.get(index % 16, size) if size == 600 else size


def _checked_recipe(root: Path, seed: int, config: PhantomConfig, parts: Parts | None) -> dict[str, Any]:
    """Return the settings that determine the wrists, written to their folder before the first one.

    Raises:
        DataError: The folder holds wrists made from something else.
    """
    recipe = json.loads(json.dumps({"seed": seed, **asdict(config), **({"parts": asdict(parts)} if parts else {})}))
    path = root / TRUTH / _RECIPE
    if path.exists():
        # earlier versions recorded fewer settings: those missing had their defaults
        found = {**asdict(PhantomConfig()), **json.loads(path.read_text(encoding="utf-8"))}
        if found != recipe:
            raise DataError(f"{path} describes another phantom (seed, configuration or parts); write to another folder")
    else:
        if foreign := next((name for name in _WRITTEN if (root / name).exists()), None):
            raise DataError(f"{root / foreign}: is of no phantom, and would be written over; write to another folder")
        write_text(path, json.dumps(recipe, indent=1))
    return recipe


def _write_wrist(job: WristJob) -> None:
    """Write all files of one wrist."""
    entry, writer = job.entry, DatasetWriter(job.root)
    config = replace(job.config, size=radiograph_size(job.index, job.config.size))
    sample = make_wrist(job.seed, job.index, config)
    pixels = Pixels(np.round(sample.image[0] * 255).astype(np.uint8), colour=job.index % 3 == 2)
    if entry.has_masks:
        writer.add_masks(entry.identifier, entry.split, pixels, unpack_masks(sample.bones))
    if entry.has_scores:
        writer.add_scored(entry.identifier, entry.split, pixels, pixels, sample.scores, sample.boxes)
    writer.add_arrays(TRUTH, entry.identifier, **_truth(sample))


def _truth(sample: WristSample) -> dict[str, np.ndarray]:
    return {
        "eroded": sample.eroded,
        "healthy": sample.healthy,
        "scores": sample.scores.astype(np.int8),
        "boxes": sample.boxes,
        "spacing_mm": np.float64(sample.spacing_mm),
        "families": np.array(sample.families),
        "not_separable": np.array(sample.scope.not_separable),
        "findings": np.array(sample.scope.findings, dtype=np.str_),
        "narrowing": np.array(sample.narrowing, np.int8),
    }


def _read_back(job: WristJob) -> _Written:
    """Read the table entries of a wrist from its truth file."""
    name = job.entry.identifier
    with np.load(job.truth_file, allow_pickle=False) as truth:
        size, scores = truth["eroded"].shape, truth["scores"].tolist()
        scored = ScoredRadiograph(name, f"{name}.bmp", size, scores, truth["boxes"])
        # earlier versions did not record it
        narrowing = tuple(truth["narrowing"].tolist()) if "narrowing" in truth else (NOT_SCORED,) * len(SITES)
        return _Written(job.entry, scored, float(truth["spacing_mm"]), narrowing)


def _metadata_rows(written: list[_Written], seed: int) -> list[list[object]]:
    """Return one row per study; sums and scores of a side that was not scored stay empty."""
    studies: dict[str, list[_Written]] = {}
    for wrist in written:
        studies.setdefault(wrist.entry.identifier[:-2], []).append(wrist)
    rows = []
    for stem, hands in studies.items():
        entry = hands[0].entry
        study = int(stem.split("_")[-1])
        rng = np.random.default_rng([seed, 2, entry.patient_number])
        age, sex, year = int(rng.integers(28, 84)), "FM"[int(rng.random() < 0.25)], int(rng.integers(2008, 2020))
        date = f"{year + study}-{int(rng.integers(1, 13)):02d}-{int(rng.integers(1, 29)):02d}"
        scores = {hand.entry.side: hand.scored.scores for hand in hands if hand.entry.has_scores}
        sums = [sum(scores[side]) if side in scores else None for side in "LR"]
        joints = [value for side in "LR" for value in scores.get(side, [None] * NUM_JOINTS)]
        centre = _CENTRES[entry.patient_number % len(_CENTRES)]
        has_ra = int(rng.random() < 0.8)
        known = [stem, entry.patient, f"{study:04d}", centre, has_ra, age + study - 1, sex, date]
        rows.append([*known, round(hands[0].spacing_mm, 6), *sums, *joints])
    return rows
