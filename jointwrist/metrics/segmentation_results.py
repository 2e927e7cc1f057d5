"""Segmentation results of one case: a row for each bone and each overlap region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.metrics.segmentation import case_metrics, overlap_metrics

#: Tolerance of `nsd_mm`: two pixels of the 0.15 mm at which most of RAM-W600 was digitised.
TOLERANCE_MM = 0.3


def segmentation_results(
    *,
    case: str,
    patient: str,
    side: str,
    scores: np.ndarray | Sequence[int],
    predicted: np.ndarray,
    truth: np.ndarray,
    tolerance_px: float = 2.0,
    spacing_mm: float | None = None,
    anatomy: Anatomy = WRIST,
) -> list[dict[str, Any]]:
    """Compare the predicted masks of one case with the ground truth.

    Args:
        case: Identifier of the wrist.
        patient: Identifier of the patient.
        side: "L" or "R".
        scores: (J,) erosion scores, `NOT_SCORED` where a joint has none.
        predicted: (C, H, W) masks, bool or 0/1; or the packed (H, W) bit map.
        truth: As `predicted`.
        tolerance_px: Tolerance of `nsd` in pixels of the masks.
        spacing_mm: Pixel spacing in mm; None leaves out the columns in mm.
        anatomy: Bones and overlap pairs.

    Returns:
        One row per bone and pair: `case`, `patient`, `side`, `eroded` (whether a joint is scored above 0; None without
        scores), `kind` ("bone" or "overlap"), `region`, the metrics of `case_metrics`, and `diagonal_px`, the
        diagonal of the masks, which can be used as the MSD of a missed region. With `spacing_mm` also that value,
        `nsd_mm`, the NSD at `TOLERANCE_MM`, and `msd_mm`, the MSD in mm.

    Raises:
        ValueError: The shapes differ, or the values are not 0 and 1.
    """
    scored = np.asarray(scores)
    scored = scored[scored >= 0]
    eroded = bool((scored > 0).any()) if len(scored) else None
    grid = {"diagonal_px": float(np.hypot(*truth.shape[-2:]))}
    if spacing_mm is not None:
        grid["spacing_mm"] = spacing_mm
    common = {"case": case, "patient": patient, "side": side, "eroded": eroded}
    rows = []
    kinds = (("bone", anatomy.bone_names, case_metrics), ("overlap", anatomy.overlap_names, overlap_metrics))
    for kind, names, compare in kinds:
        figures = compare(predicted, truth, tolerance_px, anatomy)
        if spacing_mm is not None:
            figures["nsd_mm"] = compare(predicted, truth, TOLERANCE_MM / spacing_mm, anatomy)["nsd"]
            figures["msd_mm"] = figures["msd"] * spacing_mm
        for index, name in enumerate(names):
            values = {key: float(figure[index]) for key, figure in figures.items()}
            rows.append({**common, "kind": kind, "region": name, **values, **grid})
    return rows
