"""Charts as inline SVG: selectable text, tooltips, and colours that follow the page's light or dark scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from jointwrist.text import number_of

#: Colours of the series; distinguishable without red and green (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a8a8a")

#: Charts that are wider than this, in pixels, are reduced on a telephone, and their text is enlarged in return.
NARROW = 400


def colour(index: int) -> str:
    """Return the colour of a series; they repeat after seven."""
    return COLOURS[index % len(COLOURS)]


class Axis:
    """A linear axis.

    Args:
        low: Smallest value.
        high: Largest value.
        start: Position of the smallest value.
        end: Position of the largest one.
    """

    def __init__(self, low: float, high: float, start: float, end: float):
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, count: int = 4) -> list[float]:
        """Return about `count` round values."""
        rough = (self.high - self.low) / count
        power = 10.0 ** np.floor(np.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
        first = np.ceil(self.low / step - 1e-9) * step
        return [float(round(value, 10)) + 0.0 for value in np.arange(first, self.high + step * 1e-6, step)]


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    kind = ' class="wide"' if width > NARROW else ""
    return (
        f'<svg{kind} viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'


def line_chart(title: str, x: Sequence[float], series: Mapping[str, Sequence[float]]) -> str:
    """Draw series over epochs; values that are not finite are left out."""
    width, height, left, bottom, top = 330, 200, 46, 30, 26
    values = np.array([value for line in series.values() for value in line if np.isfinite(value)])
    if len(values) == 0:
        return _svg(width, height, [_text(left, top, f"{title}: no values")], title)
    across = Axis(min(x), max(x), left, width - 10)
    up = Axis(float(values.min()), float(values.max()), height - bottom, top)
    parts = [_text(left, 14, title, css="title"), _text(width - 10, height - 2, "epoch", "end", "tick")]
    for tick in up.ticks():
        parts.append(f'<path class="grid" d="M{left} {up(tick):g}H{width - 10}"/>')
        parts.append(_text(left - 5, up(tick) + 3.5, f"{tick:g}", "end", "tick"))
    for tick in (value for value in across.ticks() if value == int(value)):
        parts.append(_text(across(tick), height - bottom + 14, f"{tick:g}", "middle", "tick"))
    for index, (name, line) in enumerate(series.items()):
        points = [(across(a), up(b)) for a, b in zip(x, line, strict=True) if np.isfinite(b)]
        if not points:
            continue
        path = "M" + "L".join(f"{a:g} {b:g}" for a, b in points)
        parts.append(f'<path class="line" stroke="{colour(index)}" d="{path}"><title>{escape(name)}</title></path>')
        if len(points) == 1:
            parts.append(f'<circle cx="{points[0][0]:g}" cy="{points[0][1]:g}" r="3" fill="{colour(index)}"/>')
    return _svg(width, height, parts, title)


def quartile_chart(title: str, groups: Sequence[str], series: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Draw median and quartiles of every series for every group, one group per row.

    Args:
        title: Quantity and unit.
        groups: Rows, from top to bottom.
        series: Values by group by series, at least one of them finite; nan is left out.
    """
    row = 9 * len(series) + 12
    width, left, top = 760, 190, 44
    height = top + row * len(groups) + 8
    finite = [v[np.isfinite(v)] for by_group in series.values() for v in by_group.values()]
    finite = np.concatenate(finite)
    low, high = np.quantile(finite, 0.01), finite.max()
    across = Axis(float(low), float(high), left, width - 20)
    parts = [_text(left, 14, title, css="title")]
    for tick in across.ticks(6):
        parts.append(f'<path class="grid" d="M{across(tick):g} {top - 8}V{height - 6}"/>')
        parts.append(_text(across(tick), top - 14, f"{tick:g}", "middle", "tick"))
    for position, group in enumerate(groups):
        y = top + position * row
        parts.append(_text(left - 10, y + row / 2, group, "end"))
        for index, (name, by_group) in enumerate(series.items()):
            values = np.asarray(by_group.get(group, []), float)
            values = values[np.isfinite(values)]
            if len(values) == 0:
                continue
            quarter, median, three = (max(v, across.low) for v in np.quantile(values, (0.25, 0.5, 0.75)))
            line = y + 8 + 9 * index
            wrists = number_of(len(values), "wrist")
            said = f"{name}, {group}: median {median:.3g}, quartiles {quarter:.3g} to {three:.3g}, {wrists}"
            parts.append(
                f'<g stroke="{colour(index)}" fill="{colour(index)}"><title>{escape(said)}</title>'
                f'<path class="range" d="M{across(quarter):g} {line:g}H{across(three):g}"/>'
                f'<circle cx="{across(median):g}" cy="{line:g}" r="3.5"/></g>'
            )
    return _svg(width, height, parts, title)


def strip_chart(title: str, groups: Mapping[str, Sequence[tuple[float, int, str]]], threshold: float | None) -> str:
    """Draw probabilities as points: eroded joints above the line of their name, healthy ones below it.

    Args:
        title: Model.
        groups: Probability, true score and case by joint.
        threshold: Probability from which a joint counts as eroded.
    """
    width, left, top, row = 760, 190, 44, 40
    height = top + row * len(groups) + 8
    across = Axis(0, 1, left, width - 20)
    parts = [_text(left, 14, title, css="title")]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path class="grid" d="M{across(tick):g} {top - 8}V{height - 6}"/>')
        parts.append(_text(across(tick), top - 14, f"{tick:g}", "middle", "tick"))
    if threshold is not None:
        parts.append(
            f'<path class="threshold" d="M{across(threshold):g} {top - 8}V{height - 6}">'
            f"<title>threshold {threshold:.3g}</title></path>"
        )
    for position, (joint, points) in enumerate(groups.items()):
        middle = top + position * row + row / 2
        parts.append(_text(left - 10, middle + 4, joint, "end"))
        for number, (probability, score, case) in enumerate(points):
            shift = 3 + number * 5 % 11  # spreads points that would lie on one another
            y = middle - shift if score > 0 else middle + shift
            said = f"{case}, {joint}: probability {probability:.3f}, true score {score}"
            parts.append(
                f'<circle class="{"eroded" if score > 0 else "healthy"}" cx="{across(probability):g}" cy="{y:g}" r="3">'
                f"<title>{escape(said)}</title></circle>"
            )
    return _svg(width, height, parts, title)
