"""Plot learning curves: losses and validation figures of one or several trainings over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from jointwrist.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Name of the picture in the folder of a training.
CURVES = "curves.png"
#: Validation figures by column: title and factor.
_FIGURES = {"val_dsc": ("validation DSC %", 100), "val_nsd": ("validation NSD %", 100), "val_auroc": ("AUROC", 1)}
#: Losses by column, without its prefix: what each is the loss of. Others go by the name of their column.
_LOSSES = {
    "loss": "total loss",
    "dice": "loss: masks, Dice",
    "bce": "loss: masks, cross-entropy",
    "overlap": "loss: overlaps of bones, Dice",
    "erosion": "loss: erosion scores",
    "map": "loss: heat maps of erosion",
    "shapes": "loss: bones with and without erosion",
    "consistency": "loss: consistency with the teacher",
}
_STYLES = {"validation": "-", "training": "--"}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a8a8a")


def save_curves(path: Path, histories: Mapping[str, pd.DataFrame]) -> None:
    """Draw a panel for every validation figure and every loss; validation solid, training dashed.

    Args:
        path: PNG file.
        histories: Contents of `history.csv` by the name of the training.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    histories = {name: epochs_from_one(history) for name, history in histories.items()}
    known = [column for history in histories.values() for column in history if history[column].notna().any()]
    columns = list(dict.fromkeys(known))
    figures = [column for column in _FIGURES if column in columns]
    losses = [column.removeprefix("train_") for column in columns if column.startswith("train_")]
    rows = 1 + (len(figures) + len(losses) - 1) // 4
    figure = Figure(figsize=(12.8, 2.8 * rows), layout="constrained")
    panels = iter(figure.subplots(rows, 4, squeeze=False).flat)
    for column in figures:
        panel, (title, factor) = next(panels), _FIGURES[column]
        panel.set(title=title)
        for index, history in enumerate(histories.values()):
            if column in history:
                _line(panel, history, factor * history[column], index)
    for loss in losses:
        panel = next(panels)
        panel.set(title=_LOSSES.get(loss, f"loss: {loss}"))
        for index, history in enumerate(histories.values()):
            for kind, style in (("train", _STYLES["training"]), ("val", _STYLES["validation"])):
                if f"{kind}_{loss}" in history:
                    _line(panel, history, history[f"{kind}_{loss}"], index, style)
    for panel in figure.axes:
        panel.set(xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.set_axis_on() if panel.lines else panel.set_axis_off()
    lines = [Line2D([], [], color=_COLOURS[index % len(_COLOURS)], label=name) for index, name in enumerate(histories)]
    lines += [Line2D([], [], color="grey", linestyle=style, label=kind) for kind, style in _STYLES.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=8, frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def epochs_from_one(history: pd.DataFrame) -> pd.DataFrame:
    """Return a `history.csv` with its epochs counted from 1; those of older versions count from 0."""
    return history.assign(epoch=history["epoch"] + 1 - history["epoch"].min())


def _line(panel: Axes, history: pd.DataFrame, values: pd.Series, index: int, style: str = "-") -> None:
    marker = "." if len(history) == 1 else None
    panel.plot(history["epoch"], values, style, marker=marker, color=_COLOURS[index % len(_COLOURS)])
