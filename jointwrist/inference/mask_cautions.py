"""Cautions on a radiograph that only its masks show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jointwrist.inference.exposure import with_exposure_caution
from jointwrist.inference.placement import Placement
from jointwrist.inference.search.locate import with_caution
from jointwrist.ops.wrist_scale import spacing_doubt


def with_mask_cautions(placement: Placement, masks: np.ndarray, wrist: bool) -> Placement:
    """Return a placement whose radiograph says what its masks show to be doubtful: exposure and pixel spacing.

    Args:
        placement: Placement of the wrist, or of another anatomy.
        masks: (C, H, W) bool, the bones on the radiograph.
        wrist: Whether the bones are those of a wrist, whose size is known.
    """
    placement = with_exposure_caution(placement, masks)
    doubt = spacing_doubt(masks, placement.radiograph.pixel_mm) if wrist else None
    if doubt is None:
        return placement
    caution = f"Doubtful pixel spacing: {doubt}. Lengths in mm are wrong by that factor, as on a resized copy."
    return replace(placement, radiograph=with_caution(placement.radiograph, caution))
