"""Plot of the ablations: AUROC and NSD of every arm, with intervals."""

from __future__ import annotations

from pathlib import Path

from jointwrist.benchmark.ablations.estimates import FIGURES, Figures
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations, title_of
from jointwrist.files import atomic


def write_picture(plan: Ablations, rows: KeptResults, figures: Figures, path: Path) -> None:
    """Draw erosion AUROC and NSD of every arm: one point per seed, and the interval over seeds and patients."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    arms = [arm for arm in plan.entries if any(rows.of(regime, arm) for regime in plan.regimes)]
    figure = Figure(figsize=(10, 0.34 * len(arms) + 1.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    count = len(plan.regimes)
    colours = dict(zip(plan.regimes, ["#1b6ca8", "#d1495b", *(f"C{n}" for n in range(2, count))], strict=False))
    step = 0.56 / max(count, 2)
    shifts = [step * (n - (count - 1) / 2) for n in range(count)]
    for axis, key in zip(axes, ("AUROC", "nsd"), strict=True):
        for shift, regime in zip(shifts, plan.regimes, strict=True):
            for place, arm in enumerate(arms):
                runs = rows.of(regime, arm)
                found = figures.over_seeds(runs, key)
                if found is not None:
                    points = [FIGURES[key][1] * figures.values[run][key] for run in runs]
                    axis.plot([found.low, found.high], [place + shift] * 2, color=colours[regime], lw=2.5, alpha=0.5)
                    axis.plot(points, [place + shift] * len(points), "o", color=colours[regime], ms=4)
        axis.set_xlabel("erosion AUROC, from predicted masks" if key == "AUROC" else "NSD % (2 px)")
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axvline(0.5, color="grey", lw=1, ls=":")
    axes[0].set_yticks(range(len(arms)), [f"{arm}: {_short(title_of(plan, arm))}" for arm in arms])
    axes[0].invert_yaxis()
    handles = [Line2D([], [], color=colours[r], marker="o", lw=2.5, label=r) for r in plan.regimes]
    figure.legend(handles=handles, loc="outside upper right", ncols=count, frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _short(text: str, longest: int = 52) -> str:
    text = text.replace("`", "")
    return text if len(text) <= longest else text[: longest - 1] + "…"
