"""Means of per-case results as text, for the commands that evaluate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def means(table: str, frame: DataFrame) -> str:
    """Return the means of per-case results as one line of text."""
    from jointwrist.metrics.segmentation_results import TOLERANCE_MM

    if table == "segmentation":
        bones = frame[frame["kind"] == "bone"]
        figures = [f"{key.upper()} {100 * bones[key].mean():.2f} %" for key in ("dsc", "nsd", "voe")]
        if "nsd_mm" in bones:
            figures.append(f"NSD at {TOLERANCE_MM} mm {100 * bones['nsd_mm'].mean():.2f} %")
        return ", ".join(figures)
    if table != "erosion":
        from jointwrist.metrics.ordinal import ordinal_figures

        figures = ordinal_figures(*(frame[name].to_numpy() for name in ("score", "level", "probability")))
        return ", ".join(f"{name} {value[0]:.3f}" for name, value in figures.items())
    from jointwrist.anatomy import WRIST
    from jointwrist.metrics.erosion import calibration_error, erosion_metrics

    columns = [frame[name].to_numpy() for name in ("score", "probability", "predicted")]
    levels, highest = None, WRIST.erosion.levels - 1
    if frame["level"].max() > 1:  # the model grades erosions; the call decides whether there is one, as in `predict`
        levels = frame["level"].clip(1, highest).where(frame["predicted"] > 0, 0).to_numpy()
    pooled = erosion_metrics(*columns, frame["joint"].factorize()[0], levels, highest + 1).loc["pooled"]
    error = calibration_error(frame["score"].to_numpy() > 0, frame["probability"].to_numpy())
    if math.isnan(pooled["AUROC"]):
        eroded = "every" if (frame["score"] > 0).all() else "no"
        return (
            f"calibration error {100 * error:.2f} %; {eroded} scored joint is eroded, so the other figures are unknown"
        )
    degrees = ""
    if levels is not None:
        called = (frame["score"] > 0) & (frame["predicted"] > 0)
        right = (levels == frame["score"].clip(upper=highest))[called].mean()
        degrees = f", QWK {pooled['QWK']:.3f}, right degree of eroded joints that are called {100 * right:.1f} %"
    return (
        f"AUROC {pooled['AUROC']:.3f}, balanced accuracy {100 * pooled['BACC']:.2f} %, F1 {100 * pooled['F1']:.2f} %,"
        f" calibration error {100 * error:.2f} %{degrees}"
    )


def family_table(figures: DataFrame) -> str:
    """Return AUROC by family as a Markdown table, one line per family."""
    from jointwrist.benchmark.tables.table import markdown_lines

    rows = [
        (
            row.family,
            "erosion" if row.erosive else "none",
            str(row.joints),
            f"{row.AUROC:.3f} [{row.low:.3f}, {row.high:.3f}]",
            f"{row.probability:.2f}",
        )
        for row in figures.itertuples()
    ]
    heads = ["family", "truth", "joints", "AUROC [95 % interval by patient]", "mean probability"]
    return "\n".join(markdown_lines(heads, rows))
