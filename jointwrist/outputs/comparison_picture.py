"""The files of a comparison: its JSON, and a picture of the outlines of both visits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from jointwrist.files import atomic
from jointwrist.ops.outlines import outlines

if TYPE_CHECKING:
    from jointwrist.inference.comparison import Comparison

#: Record and picture of a comparison.
NAMES = ("comparison.json", "comparison.png")
BASELINE_COLOUR, FOLLOWUP_COLOUR = (96, 208, 200), (255, 140, 80)
#: Width and height of the legend in pixels.
LEGEND = (110, 64)


def draw_comparison(comparison: Comparison, side: int = 960) -> Image.Image:
    """Draw the outlines of both visits on the baseline radiograph, whose longer side is then `side` pixels."""
    pixels = comparison.baseline.radiograph.pixels
    height, width = pixels.shape
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    picture = Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)).resize(size).convert("RGB")
    plain, draw = np.asarray(picture), ImageDraw.Draw(picture)
    for masks, colour, to_baseline in (
        (comparison.baseline.masks, BASELINE_COLOUR, lambda points: points),
        (comparison.followup.masks, FOLLOWUP_COLOUR, comparison.registration),
    ):
        for mask in masks:
            for line in outlines(mask):
                points = (to_baseline(line) + 0.5) * scale
                draw.line([tuple(point) for point in points], fill=colour, width=2, joint="curve")
    x, y = _freest_corner((np.asarray(picture) != plain).any(-1))
    for row, (text, colour) in enumerate((("baseline", BASELINE_COLOUR), ("follow-up", FOLLOWUP_COLOUR))):
        draw.text((x + 14, y + 12 + 22 * row), text, fill=colour, font_size=18, stroke_width=2, stroke_fill=(0, 0, 0))
    return picture


def _freest_corner(drawn: np.ndarray) -> tuple[int, int]:
    """Return x, y of the corner of the (H, W) bool picture, `LEGEND` in size, in which least is drawn."""
    (height, width), (wide, high) = drawn.shape, LEGEND
    places = [(x, y) for y in (0, max(height - high, 0)) for x in (0, max(width - wide, 0))]
    return min(places, key=lambda place: int(drawn[place[1] : place[1] + high, place[0] : place[0] + wide].sum()))


def save_comparison(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write the files `NAMES` into a folder, which is made if it is missing.

    Raises:
        StorageError: A file cannot be written; those of an earlier comparison are unchanged.
    """
    record, picture = (Path(folder) / name for name in NAMES)
    with atomic(record) as text:  # replaced together, as a picture must not lie beside the record of another comparison
        text.write_text(json.dumps(comparison.to_dict(), indent=2) + "\n", encoding="utf-8")
        with atomic(picture) as drawn:
            draw_comparison(comparison).save(drawn, format="PNG")
    return [record, picture]
