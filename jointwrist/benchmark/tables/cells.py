"""Cells of a table: a figure with its interval, a missing figure, a p value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

NOT_RUN, FAILED, ABSENT = "not run", "failed", "-"
#: Marks an interval over patients alone: with a single seed the variation between seeds is unknown.
ONE_SEED = "†"
#: How to read a figure, for captions.
OVER_SEEDS = f"Mean ± SD over seeds [95 % interval over seeds and patients; {ONE_SEED} one seed: over patients alone]"


@dataclass(frozen=True)
class Figure:
    """A mean over seeds with its interval, and the published figure for comparison.

    Attributes:
        mean: Mean over seeds.
        sd: Standard deviation over seeds; nan with one seed.
        low: Lower end of the 95 % interval; nan without one.
        high: Upper end.
        published: Published figure; nan without one.
        comparable: Whether mean and published figure are of the same data, so that their difference means something.
        digits: Decimals in print.
        one_seed: Whether the interval is over patients alone; such an interval is marked.
    """

    mean: float = np.nan
    sd: float = np.nan
    low: float = np.nan
    high: float = np.nan
    published: float = np.nan
    digits: int = 2
    one_seed: bool = False
    comparable: bool = False

    @classmethod
    def over_seeds(cls, values: Iterable[float], low: float = np.nan, high: float = np.nan, digits: int = 2) -> Figure:
        """Summarise one value per seed; undefined values are left out."""
        values = np.asarray(list(values), float)
        values = values[np.isfinite(values)]
        if len(values) == 0:
            return cls()
        sd, one_seed = (float(values.std(ddof=1)), False) if len(values) > 1 else (np.nan, True)
        return cls(float(values.mean()), sd, low, high, digits=digits, one_seed=one_seed)

    def times(self, factor: float) -> Figure:
        """Scale to another unit. The published figure is in that unit already."""
        numbers = {name: getattr(self, name) * factor for name in ("mean", "sd", "low", "high")}
        return replace(self, **numbers)

    def with_published(self, published: float | None, comparable: bool = False) -> Figure:
        """Return the figure with the published one added."""
        return self if published is None else replace(self, published=published, comparable=comparable)

    def __str__(self) -> str:
        if np.isnan(self.mean):
            return "undefined"
        mean, sd, low, high = (f"{value:.{self.digits}f}" for value in (self.mean, self.sd, self.low, self.high))
        text = mean if np.isnan(self.sd) else f"{mean} ± {sd}"
        return text if np.isnan(self.low) else f"{text} [{low}, {high}]{ONE_SEED if self.one_seed else ''}"

    def published_text(self) -> str:
        """Published figure, followed by ours minus the published one in brackets if the two can be compared."""
        if np.isnan(self.published):
            return ABSENT
        if np.isnan(self.mean) or not self.comparable:
            return f"{self.published:.2f}"
        return f"{self.published:.2f} ({self.mean - self.published:+.2f})"

    def columns(self, name: str) -> dict[str, Any]:
        """Columns of the CSV file."""
        return {
            name: self.mean,
            f"{name} sd": self.sd,
            f"{name} low": self.low,
            f"{name} high": self.high,
            f"{name} interval": np.nan if np.isnan(self.low) else "patients" if self.one_seed else "seeds and patients",
            f"{name} published": self.published,
            f"{name} difference": self.mean - self.published if self.comparable else np.nan,
        }


@dataclass(frozen=True)
class NoFigure:
    """A cell without a figure of ours, such as `not run`, possibly with a published one."""

    text: str
    published: float = np.nan

    def __str__(self) -> str:
        return self.text

    def published_text(self) -> str:
        """Published figure."""
        return ABSENT if np.isnan(self.published) else f"{self.published:.2f}"

    def columns(self, name: str) -> dict[str, Any]:
        """Columns of the CSV file."""
        return Figure(published=self.published).columns(name) | {name: self.text}


@dataclass(frozen=True)
class PValue:
    """A p value; nan where there is no test."""

    value: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return ABSENT
        return "< 0.001" if self.value < 0.001 else f"{self.value:.3f}"

    def columns(self, name: str) -> dict[str, Any]:
        """Columns of the CSV file."""
        return {name: self.value}
