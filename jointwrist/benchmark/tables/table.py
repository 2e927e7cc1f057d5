"""A table and its three forms: Markdown, LaTeX and CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.files import atomic, write_text

NOT_RUN, FAILED, ABSENT = "not run", "failed", "-"
#: Marks an interval that leaves out the chance of the seed, since there is one seed only.
ONE_SEED = "†"
#: How figures are to be read, for captions.
OVER_SEEDS = f"Mean ± SD over seeds [95 % interval over seeds and patients; {ONE_SEED} one seed: over patients alone]"


@dataclass(frozen=True)
class Figure:
    """A figure over seeds, with its interval and the published one.

    Attributes:
        mean: Mean over seeds.
        sd: Standard deviation over seeds; nan with one seed.
        low: Lower end of the 95 % interval; nan without one.
        high: Upper end.
        published: Figure of the paper; nan without one.
        digits: Decimals that are printed.
        one_seed: Whether the interval is over patients alone, which is marked.
    """

    mean: float = np.nan
    sd: float = np.nan
    low: float = np.nan
    high: float = np.nan
    published: float = np.nan
    digits: int = 2
    one_seed: bool = False

    @classmethod
    def over_seeds(cls, values: Iterable[float], low: float = np.nan, high: float = np.nan, digits: int = 2) -> Figure:
        """Summarise one value a seed; undefined ones are left out."""
        values = np.asarray(list(values), float)
        values = values[np.isfinite(values)]
        if len(values) == 0:
            return cls()
        sd, one_seed = (float(values.std(ddof=1)), False) if len(values) > 1 else (np.nan, True)
        return cls(float(values.mean()), sd, low, high, digits=digits, one_seed=one_seed)

    def times(self, factor: float) -> Figure:
        """Scale to another unit; the published figure is in that unit already."""
        numbers = {name: getattr(self, name) * factor for name in ("mean", "sd", "low", "high")}
        return replace(self, **numbers)

    def beside(self, published: float | None) -> Figure:
        """Return the figure with a published one."""
        return self if published is None else replace(self, published=published)

    def __str__(self) -> str:
        if np.isnan(self.mean):
            return "undefined"
        mean, sd, low, high = (f"{value:.{self.digits}f}" for value in (self.mean, self.sd, self.low, self.high))
        text = mean if np.isnan(self.sd) else f"{mean} ± {sd}"
        return text if np.isnan(self.low) else f"{text} [{low}, {high}]{ONE_SEED if self.one_seed else ''}"

    def published_text(self) -> str:
        """Published figure, and in brackets ours minus it."""
        if np.isnan(self.published):
            return ABSENT
        if np.isnan(self.mean):
            return f"{self.published:.2f}"
        return f"{self.published:.2f} ({self.mean - self.published:+.2f})"

    def columns(self, name: str) -> dict[str, Any]:
        """Plain columns for CSV."""
        return {
            name: self.mean,
            f"{name} sd": self.sd,
            f"{name} low": self.low,
            f"{name} high": self.high,
            f"{name} interval": np.nan if np.isnan(self.low) else "patients" if self.one_seed else "seeds and patients",
            f"{name} published": self.published,
            f"{name} difference": self.mean - self.published,
        }


@dataclass(frozen=True)
class NoFigure:
    """A cell without a figure of ours, such as `not run`, that may have a published one."""

    text: str
    published: float = np.nan

    def __str__(self) -> str:
        return self.text

    def published_text(self) -> str:
        """Published figure."""
        return ABSENT if np.isnan(self.published) else f"{self.published:.2f}"

    def columns(self, name: str) -> dict[str, Any]:
        """Plain columns for CSV."""
        return Figure(published=self.published).columns(name) | {name: self.text}


@dataclass(frozen=True)
class PValue:
    """A p value, or `best` for the model that the others are compared with."""

    value: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return ABSENT
        return "< 0.001" if self.value < 0.001 else f"{self.value:.3f}"

    def columns(self, name: str) -> dict[str, Any]:
        """Plain columns for CSV."""
        return {name: self.value}


@dataclass(frozen=True)
class Table:
    """One table ready to be written.

    Attributes:
        name: File stem and marker in the README.
        caption: Protocol, data, prompts, seeds and what the columns mean.
        rows: Cells by column: text, numbers, `Figure`, `NoFigure` or `PValue`.
    """

    name: str
    caption: str
    rows: list[dict[str, Any]]

    @property
    def frame(self) -> pd.DataFrame:
        """Text of every cell; published figures in columns of their own at the end."""
        lines = [{column: str(cell) for column, cell in row.items()} for row in self.rows]
        frame = pd.DataFrame(lines).fillna(ABSENT)
        for column in frame.columns:
            cells = [row.get(column) for row in self.rows]
            texts = [cell.published_text() if isinstance(cell, Figure | NoFigure) else ABSENT for cell in cells]
            if any(text != ABSENT for text in texts):
                frame[f"published {column}"] = texts
        return frame

    def csv_frame(self) -> pd.DataFrame:
        """Numbers of every cell in columns of their own; columns that hold nothing are left out."""
        plain = [
            {
                key: value
                for column, cell in row.items()
                for key, value in (cell.columns(column) if hasattr(cell, "columns") else {column: cell}).items()
            }
            for row in self.rows
        ]
        return pd.DataFrame(plain).dropna(axis=1, how="all")

    def markdown(self) -> str:
        """Caption and table in GitHub's Markdown."""
        frame = self.frame
        header = "| " + " | ".join(frame.columns) + " |"
        rule = "|" + "|".join(" --- " if i == 0 else " ---: " for i in range(frame.shape[1])) + "|"
        rows = ["| " + " | ".join(row) + " |" for row in frame.itertuples(index=False, name=None)]
        return "\n".join([f"**{self.caption}**", "", header, rule, *rows, ""])

    def latex(self) -> str:
        """Table for LaTeX with booktabs."""
        frame = self.frame
        lines = [" & ".join(map(_escape, row)) + r" \\" for row in frame.itertuples(index=False, name=None)]
        head = " & ".join(map(_escape, frame.columns)) + r" \\"
        columns = "l" + "r" * (frame.shape[1] - 1)
        body = [r"\toprule", head, r"\midrule", *lines, r"\bottomrule"]
        caption, tabular = rf"\caption{{{_escape(self.caption)}}}", rf"\begin{{tabular}}{{{columns}}}"
        label = rf"\label{{tab:{self.name}}}"
        return "\n".join([r"\begin{table}", caption, label, tabular, *body, r"\end{tabular}", r"\end{table}", ""])

    def write(self, folder: Path) -> None:
        """Write the three forms into a folder."""
        write_text(folder / f"{self.name}.md", self.markdown())
        write_text(folder / f"{self.name}.tex", self.latex())
        with atomic(folder / f"{self.name}.csv") as temporary:
            self.csv_frame().to_csv(temporary, index=False, float_format="%.6g")


def _escape(text: str) -> str:
    text = re.sub(r"([%_&#$])", r"\\\1", text)
    text = re.sub(r"`(.*?)`", r"\\texttt{\1}", text)
    return text.replace("±", r"$\pm$").replace(ONE_SEED, r"$\dagger$").replace("<", "$<$").replace(">", "$>$")
