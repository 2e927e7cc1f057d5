"""False calls of erosion on coarse radiographs: `python benchmarks/resolution.py [--wrists 40] [RADIOGRAPH ...]`.

Phantoms without erosions, which no training has seen, are reduced to several sizes and predicted; every call is false.
On your own radiographs, calls count that are absent at the largest size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from jointwrist.commands.options import seed_number
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.data.load import load_radiograph
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import resample
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.phantom import PhantomConfig, make_wrist

SIZES = (600, 400, 300, 250, 200, 150, 100)


class Called(NamedTuple):
    """Erosion calls on one wrist at one image size.

    Attributes:
        pixels: The radiograph's own pixels across the window of the wrist.
        scored: (J,) bool, surfaces with a score.
        eroded: (J,) bool, surfaces that are called eroded.
        bones: Number of bones found.
    """

    pixels: float
    scored: np.ndarray
    eroded: np.ndarray
    bones: int


def reduced(radiograph: Radiograph, size: int) -> Radiograph:
    """Return a radiograph whose longer side has `size` pixels, by averaging."""
    shape = np.array(radiograph.pixels.shape)
    height, width = np.maximum(np.rint(shape * size / shape.max()), 1).astype(int).tolist()
    pixels = resample(radiograph.pixels, (height, width))
    return replace(radiograph, pixels=pixels, spacing_mm=None)


def call(predictor: Predictor, radiograph: Radiograph) -> Called | None:
    """Predict a radiograph of one wrist; None if it is refused."""
    try:
        result = predictor.predict(predictor.locate(radiograph))[0]
    except DataError:
        return None
    return Called(result.resolution.pixels, result.scored, result.eroded, len(result.bones))


def radiographs(arguments: argparse.Namespace) -> Iterator[Radiograph]:
    """Yield the user's radiographs, or phantoms."""
    if arguments.radiographs:
        yield from map(load_radiograph, find_radiographs(arguments.radiographs))
        return
    config = PhantomConfig(size=max(arguments.sizes), prevalence=0.0, osteopenia=arguments.osteopenia)
    for index in range(arguments.wrists):
        wrist = make_wrist(arguments.seed, index, config)
        yield Radiograph(wrist.image[0], side=wrist.side)


def table(by_size: dict[int, list[Called | None]], own: bool) -> str:
    """Return a row for each size, in Markdown."""
    what = "calls that the largest has not" if own else "joints called eroded"
    lines = [f"| radiograph, px | window, px | {what} | wrists with one | bones found | refused |"]
    lines.append("| ---: " * 6 + "|")
    first = next(iter(by_size.values()))
    for size, calls in by_size.items():
        pairs = [(one, true) for one, true in zip(calls, first, strict=True) if one and true]
        false = [one.eroded & ~true.eroded if own else one.eroded for one, true in pairs]
        if not pairs:
            lines.append(f"| {size} | - | - | - | - | {len(calls)} |")
            continue
        joints = sum(int(one.scored.sum()) for one, _ in pairs)
        count, wrists = sum(int(each.sum()) for each in false), sum(bool(each.any()) for each in false)
        window, bones = (float(np.mean([getattr(one, name) for one, _ in pairs])) for name in ("pixels", "bones"))
        share, refused = 100 * count / max(joints, 1), sum(one is None for one in calls)
        lines.append(
            f"| {size} | {window:.0f} | {count} of {joints} ({share:.1f} %) | {wrists} of {len(pairs)} | {bones:.1f}"
            f" | {refused} |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "radiographs", nargs="*", type=Path, metavar="RADIOGRAPH", help="radiographs, or folders of them"
    )
    parser.add_argument("--wrists", type=int, default=40, metavar="N", help="phantoms (default: %(default)s)")
    parser.add_argument("--seed", type=seed_number, default=7100, help="seed of the phantoms (default: %(default)s)")
    parser.add_argument("--osteopenia", type=float, default=0.0, help="of the phantoms (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="longer sides in pixels, the largest first")
    parser.add_argument("--weights", default="jointwrist_tiny", help="weights (default: %(default)s)")
    arguments = parser.parse_args(argv)
    own = bool(arguments.radiographs)  # a phantom's wrist fills its radiograph and need not be searched for
    predictor = Predictor.from_pretrained(arguments.weights, engine="auto", localise=own, score_out_of_scope=True)
    by_size: dict[int, list[Called | None]] = {size: [] for size in arguments.sizes}
    for radiograph in tqdm(radiographs(arguments), "wrists", arguments.wrists if not own else None):
        for size in arguments.sizes:
            by_size[size].append(call(predictor, reduced(radiograph, size)))
    print(table(by_size, own))
    return 0


if __name__ == "__main__":
    sys.exit(main())
