"""The files of a result: overlay, JSON and masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.data.formats.bit_map import PNG_BYTES, write_npz, write_png
from jointwrist.data.sample import pack_masks
from jointwrist.files import atomic, write_text
from jointwrist.outputs.overlay import draw_overlay

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult


def save_result(result: WristResult, folder: str | Path, stem: str | None = None) -> list[Path]:
    """Write the files that `WristResult.save` describes."""
    folder = Path(folder)
    stem = stem or Path(result.name).stem
    overlay, record, picture, archive = (
        folder / f"{stem}{ending}" for ending in ("_overlay.png", ".json", "_masks.png", "_masks.npz")
    )
    bits = pack_masks(result.masks)
    with atomic(overlay) as temporary:
        draw_overlay(result).save(temporary, format="PNG")
    write_text(record, json.dumps(result.to_dict(), indent=2) + "\n")
    write_npz(archive, bits, result.anatomy)
    if bits.dtype.itemsize > PNG_BYTES:
        return [overlay, record, archive]
    write_png(picture, bits)
    return [overlay, record, picture, archive]
