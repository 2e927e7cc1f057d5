"""Phantom wrists on disk, in the released layout of RAM-W600."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from jointwrist.anatomy import METADATA_JOINT_COLUMNS, NUM_JOINTS, RELEASE_JOINT_NAMES
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.errors import DataError
from jointwrist.files import atomic
from jointwrist.phantom.cohort import CohortEntry, Parts, cohort_entry
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.wrist import make_wrist

SEGMENTATION, LOCATION, SCORING = "BoneSegmentation", "JointLocationDetection", "SvdHBEScoreClassification"
#: Folder beside the released ones: what only a phantom knows of each radiograph.
TRUTH = "PhantomTruth"
_RECIPE = "phantom.json"
#: Folder, index, seed, distribution and splits of one wrist.
Job = tuple[Path, int, int, PhantomConfig, Parts | None]
_CENTRES = ("Centre A", "Centre B", "Centre C", "Centre D", "Centre E", "Centre F")
_METADATA = (
    "Mapped Image Stem", "NormalizedPatientID", "NormalizedStudyID", "InstitutionName", "IsRA", "PatientAge",
    "PatientSex", "StudyDate", "PixelSpacing", "SvdH_L", "SvdH_R",
)  # fmt: skip


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

    Files that are there already are kept, so that an interrupted call goes on where it stopped. Every split of both
    tasks holds a wrist from 9 wrists up. Beside the released folders stands `PhantomTruth/<id>.npz` with `eroded`
    (H, W) uint8 and `healthy` (H, W) uint16, bit maps in radiograph orientation.

    Args:
        root: Folder to write to.
        wrists: Number of radiographs.
        size: Side of most radiographs in pixels; takes the place of `config.size`. Of a 600 px release some
            radiographs have 650 and 720 px, as in the real one.
        seed: Seed of the cohort.
        config: Distribution of the wrists.
        workers: Processes; as many as processors by default. The files do not depend on it.
        parts: Splits of a stated size, `parts.wrists` in all; by default the release's proportions.

    Returns:
        The folder.

    Raises:
        DataError: The folder holds a phantom made from another seed or configuration.
    """
    if wrists < 1:
        raise ValueError(f"wrists must be at least 1, not {wrists}")
    if parts and parts.wrists != wrists:
        raise ValueError(f"the parts hold {parts.wrists} wrists, not {wrists}")
    root = Path(root)
    config = replace(config or PhantomConfig(), size=size)
    _check_recipe(root, seed, config, parts)
    indices = range(wrists)
    workers = min(workers or os.cpu_count() or 1, wrists)
    jobs = [(root, index, seed, config, parts) for index in indices]
    missing = [job for job in jobs if not _truth_path(job).exists()]
    progress = {"total": len(missing), "desc": "phantom", "unit": "wrist", "disable": not missing}
    if workers == 1 or not missing:
        for job in tqdm(missing, **progress):
            _write_wrist(job)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for _ in tqdm(pool.map(_write_wrist, missing, chunksize=2), **progress):
                pass
    facts = [_write_wrist(job) for job in jobs]
    _write_scores(root, facts)
    _write_boxes(root, facts)
    _write_metadata(root, facts, seed)
    return root


