"""Cautions on bones with few grey values, or with many saturated pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jointwrist.inference.placement import Placement
from jointwrist.inference.search.locate import with_caution

#: Share of the bones' pixels with their brightest grey, and number of their grey values, from which a caution comes. On
#: 2 real wrists (`benchmarks/disturbances.py`) masks stay right, DSC of the worst bone 0.95 or more, with the brightest
#: 5 % of a radiograph saturated and with 16 grey values; with 15 % and with 8 values it falls to 0.88.
_SATURATED, _FEW = 0.2, 12
#: Grey values are counted on about this many pixels.
_SAMPLE = 2**15


def with_exposure_caution(placement: Placement, masks: np.ndarray) -> Placement:
    """Return a placement whose radiograph says that its bones are overexposed or have few grey values, if they do.

    Args:
        placement: Placement of the wrist.
        masks: (C, H, W) bool, the bones on the radiograph.
    """
    grey = placement.radiograph.pixels[masks.any(0)]
    if not len(grey):
        return placement
    values, saturated = len(np.unique(grey[:: max(len(grey) // _SAMPLE, 1)])), np.mean(grey == grey.max())
    if values < _FEW:
        caution = f"Few grey values: the bones have {values} of them; export the radiograph with at least 8 bits."
    elif saturated > _SATURATED:
        caution = (
            f"Overexposed: {100 * saturated:.0f} % of the bones' pixels have the brightest grey; another window or"
            " another export may show more."
        )
    else:
        return placement
    return replace(placement, radiograph=with_caution(placement.radiograph, caution))
