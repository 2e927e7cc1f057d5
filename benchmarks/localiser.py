"""Success rate of the localiser: `python benchmarks/localiser.py [--hands 60]`, on phantoms not used for training.

Hands are phantoms of 210 mm, from the forearm to the fingers; two of them side by side make a radiograph of both hands;
wrists are phantoms of the usual field. A hand counts as found if the centre of the crop is within 15 mm of the centre
of the carpus. The thresholds were chosen on other seeds (`--seed` 41 and 8).

`python benchmarks/localiser.py RADIOGRAPH ...` prints the localiser's first result for your own radiographs or folders.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from benchmarks.phantoms_or_radiographs import count_table, parse_arguments
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.data.load import load_radiograph
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.errors import DataError
from jointwrist.inference.search.localiser import CARPALS, Localiser
from jointwrist.phantom import PhantomConfig, make_wrist

#: Side in mm and in pixels of a phantom hand, and the distance in mm up to which it is found.
HAND_MM, HAND_PX, NEAR_MM = 210.0, 420, 15.0


def main(argv: list[str] | None = None) -> int:
    """Print how many radiographs of every kind were located, refused, or located wrongly."""
    arguments = parse_arguments(argv, __doc__, "hands", 60, 5000)
    localiser = Localiser.load()
    if arguments.radiographs:
        try:
            return look_at_radiographs(localiser, find_radiographs(arguments.radiographs))
        except DataError as error:
            print(f"localiser: {error}", file=sys.stderr)
            return 2
    hands = [
        make_wrist(arguments.seed, index, PhantomConfig(size=HAND_PX, field_of_view=(HAND_MM, HAND_MM)))
        for index in tqdm(range(arguments.hands), "hands")
    ]
    wrists = [make_wrist(arguments.seed + 1, index, PhantomConfig(size=256)) for index in range(arguments.hands)]
    counts = {
        "hand, side stated": Counter(one_hand(localiser, hand, hand.side) for hand in tqdm(hands, "side stated")),
        "hand, side not stated": Counter(one_hand(localiser, hand, None) for hand in tqdm(hands, "side not stated")),
        "both hands": Counter(both(localiser, *pair) for pair in tqdm(pairs(hands), "both hands")),
        "wrist that fills the radiograph": Counter(filling(localiser, wrist) for wrist in tqdm(wrists, "wrists")),
        "no wrist": Counter(
            nothing(localiser, pixels) for pixels in tqdm(empty_radiographs(arguments.seed), "no wrist")
        ),
    }
    print(count_table("radiograph", counts, ("right", "refused", "wrong")))
    return 0


def look_at_radiographs(localiser: Localiser, radiographs: list[Path]) -> int:
    """Print a row for every radiograph; unreadable ones are named, and the exit code is then 2."""
    code = 0
    print("| radiograph | certainty | distance from the mean wrist, mm |\n| --- | ---: | ---: |")
    for path in radiographs:
        try:
            print(f"| {path.name} | {first_look(localiser, load_radiograph(path))} |")
        except DataError as error:
            print(error, file=sys.stderr)
            code = 2
    return code


def first_look(localiser: Localiser, radiograph: Radiograph) -> str:
    """Certainty and distance of the wrist that fills a radiograph."""
    wrist = localiser.filling(radiograph)
    return f"{wrist.certainty:.3f} | {wrist.distance:.2f}" if wrist else "does not fill the radiograph | -"


def middle(hand: WristSample) -> np.ndarray:
    """Middle of the carpal bones, x and y in pixels."""
    return np.argwhere(unpack_masks(hand.bones)[list(CARPALS)].any(0)).mean(0)[::-1]


def one_hand(localiser: Localiser, hand: WristSample, side: str | None) -> str:
    """Look for the wrist of a hand, whose side is stated or not."""
    found = localiser.find(Radiograph(hand.image[0], side=side))
    if not found:
        return "refused"
    off = np.linalg.norm(np.array(found[0].window[:2]) - middle(hand)) * hand.spacing_mm
    return "right" if len(found) == 1 and off < NEAR_MM and found[0].side == hand.side else "wrong"


def pairs(hands: list[WristSample]) -> list[tuple[WristSample, WristSample]]:
    """Pair right hands with left ones."""
    return list(zip(*([hand for hand in hands if hand.side == side] for side in "RL"), strict=False))


def both(localiser: Localiser, right: WristSample, left: WristSample) -> str:
    """Look for both wrists of a radiograph that shows the right hand on its left."""
    pixels = np.concatenate([right.image[0], left.image[0]], axis=1)
    try:
        found = localiser.find(Radiograph(pixels))
    except DataError:
        return "refused"
    if len(found) < 2:
        return "refused" if not found else "wrong"
    shift = np.array([right.image.shape[2], 0.0])
    for wrist, hand, place in zip(found, (right, left), (0, 1), strict=True):
        off = np.linalg.norm(np.array(wrist.window[:2]) - middle(hand) - place * shift) * hand.spacing_mm
        if off > NEAR_MM or wrist.side != hand.side:
            return "wrong"
    return "right"


def filling(localiser: Localiser, wrist: WristSample) -> str:
    """Locate a wrist that fills its radiograph, which must be used whole."""
    found = localiser.find(Radiograph(wrist.image[0], side=wrist.side))
    if not found:
        return "refused"
    return "right" if found[0].window[2] == max(wrist.image[0].shape) else "wrong"


def empty_radiographs(seed: int) -> list[np.ndarray]:
    """Radiographs without a wrist: empty, noise, clouds, stripes, a bright disc."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :300] / 300
    clouds = [
        sum(np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in chance.uniform(-4, 4, (9, 3))) for _ in range(6)
    ]
    radiographs = [
        np.zeros((300, 300)),
        chance.random((300, 300)),
        np.sin(40 * x),
        ((x - 0.5) ** 2 + (y - 0.5) ** 2) < 0.1,
    ]
    return [
        (radiograph - radiograph.min()) / max(np.ptp(radiograph * 1.0), 1e-6)
        for radiograph in map(np.float32, radiographs + clouds)
    ]


def nothing(localiser: Localiser, pixels: np.ndarray) -> str:
    """Try to locate a wrist on a radiograph that shows none."""
    try:
        return "wrong" if localiser.find(Radiograph(pixels.astype(np.float32))) else "right"
    except DataError:
        return "right"


if __name__ == "__main__":
    sys.exit(main())
