"""Colours for bones whose anatomy specifies none."""

from __future__ import annotations

import colorsys


def colour_of(index: int) -> tuple[int, int, int]:
    """Return the RGB colour, 0..255, of the bone at an index; neighbours in the order differ clearly in hue."""
    # the golden angle: no hue comes close to an earlier one for as long as possible
    hue, value = (0.58 + index * 0.381966) % 1, (0.9, 0.7, 1.0)[index % 3]
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, (0.75, 0.6, 0.45)[index % 3], value))
