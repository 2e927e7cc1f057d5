"""Accuracy of the detected rotation of a radiograph: `python benchmarks/rotations.py [--radiographs 24]`, on phantoms.

The radiographs show wrists that fill them and whole hands of 210 mm, side stated or not, each in four rotations. The
result is right if it undoes the rotation, wrong otherwise; a radiograph without a wrist must be refused in all
rotations. The time is the median per radiograph, refused or not.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from benchmarks.localiser import HAND_MM, HAND_PX, empty_radiographs
from benchmarks.phantoms_or_radiographs import parse_arguments
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.rotation import ROTATIONS, rotated
from jointwrist.inference.search.localiser import Localiser
from jointwrist.inference.search.locate import locate
from jointwrist.phantom import PhantomConfig, make_wrist


def main(argv: list[str] | None = None) -> int:
    """Print a row for every kind of radiograph and rotation."""
    arguments = parse_arguments(argv, __doc__, "radiographs", 24, 7000, own=False)
    localiser = Localiser.load()
    print("| radiograph | rotated by | right | refused | wrong | seconds |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind, config in (
        ("wrist", PhantomConfig(size=256)),
        ("hand", PhantomConfig(size=HAND_PX, field_of_view=(HAND_MM, HAND_MM))),
    ):
        made = [make_wrist(arguments.seed, index, config) for index in range(arguments.radiographs)]
        radiographs = [Radiograph(sample.image[0], side=sample.side) for sample in made]
        for stated in (True, False):
            name = f"{kind}, side {'' if stated else 'not '}stated"
            asked = radiographs if stated else [replace(radiograph, side=None) for radiograph in radiographs]
            for degrees in ROTATIONS:
                lying = [replace(radiograph, pixels=rotated(radiograph.pixels, degrees)) for radiograph in asked]
                report(localiser, f"{name} | {degrees}°", lying, -degrees % 360)
    report(localiser, "no wrist | -", map(Radiograph, empty_radiographs(arguments.seed)), None)
    return 0


def report(localiser: Localiser, name: str, radiographs: Iterable[Radiograph], degrees: int | None) -> None:
    """Print the outcome for radiographs that must be rotated by some degrees, or None if they show no wrist."""
    seconds, verdicts = [], Counter()
    for radiograph in tqdm(radiographs, name, leave=False):
        start = time.perf_counter()
        verdicts[verdict(localiser, radiograph, degrees)] += 1
        seconds.append(time.perf_counter() - start)
    counts = (verdicts[kind] for kind in ("right", "refused", "wrong"))
    print(f"| {name} | {' | '.join(map(str, counts))} | {np.median(seconds):.2f} |", flush=True)


def verdict(localiser: Localiser, radiograph: Radiograph, degrees: int | None) -> str:
    """Locate the wrist of a radiograph and compare the detected rotation with the true one."""
    try:
        found = locate(localiser, radiograph)
    except DataError:
        return "right" if degrees is None else "refused"
    return "right" if [placement.rotation for placement in found] == [degrees] else "wrong"


if __name__ == "__main__":
    sys.exit(main())
