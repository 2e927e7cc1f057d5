"""Erosion families of the phantom: pictures of each, and how well weights distinguish it from its opposite.

    python benchmarks/families.py pictures -o FOLDER                   a contact sheet of every family
    python benchmarks/families.py evaluate WEIGHTS -o FOLDER           AUROC of every family
    python benchmarks/families.py evaluate WEIGHTS -o FOLDER --families undermined --wrists 320

Each family is drawn on separate wrists. Erosions are compared with intact joint surfaces, look-alikes with all kinds of
erosions. Finished wrists are stored: after an interruption, the same command continues.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from jointwrist.anatomy import JOINT_NAMES, JOINTS
from jointwrist.benchmark.erosion_pixels import heat_in_erosion
from jointwrist.commands.evaluation_means import family_table
from jointwrist.commands.options import seed_number
from jointwrist.config import build, parse_overrides
from jointwrist.data.sample import WristSample, as_right_hand
from jointwrist.files import atomic, write_frame
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.metrics.families import family_figures
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.family_names import EROSIVE, FAMILIES

#: Side of a picture in pixels and in mm, pictures of a family, and number of wrists searched for them.
_TILE, _TILE_MM, _PICTURES, _LOOKED_THROUGH = 240, 24.0, 12, 90
#: Number of wrists after which the rows are written.
_CHUNK = 16


def main(argv: list[str] | None = None) -> int:
    """Make pictures, or evaluate weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pictures", "evaluate"))
    parser.add_argument("weights", nargs="?", help="as for jointwrist predict")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--wrists", type=int, default=160, help="wrists of each family (default: %(default)s)")
    parser.add_argument(
        "--seed", type=seed_number, default=20261129, help="seed of the phantoms (default: %(default)s)"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the phantoms, as relief=0.7 size=384"
    )
    arguments = parser.parse_args(argv)
    if (arguments.what == "evaluate") != (arguments.weights is not None):
        parser.error("evaluate takes weights, pictures takes none")
    config = build(PhantomConfig, {"prevalence": 0.4, "look_alikes": 0.5, **parse_overrides(arguments.set)})
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.what == "pictures":
        for family in tqdm(arguments.families, "families"):
            save_pictures(arguments.out / f"{family}.png", family, alone(config, family), arguments.seed)
        return 0
    predictor = Predictor.from_pretrained(arguments.weights, localise=False)
    figures = []
    for family in arguments.families:
        path = arguments.out / f"{family}.csv"
        rows = evaluate(predictor, path, alone(config, family), arguments.seed, arguments.wrists)
        found = family_figures(*(rows[column].to_numpy() for column in ("score", "probability", "family", "patient")))
        figures.append(found[found["family"] == family])
    table = pd.concat(figures)
    write_frame(arguments.out / "families.csv", table)
    print(family_table(table))
    return 0


def alone(config: PhantomConfig, family: str) -> PhantomConfig:
    """Return the phantom with a single erosive family and no look-alikes, or with a look-alike and all erosions."""
    if family in EROSIVE:
        return replace(config, families={family: 1.0})
    return replace(config, families={**dict.fromkeys(EROSIVE, 1.0), family: 1.0})


def evaluate(predictor: Predictor, path: Path, config: PhantomConfig, seed: int, wrists: int) -> pd.DataFrame:
    """Predict wrists that are not yet in the file, and return its rows of the first `wrists`, one per joint surface."""
    rows = pd.read_csv(path, dtype={"patient": str}) if path.exists() else pd.DataFrame()
    done = 0 if rows.empty else int(rows["wrist"].max()) + 1
    with tqdm(total=wrists, initial=min(done, wrists), desc=path.stem, unit="wrist") as bar:
        for start in range(done, wrists, _CHUNK):
            samples = [as_right_hand(make_wrist(seed, k, config)) for k in range(start, min(start + _CHUNK, wrists))]
            results = predictor.stream([sample.image[0] for sample in samples], "R")
            new = [row for k, [found] in results for row in _rows(start + k, samples[k], found)]
            rows = pd.concat([rows, pd.DataFrame(new)], ignore_index=True)
            write_frame(path, rows)
            bar.update(len(samples))
    return rows[rows["wrist"] < wrists]


def _rows(wrist: int, sample: WristSample, found: WristResult) -> Iterator[dict[str, object]]:
    in_erosion = heat_in_erosion(sample, found)
    for joint, name in enumerate(JOINT_NAMES):
        area = np.count_nonzero((sample.eroded >> joint) & 1) * sample.spacing_mm**2
        yield {
            "wrist": wrist, "case": sample.identifier, "patient": sample.patient, "joint": name,
            "score": int(sample.scores[joint]), "probability": float(np.nan_to_num(found.probabilities[joint])),
            "family": sample.families[joint], "area_mm2": area, "heat_in_erosion": in_erosion[joint],
        }  # fmt: skip


def save_pictures(path: Path, family: str, config: PhantomConfig, seed: int) -> None:
    """Save joint surfaces of a family, each with the eroded pixels brightened below it."""
    per_joint = -(-_PICTURES // len(JOINTS))
    seen = dict.fromkeys(range(len(JOINTS)), 0)
    columns = []
    for index in range(_LOOKED_THROUGH):
        if min(seen.values()) == per_joint:
            break
        sample = as_right_hand(make_wrist(seed, index, config))
        for joint, name in enumerate(sample.families):
            if name == family and seen[joint] < per_joint:
                seen[joint] += 1
                columns.append((joint, _pictures(sample, joint)))
    columns.sort(key=lambda column: column[0])
    half = -(-len(columns) // 2)
    strips = [np.hstack([picture for _, picture in part]) for part in (columns[:half], columns[half:]) if part]
    if len(strips) == 2:
        strips[1] = np.pad(strips[1], ((0, 0), (0, strips[0].shape[1] - strips[1].shape[1])))
    with atomic(path) as temporary:
        Image.fromarray(np.vstack(strips)).save(temporary, format="PNG")


def _pictures(sample: WristSample, joint: int) -> np.ndarray:
    """Return a joint surface as (2 * `_TILE`, `_TILE`) uint8: as it is, and with its eroded pixels brightened."""
    x0, y0, x1, y1 = sample.boxes[joint]
    centre, half = np.array([x0 + x1, y0 + y1]) / 2, 0.5 * _TILE_MM / sample.spacing_mm
    eroded = (sample.eroded >> joint) & 1
    if eroded.any():
        centre = (centre + np.argwhere(eroded).mean(0)[::-1]) / 2
    box = (*(centre - half), *(centre + half))
    grey, marked = (
        np.array(Image.fromarray(plane).resize((_TILE, _TILE), Image.Resampling.BICUBIC, box=_within(box, plane.shape)))
        for plane in (np.round(255 * sample.image[0]).astype(np.uint8), eroded.astype(np.uint8) * 255)
    )
    low, high = np.percentile(grey, (1, 99.5))
    grey = np.clip((grey - low) / max(high - low, 12.0), 0, 1)
    below = np.where(marked > 127, 0.5 + 0.5 * grey, grey)
    return np.round(255 * np.vstack([grey, below])).astype(np.uint8)


def _within(box: tuple[float, ...], shape: tuple[int, int]) -> tuple[float, ...]:
    """Return a box of the same size inside an image."""
    height, width = shape
    x, y = (
        float(np.clip(low, 0, max(side - (high - low), 0)))
        for low, high, side in ((box[0], box[2], width), (box[1], box[3], height))
    )
    return x, y, min(x + box[2] - box[0], width), min(y + box[3] - box[1], height)


if __name__ == "__main__":
    sys.exit(main())
