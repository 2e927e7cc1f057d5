"""Effect of disturbed grey values on the predicted masks: `python benchmarks/disturbances.py`.

The radiographs are phantoms not used for training, or your own (or folders of them). Each is written as 12 bits in a
16-bit PNG file, undisturbed and with each disturbance that a detector, a scanner or a program can cause, and predicted
from that file with outlying grey values unchanged and corrected (`data.outliers`). The DSC compares each bone with its
mask on the undisturbed radiograph, on the pixels that are not covered.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from benchmarks.phantoms_or_radiographs import parse_arguments
from jointwrist.benchmark.tables.table import markdown_lines
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.data.images import read_image
from jointwrist.data.load import load_radiograph
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.phantom import PhantomConfig, make_wrist

#: DSC of each bone, with outliers unchanged and corrected; None where the radiograph is refused.
Pair = tuple[np.ndarray | None, np.ndarray | None]
#: Largest values of 12 and of 16 bits.
TOP, OVERFLOW = 2**12 - 1, 2**16 - 1


def main(argv: list[str] | None = None) -> int:
    """Print refused radiographs, worst and median DSC by kind of disturbance."""
    arguments = parse_arguments(argv, __doc__, "wrists", 6, 6000)
    predictor = Predictor.from_pretrained("jointwrist_tiny")
    if arguments.radiographs:
        given = [load_radiograph(path) for path in find_radiographs(arguments.radiographs)]
        radiographs = [(radiograph.pixels, radiograph.side) for radiograph in given]
    else:
        wrists = (make_wrist(arguments.seed, index, PhantomConfig(size=320)) for index in range(arguments.wrists))
        radiographs = [(wrist.image[0], wrist.side) for wrist in wrists]
    scores: dict[str, list[Pair]] = defaultdict(list)
    for pixels, side in tqdm(radiographs, "radiographs"):
        for kind, pair in measure(predictor, pixels, side):
            scores[kind].append(pair)
    print(table(scores))
    return 0


def table(scores: Mapping[str, Sequence[Pair]]) -> str:
    """Return the table in Markdown; a radiograph without an answer counts as refused."""
    head = ["disturbance", "radiographs"]
    head += [
        f"{what}, {when}" for when in ("outliers kept", "mended") for what in ("refused", "worst bone", "median bone")
    ]
    rows = []
    for kind, pairs in scores.items():
        row = [kind, str(len(pairs))]
        for results in zip(*pairs, strict=True):
            answered = [result for result in results if result is not None]
            dices = np.concatenate(answered) if answered else np.full(1, np.nan)
            row += [str(len(results) - len(answered)), f"{np.nanmin(dices):.3f}", f"{np.nanmedian(dices):.3f}"]
        rows.append(tuple(row))
    return "\n".join(markdown_lines(head, rows))


def measure(predictor: Predictor, pixels: np.ndarray, side: str | None) -> Iterator[tuple[str, Pair]]:
    """Yield each kind of disturbance with the DSC of each bone, with outliers and without."""
    values = np.round(pixels * TOP).astype(np.uint16)
    nothing = np.zeros(values.shape, bool)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "radiograph.png"
        Image.fromarray(values).save(path)
        reference = masks_of(predictor, load_radiograph(path, side))
        for kind, disturb in DISTURBANCES.items():
            disturbed = disturb(values, np.random.default_rng(0))
            picture, covered = disturbed if isinstance(disturbed, tuple) else (disturbed, nothing)
            Image.fromarray(picture).save(path)
            both = Radiograph(read_image(path), side=side), load_radiograph(path, side)
            found = [masks_of(predictor, radiograph) for radiograph in both]
            yield kind, tuple(None if masks is None else dice(masks, reference, ~covered) for masks in found)


def masks_of(predictor: Predictor, radiograph: Radiograph) -> np.ndarray | None:
    """Return the predicted masks of a radiograph, or None if it is refused."""
    try:
        result = predictor.predict(predictor.locate(radiograph)[:1])[0]
    except DataError:
        return None
    return result.masks


def dice(found: np.ndarray, reference: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the DSC of each bone on the visible pixels, nan where neither has any."""
    both = 2 * (found & reference & visible).sum((1, 2))
    total = (found & visible).sum((1, 2)) + (reference & visible).sum((1, 2))
    return np.where(total > 0, both / np.maximum(total, 1), np.nan)


