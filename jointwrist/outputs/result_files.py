"""The files of a result: overlay, JSON and masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.data.mask_formats.bit_map import PNG_BYTES, write_npz, write_png
from jointwrist.data.sample import pack_masks
from jointwrist.files import atomic, write_text

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult


def save_result(
    result: WristResult,
    folder: str | Path,
    stem: str | None = None,
    overlay: bool = True,
    source_digest: str | None = None,
) -> list[Path]:
    """Write the files that `WristResult.save` describes.

    Args:
        result: Prediction.
        folder: Folder, made if it is missing.
        stem: Start of the file names; None takes that of the radiograph's file.
        overlay: Whether to draw the overlay; without it, one of an earlier result is removed.
        source_digest: Hash of the radiograph's file, an entry of the JSON file.

    Returns:
        The files written.
    """
    folder = Path(folder)
    stem = stem or Path(result.name).stem
    drawn, record, picture, archive = (
        folder / f"{stem}{ending}" for ending in ("_overlay.png", ".json", "_masks.png", "_masks.npz")
    )
    bits = pack_masks(result.masks)
    write_npz(archive, bits, result.anatomy)  # first, as other files without it are taken for somebody else's
    drawn.unlink(missing_ok=True)
    if overlay:
        from jointwrist.outputs.overlay import draw_overlay  # fonts and filters, which only pictures need

        with atomic(drawn) as temporary:
            # level 1 takes a quarter of the time of the usual one, for a file a fifth larger
            draw_overlay(result).save(temporary, format="PNG", compress_level=1)
    more = {} if source_digest is None else {"source_digest": source_digest}
    if fits := bits.dtype.itemsize <= PNG_BYTES:
        write_png(picture, bits)
    write_text(record, json.dumps(result.to_dict() | more, indent=2) + "\n")
    return [*([drawn] if overlay else []), record, *([picture] if fits else []), archive]
