"""A contact sheet of many predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jointwrist.errors import DataError
from jointwrist.files import atomic
from jointwrist.inference.result import WristResult
from jointwrist.outputs.overlay import paint_masks, shown_size
from jointwrist.outputs.overlay_panel import BACKGROUND, TEXT


def draw_tile(result: WristResult, side: int) -> Image.Image:
    """Draw radiograph, bones and name of a prediction, centred in a square of `side` pixels."""
    size = shown_size(result.radiograph, side)
    radiograph = paint_masks(result.radiograph.pixels, result.masks, size, line_width=1.4, anatomy=result.anatomy)
    tile = Image.new("RGB", (side, side), BACKGROUND)
    tile.paste(
        Image.fromarray((radiograph * 255 + 0.5).astype(np.uint8)), ((side - size[0]) // 2, (side - size[1]) // 2)
    )
    found = f"{result.name}  {len(result.bones)}/{len(result.masks)}"
    ImageDraw.Draw(tile).text(
        (6, side - 6), found, fill=TEXT, font=ImageFont.load_default(12), anchor="ls", stroke_width=2,
        stroke_fill=BACKGROUND,
    )  # fmt: skip
    return tile


def draw_sheet(tiles: Sequence[Image.Image], columns: int = 4) -> Image.Image:
    """Arrange square tiles of equal size in rows.

    Raises:
        ValueError: There are no tiles.
    """
    if not tiles:
        raise ValueError("a sheet needs at least one tile")
    side = tiles[0].width
    columns = min(columns, len(tiles))
    sheet = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side), BACKGROUND)
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % columns * side, index // columns * side))
    return sheet


def picture_format(path: Path) -> str:
    """Return the image format of a file name by its suffix.

    Raises:
        DataError: The suffix is neither that of PNG nor of JPEG.
    """
    try:
        return {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}[path.suffix.lower()]
    except KeyError:
        raise DataError(f"{path}: a picture ends in .png or .jpg") from None


def save_sheet(tiles: Sequence[Image.Image], path: Path) -> None:
    """Write the sheet as PNG or JPEG (about an eighth of the size), by the suffix of the path."""
    kind = picture_format(path)
    with atomic(path) as temporary:
        draw_sheet(tiles).save(temporary, format=kind, **({"quality": 88} if kind == "JPEG" else {}))
