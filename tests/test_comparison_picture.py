"""The picture of a comparison: its legend hides no outline."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from jointwrist.outputs.comparison_picture import FOLLOWUP_COLOUR, LEGEND, draw_comparison


def legend_of(rows: slice, columns: slice) -> tuple[int, int]:
    """Corner x, y of the legend of a comparison whose only outline is that of a bone in the baseline."""
    mask = np.zeros((1, 480, 480), bool)
    mask[0, rows, columns] = True
    visits = [
        SimpleNamespace(radiograph=SimpleNamespace(pixels=np.full((480, 480), 0.3, np.float32)), masks=masks)
        for masks in (mask, np.zeros_like(mask))
    ]
    picture = draw_comparison(SimpleNamespace(baseline=visits[0], followup=visits[1], registration=None), side=480)
    y, x = np.nonzero((np.asarray(picture) == FOLLOWUP_COLOUR).all(-1))  # nothing else has this colour here
    assert np.ptp(x) < LEGEND[0] and np.ptp(y) < LEGEND[1]
    return int(x.min() > 240), int(y.min() > 240)


@pytest.mark.parametrize(
    ("rows", "columns", "corner"),
    [
        (slice(200, 300), slice(200, 300), (0, 0)),
        (slice(20, 50), slice(20, 90), (1, 0)),
        (slice(20, 50), slice(20, 460), (0, 1)),
        (slice(20, 460), slice(20, 90), (1, 0)),
    ],
)
def test_the_legend_is_in_the_first_corner_without_outlines(rows, columns, corner):
    assert legend_of(rows, columns) == corner