def _atomically(path: Path, write: Callable[[io.BytesIO], None]) -> None:
    """Write a file whole or not at all."""
    buffer = io.BytesIO()
    write(buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _check_recipe(root: Path, seed: int, config: PhantomConfig, parts: Parts | None) -> None:
    recipe = json.loads(json.dumps({"seed": seed, **asdict(config), **({"parts": asdict(parts)} if parts else {})}))
    path = root / TRUTH / _RECIPE
    if path.exists():
        # what an earlier version did not know of, it did not do
        found = {**asdict(PhantomConfig()), **json.loads(path.read_text(encoding="utf-8"))}
        if found != recipe:
            raise DataError(f"{path} describes another phantom (seed, configuration or parts); write to another folder")
        return
    _atomically(path, lambda buffer: buffer.write(json.dumps(recipe, indent=1).encode()))


def radiograph_size(index: int, size: int) -> int:
    """Return the side of radiograph `index`: of a 600 px release one in 16 has 650 px and one in 16 has 720 px."""
    return {5: 650, 12: 720}.get(index % 16, size) if size == 600 else size


def _save_grey(path: Path, pixels: np.ndarray, colour: bool) -> None:
    image = Image.fromarray(pixels)
    _atomically(path, lambda buffer: (image.convert("RGB") if colour else image).save(buffer, format="BMP"))


def _write_wrist(job: Job) -> dict:
    """Write all files of one wrist; return what the common tables hold of it."""
    root, index, seed, config, _ = job
    entry = _entry(job)
    truth = _truth_path(job)
    if truth.exists():
        with np.load(truth, allow_pickle=False) as saved:
            return _facts(entry, saved["scores"], saved["boxes"], float(saved["spacing_mm"]), saved["eroded"].shape[0])
    sample = make_wrist(seed, index, replace(config, size=radiograph_size(index, config.size)))
    pixels = np.round(sample.image[0] * 255).astype(np.uint8)
    colour = index % 3 == 2
    if entry.has_masks:
        _save_grey(root / SEGMENTATION / "images" / f"{entry.identifier}.bmp", pixels, colour)
        masks = unpack_masks(sample.bones).astype(np.uint8)
        path = root / SEGMENTATION / "masks" / entry.split / f"{entry.identifier}.npy"
        _atomically(path, lambda buffer: np.save(buffer, masks, allow_pickle=False))
    if entry.has_scores:
        _save_grey(root / LOCATION / "images" / f"{entry.identifier}.bmp", pixels, colour)
        _write_crops(root / SCORING / entry.split / entry.identifier, pixels, sample.boxes, colour)
    _atomically(truth, lambda buffer: _save_truth(buffer, sample))
    return _facts(entry, sample.scores, sample.boxes, sample.spacing_mm, len(pixels))


def _entry(job: Job) -> CohortEntry:
    _, index, _, config, parts = job
    return (parts.entry if parts else cohort_entry)(index, config.left_fraction)


def _truth_path(job: Job) -> Path:
    """The file of a wrist that is written last: where it is, all of them are."""
    return job[0] / TRUTH / f"{_entry(job).identifier}.npz"


def _save_truth(buffer: io.BytesIO, sample: WristSample) -> None:
    np.savez_compressed(
        buffer, eroded=sample.eroded, healthy=sample.healthy, scores=sample.scores.astype(np.int8),
        boxes=sample.boxes, spacing_mm=np.float64(sample.spacing_mm),
    )  # fmt: skip


def _facts(entry: CohortEntry, scores: np.ndarray, boxes: np.ndarray, spacing: float, size: int) -> dict:
    return {"entry": entry, "scores": scores.tolist(), "boxes": boxes.tolist(), "spacing": spacing, "size": size}


def _write_crops(folder: Path, pixels: np.ndarray, boxes: np.ndarray, colour: bool) -> None:
    for name, (x0, y0, x1, y1) in zip(RELEASE_JOINT_NAMES, np.round(boxes).astype(int), strict=True):
        _save_grey(folder / f"{name}.bmp", np.ascontiguousarray(pixels[y0:y1, x0:x1]), colour)


def _write_json(path: Path, content: object) -> None:
    _atomically(path, lambda buffer: buffer.write(json.dumps(content, indent=1).encode()))


def _write_scores(root: Path, facts: list[dict]) -> None:
    scored = [
        {"identifier": fact["entry"].identifier, "joints": dict(zip(RELEASE_JOINT_NAMES, fact["scores"], strict=True))}
        for fact in facts
        if fact["entry"].has_scores
    ]
    _write_json(root / SCORING / "JointBE_SvdH_GT.json", scored)


def _write_boxes(root: Path, facts: list[dict]) -> None:
    images, annotations = [], []
    for fact in facts:
        if not fact["entry"].has_scores:
            continue
        images.append(
            {
                "id": len(images) + 1,
                "file_name": f"{fact['entry'].identifier}.bmp",
                "width": fact["size"],
                "height": fact["size"],
            }
        )
        for joint, (x0, y0, x1, y1) in enumerate(fact["boxes"]):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": joint + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": joint + 1, "name": RELEASE_JOINT_NAMES[joint]} for joint in range(NUM_JOINTS)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    _write_json(root / LOCATION / "Joints.coco.json", content)


def _write_metadata(root: Path, facts: list[dict], seed: int) -> None:
    """Write one row a study; sums and scores of a side that was not scored stay empty."""
    from openpyxl import Workbook

    studies: dict[str, list[dict]] = {}
    for fact in facts:
        studies.setdefault(fact["entry"].identifier[:-2], []).append(fact)
    book = Workbook()
    sheet = book.active
    sheet.append([*_METADATA, *(f"{column}_{side}" for side in "LR" for column in METADATA_JOINT_COLUMNS)])
    for stem, hands in studies.items():
        entry: CohortEntry = hands[0]["entry"]
        study = int(stem.split("_")[-1])
        rng = np.random.default_rng([seed, 2, entry.patient_number])
        age, sex, year = int(rng.integers(28, 84)), "FM"[int(rng.random() < 0.25)], int(rng.integers(2008, 2020))
        date = f"{year + study}-{int(rng.integers(1, 13)):02d}-{int(rng.integers(1, 29)):02d}"
        scores = {hand["entry"].side: hand["scores"] for hand in hands if hand["entry"].has_scores}
        sums = [sum(scores[side]) if side in scores else None for side in "LR"]
        joints = [value for side in "LR" for value in scores.get(side, [None] * NUM_JOINTS)]
        centre = _CENTRES[entry.patient_number % len(_CENTRES)]
        sheet.append(
            [
                stem,
                entry.patient,
                f"{study:04d}",
                centre,
                int(rng.random() < 0.8),
                age + study - 1,
                sex,
                date,
                round(hands[0]["spacing"], 6),
                *sums,
                *joints,
            ]
        )
    _atomically(root / "Metadata.xlsx", book.save)
