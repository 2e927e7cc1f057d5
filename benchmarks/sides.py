"""Accuracy of the side inferred from the bones: `python benchmarks/sides.py [--wrists 24] [RADIOGRAPH ...]`.

The radiographs are phantoms not used for training, or your own (or folders of them) whose names state the side. Each is
tested unchanged and mirrored, which makes it the other hand, and again rotated, noisy, blurred, dark or coarse.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy.ndimage import gaussian_filter, rotate
from tqdm import tqdm

from benchmarks.phantoms_or_radiographs import count_table, parse_arguments
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.data.load import load_radiograph
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.search.localiser import Localiser
from jointwrist.phantom import PhantomConfig, make_wrist


def main(argv: list[str] | None = None) -> int:
    """Print how many sides of every kind of radiograph were right, unclear, or wrong."""
    arguments = parse_arguments(argv, __doc__, "wrists", 24, 6000)
    localiser = Localiser.load()
    if arguments.radiographs:
        radiographs = [
            radiograph
            for radiograph in map(load_radiograph, find_radiographs(arguments.radiographs))
            if radiograph.side
        ]
    else:
        wrists = (make_wrist(arguments.seed, index, PhantomConfig(size=256)) for index in range(arguments.wrists))
        radiographs = [Radiograph(wrist.image[0], side=wrist.side) for wrist in wrists]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for radiograph in tqdm(radiographs, "radiographs"):
        for kind, pixels in variants(radiograph.pixels):
            counts[kind][verdict(localiser, pixels, radiograph.side)] += 1
            counts[kind][verdict(localiser, pixels[:, ::-1], "LR".replace(radiograph.side, ""))] += 1
    print(count_table("wrist, and its mirror image", counts, ("right", "unclear", "wrong")))
    return 0


def variants(pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a radiograph unchanged, and degraded."""
    size = max(pixels.shape)
    yield "as it is", pixels
    for degrees in (-15, 15):
        yield f"rotated by {degrees}°", rotate(pixels, degrees, reshape=False, order=1)
    noise = np.random.default_rng(0).normal(0, 0.12, pixels.shape)
    yield "noise of 12 % of the range", np.clip(pixels + noise, 0, 1)
    yield "blurred by 1 % of the side", gaussian_filter(pixels, size / 100)
    yield "grey values squared", pixels**2
    yield "70 pixels wide", pixels[:: max(size // 70, 1), :: max(size // 70, 1)]


def verdict(localiser: Localiser, pixels: np.ndarray, side: str) -> str:
    """Infer the side of a wrist that fills its radiograph."""
    radiograph = Radiograph(np.ascontiguousarray(pixels, np.float32))
    height, width = radiograph.pixels.shape
    found = localiser.side_from_bones(radiograph, (width / 2, height / 2, float(max(height, width))))
    return "unclear" if found is None else "right" if found == side else "wrong"


if __name__ == "__main__":
    sys.exit(main())