def on_pedestal(values: np.ndarray) -> np.ndarray:
    """Return values that leave the lower half of 12 bits unused, as a detector's offset does."""
    return (values // 2 + TOP // 2).astype(np.uint16)


def hot_column(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set a column to the largest number of 16 bits."""
    values = values.copy()
    values[:, values.shape[1] // 3] = OVERFLOW
    return values


def dead_lines(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set a column and a row to 0, where no other value is below half of the range."""
    values = on_pedestal(values)
    values[:, values.shape[1] // 3] = values[values.shape[0] // 4] = 0
    return values


def black_lines(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set a column and a row to 0."""
    values = values.copy()
    values[:, values.shape[1] // 3] = values[values.shape[0] // 4] = 0
    return values


def faulty_pixels(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give 30 pixels any values of 16 bits."""
    values = values.copy()
    values.flat[rng.choice(values.size, 30, replace=False)] = rng.integers(0, OVERFLOW, 30)
    return values


def overflow(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let the brightest 2 % overflow to the largest number of 16 bits."""
    return np.where(values > np.quantile(values, 0.98), OVERFLOW, values).astype(np.uint16)


def text(grey: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Burn in rows of bright bars, of 2 % of the pixels, at the upper left corner."""

    def disturb(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        values, side = values.copy(), min(values.shape)
        high, wide = side // 30, max(side // 120, 1)
        for row in range(4):
            for column in range(20):
                top, left = (1 + 2 * row) * high, (2 + 3 * column) * wide
                values[top : top + high, left : left + 2 * wide] = grey
        return values

    return disturb


def frame(grey: int, shape: str, background: int = 0) -> Callable:
    """Cover what is outside a rectangle, a rotated rectangle or a circle with one grey."""

    def disturb(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        height, width = values.shape
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        if shape == "rectangle":
            covered = np.maximum(abs(x), abs(y)) > 0.9
        elif shape == "turned":
            covered = np.maximum(abs(0.99 * x + 0.14 * y), abs(0.99 * y - 0.14 * x)) > 0.95
        else:
            covered = np.hypot(x, y) > 1.1
        values = on_pedestal(values) if background else values
        return np.where(covered, grey, values).astype(np.uint16), covered

    return disturb


def scanned(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cover an uneven margin with a noisy white, as a scanner leaves it around a film."""
    height, width = values.shape
    y, x = np.mgrid[:height, :width]
    sides = [gaussian_filter(rng.normal(0, 1, length), 20) * 12 + 0.05 * length for length in (height, width)]
    covered = (x < sides[0][:, None]) | (y < sides[1][None]) | (x > width - sides[0][:, None])
    white = np.clip(rng.normal(0.98, 0.01, values.shape), 0, 1) * TOP
    return np.where(covered, white, values).astype(np.uint16), covered


def bright_corner(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Saturate the lower right corner at the largest number of 16 bits."""
    y, x = np.mgrid[0 : 1 : values.shape[0] * 1j, 0 : 1 : values.shape[1] * 1j]
    covered = x + y > 1.7
    return np.where(covered, OVERFLOW, values).astype(np.uint16), covered


def fog(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a haze that increases from left to right, and compress the range."""
    veil = np.linspace(0.1, 0.5, values.shape[1])[None]
    return np.round(TOP * (veil + 0.5 * values / TOP)).astype(np.uint16)


def saturated(percent: int) -> Callable:
    """Saturate the brightest pixels, as overexposure and a narrow window do."""

    def disturb(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.minimum(values * (TOP / np.quantile(values, 1 - percent / 100)), TOP).astype(np.uint16)

    return disturb


def few_values(levels: int) -> Callable:
    """Reduce the grey values to a few."""
    return lambda values, rng: (np.round(values / TOP * (levels - 1)) / (levels - 1) * TOP).astype(np.uint16)


def inverted(disturb: Callable) -> Callable:
    """Exchange dark and bright of the 12 bits after a disturbance."""

    def then(values: np.ndarray, rng: np.random.Generator) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        disturbed = disturb(values, rng)
        if isinstance(disturbed, tuple):
            return (TOP - disturbed[0]).astype(np.uint16), disturbed[1]
        return (TOP - disturbed).astype(np.uint16)

    return then


DISTURBANCES: dict[str, Callable] = {
    "hot column": hot_column,
    "dead column and row": dead_lines,
    "black column and row": black_lines,
    "30 faulty pixels": faulty_pixels,
    "overflow of the brightest 2 %": overflow,
    "text, as bright as bone": text(TOP),
    "text, overflowing": text(OVERFLOW),
    "black frame (for comparison)": frame(0, "rectangle"),
    "black frame below an offset": frame(0, "rectangle", background=1),
    "white frame": frame(TOP, "rectangle"),
    "white frame, overflowing": frame(OVERFLOW, "rectangle"),
    "grey frame": frame(TOP // 2, "rectangle"),
    "white frame, turned": frame(TOP, "turned"),
    "white frame, round": frame(TOP, "circle"),
    "white margin of a scan": scanned,
    "saturated corner": bright_corner,
    "fog": fog,
    **{f"brightest {share} % saturated": saturated(share) for share in (5, 15, 30)},
    **{f"{levels} grey values": few_values(levels) for levels in (16, 8, 4)},
    "negative": inverted(lambda values, rng: values),
    "negative in a black frame": inverted(frame(TOP, "rectangle")),
    "negative in a white frame": inverted(frame(0, "rectangle")),
}


if __name__ == "__main__":
    sys.exit(main())
