"""Convert predictions to annotations for manual correction."""

from __future__ import annotations

from jointwrist.data.export_dataset import DrawnRadiograph
from jointwrist.data.sample import pack_masks
from jointwrist.inference.result import WristResult


def drawn_result(result: WristResult, stem: str, deidentify: bool = False) -> DrawnRadiograph:
    """Return the radiograph and the masks of a result.

    Args:
        result: Prediction.
        stem: Name of the files without ending.
        deidentify: Write the pixels only, not a copy of the file with its metadata.
    """
    radiograph = result.radiograph
    copied = radiograph.source is not None and radiograph.header is None and not deidentify
    return DrawnRadiograph(
        stem=stem,
        image=radiograph.pixels,
        picture=radiograph.source if copied else None,
        bones=pack_masks(result.masks),
        spacing_mm=radiograph.spacing_mm,
        row={"side": radiograph.side},
    )
