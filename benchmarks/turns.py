"""How often a turned film is seen to be turned: `python benchmarks/turns.py [--films 24]`, on phantoms.

Wrists that fill the film and whole hands of 210 mm, side stated or not, each in four turns. Right is the turn that the
film was given back, wrong any other; films without a wrist are right if they are refused in all turns. The time is the
median of a film, refused or not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from benchmarks.finder import HAND_MM, HAND_PX, empty_films
from jointwrist.data.dicom import Radiograph
from jointwrist.data.phantom import PhantomConfig, make_wrist
from jointwrist.errors import DataError
from jointwrist.inference.field import FieldFinder
from jointwrist.inference.locate import locate
from jointwrist.inference.turns import TURNS, turned


def main(argv: list[str] | None = None) -> int:
    """Print a row for every kind of film and turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=24, metavar="N", help="phantoms a kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7000, help="of the phantoms (default: %(default)s)")
    arguments = parser.parse_args(argv)
    finder = FieldFinder()
    print("| film | turned by | right | refused | wrong | seconds |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind, config in (
        ("wrist", PhantomConfig(size=256)),
        ("hand", PhantomConfig(size=HAND_PX, field_of_view=(HAND_MM, HAND_MM))),
    ):
        made = [make_wrist(arguments.seed, index, config) for index in range(arguments.films)]
        films = [Radiograph(sample.image[0], side=sample.side) for sample in made]
        for stated in (True, False):
            name = f"{kind}, side {'' if stated else 'not '}stated"
            asked = films if stated else [replace(film, side=None) for film in films]
            for degrees in TURNS:
                lying = [replace(film, pixels=turned(film.pixels, degrees)) for film in asked]
                report(finder, f"{name} | {degrees}°", lying, -degrees % 360)
    report(finder, "no wrist | -", map(Radiograph, empty_films(arguments.seed)), None)
    return 0


def report(finder: FieldFinder, name: str, films: Iterable[Radiograph], degrees: int | None) -> None:
    """Print what becomes of films that must be turned by some degrees, or None if they show no wrist."""
    seconds, verdicts = [], Counter()
    for film in tqdm(films, name, leave=False):
        start = time.perf_counter()
        verdicts[verdict(finder, film, degrees)] += 1
        seconds.append(time.perf_counter() - start)
    counts = (verdicts[kind] for kind in ("right", "refused", "wrong"))
    print(f"| {name} | {' | '.join(map(str, counts))} | {np.median(seconds):.2f} |", flush=True)


def verdict(finder: FieldFinder, film: Radiograph, degrees: int | None) -> str:
    """Locate the wrist of a film and compare its turn with that which is known."""
    try:
        found = locate(finder, film)
    except DataError:
        return "right" if degrees is None else "refused"
    return "right" if [wrist.turn for wrist in found] == [degrees] else "wrong"


if __name__ == "__main__":
    sys.exit(main())
