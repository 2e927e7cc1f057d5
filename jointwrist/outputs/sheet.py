"""A contact sheet of many predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from jointwrist.errors import DataError
from jointwrist.files import atomic, check_writable, refuse_folder
from jointwrist.inference.result import WristResult
from jointwrist.outputs.overlay import paint_masks, shown_size
from jointwrist.outputs.overlay_panel import BACKGROUND, TEXT

#: Stored in every sheet, so that a later run replaces sheets alone.
_MARK = "sheet of jointwrist predict"


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


def check_place(path: Path) -> None:
    """Check, before the work, where a sheet is to be written.

    Raises:
        DataError: The suffix is no picture's, or there is a picture that is no sheet, such as a radiograph.
        StorageError: It is a folder, or its folder is a file or not writable.
    """
    picture_format(path)
    check_writable(path.parent, make=False)
    refuse_folder(path)
    if path.exists() and not is_sheet(path):
        raise DataError(f"{path}: exists, and is no sheet of an earlier run; give --sheet another name")


def is_sheet(path: Path) -> bool:
    """Whether a file is a sheet of an earlier run."""
    try:
        with Image.open(path) as picture:
            return picture.info.get("comment") in (_MARK, _MARK.encode())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # no picture
        return False


def save_sheet(tiles: Sequence[Image.Image], path: Path) -> None:
    """Write the sheet as PNG or JPEG (about an eighth of the size), by the suffix of the path."""
    mark = PngInfo()
    mark.add_text("comment", _MARK)
    kind = picture_format(path)
    options = {"quality": 88, "comment": _MARK} if kind == "JPEG" else {"pnginfo": mark}
    with atomic(path) as temporary:
        draw_sheet(tiles).save(temporary, format=kind, **options)
