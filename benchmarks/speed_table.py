"""Speed tables of README and documentation, for every machine that was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pandas as pd

from benchmarks.build_probes import PARTS
from jointwrist.benchmark.tables.table import markdown_lines

RESULTS = Path(__file__).parent / "results"
#: Part and name of a row, and what the README calls it.
SHOWN = {
    ("metrics", "ratio to MONAI"): "Surface metrics of a wrist, all five, against MONAI's NSD and MSD",
    ("scan", "mambapy to cpu N=16 L=4096 forward+backward"): "Selective scan, 16 states, 4,096 steps, against mambapy",
    ("scan", "mambapy to cpu N=1 L=4096 forward+backward"): "Selective scan, 1 state, 4,096 steps, against mambapy",
    ("inference", "unetpp + mobilevit to jointwrist_tiny"): "`jointwrist_tiny` against `unetpp` and `mobilevit`",
    ("inference", "swin_umamba to jointwrist_base"): "`jointwrist_base` against `swin_umamba`, which scores no erosion",
    ("loading", "packed, before augmentation, cached, to Pillow, read each time"): (
        "Loading up to the GPU against 14 arrays per image, read and warped by Pillow"
    ),
    (
        "loading",
        "packed, cached, to scipy, read each time",
    ): "Loading with augmentation on the CPU, the arrays warped by SciPy",
    (
        "loading",
        "packed, cached, to Pillow, read each time",
    ): "Loading with augmentation on the CPU, the arrays warped by Pillow",
    ("loading", "packed, augmented on the GPU, cached, to Pillow, read each time"): "The same, augmentation on the GPU",
    ("phantom", "make 600 px"): "Phantom radiographs of 600 px, on one core",
}
#: Those of them that the README shows.
SHORT = [
    ("metrics", "ratio to MONAI"),
    ("scan", "mambapy to cpu N=16 L=4096 forward+backward"),
    ("inference", "unetpp + mobilevit to jointwrist_tiny"),
    ("inference", "swin_umamba to jointwrist_base"),
    ("loading", "packed, cached, to Pillow, read each time"),
]

LEAST, MOST = "or more", "or less"
#: Scan, forward and backward: its title, aim, unit and sense by the name of the row.
AIMS = {
    "reference to cpu N=16 L=4096 forward+backward": ("`cpu` against the loop, 16 states, 4,096 steps", 80, "×", LEAST),
    "mambapy to cpu N=16 L=4096 forward+backward": ("`cpu` against mambapy, the same", 50, "×", LEAST),
    "reference to torch N=16 L=4096 forward+backward": ("`torch` against the loop, the same", 10, "×", LEAST),
    "associative_scan to torch N=16 L=4096 forward+backward": (
        "`torch` against compiled `associative_scan`, the same",
        1.5,
        "×",
        LEAST,
    ),
    "reference to cpu N=1 L=4096 forward+backward": ("`cpu` against the loop, 1 state, 4,096 steps", 40, "×", LEAST),
    "cpu N=16 L=16384 extra memory": ("Memory of `cpu`, 16 states, 16,384 steps", 150, "MB", MOST),
    "torch N=16 L=16384 extra memory": ("Memory of `torch`, the same", 300, "MB", MOST),
}
#: Bound of the machine divided by the time; above 1 where the scan is faster than the bound.
BOUNDS = {
    f"cpu N={states} L=4096 forward+backward, bound to time": f"Bound of the machine to the time of `cpu`, {problem}"
    for states, problem in ((16, "16 states, 4,096 steps"), (1, "1 state, 4,096 steps"))
}


def measured(folder: Path = RESULTS) -> dict[str, dict[tuple[str, str], tuple[float, str]]]:
    """Read values and units by part and name of the row, for each machine."""
    machines: dict[str, dict[tuple[str, str], tuple[float, str]]] = {}
    for path in sorted(folder.glob("speed-*.csv")):
        for row in pd.read_csv(path, keep_default_na=False).to_dict("records"):
            machines.setdefault(row["machine"], {})[row["part"], row["name"]] = float(row["value"]), row["unit"] or "×"
    return machines


def _lines(heads: list[str], rows: list[list[str]], wide: int) -> str:
    """Markdown table whose first `wide` columns name the row; rows without a value are left out."""
    return "\n".join(markdown_lines(heads, [row for row in rows if set(row[wide:]) != {"-"}]))


def speed_table(folder: Path = RESULTS, rows: Iterable[tuple[str, str]] = tuple(SHOWN)) -> str:
    """Markdown table of some rows of `SHOWN`, with a column per machine; a dash means not measured."""
    rows = list(rows)
    machines = {machine: found for machine, found in measured(folder).items() if found.keys() & set(rows)}

    def cell(found: dict, key: tuple[str, str]) -> str:
        return "{:.3g} {}".format(*found[key]) if key in found else "-"

    lines = [[SHOWN[key], *(cell(found, key) for found in machines.values())] for key in rows]
    return _lines(["", *machines], lines, wide=1)


def scan_table(folder: Path = RESULTS) -> str:
    """Markdown table of the aims of the scan, and of the values on every machine that ran it on its CPU."""
    machines = {machine: found for machine, found in measured(folder).items() if ("scan", next(iter(AIMS))) in found}

    def cell(found: dict, name: str, aim: float = 0.0, sense: str = LEAST) -> str:
        if ("scan", name) not in found:
            return "-"
        value, unit = found["scan", name]
        missed = value < aim if sense == LEAST else value > aim
        return f"{value:.3g} {unit}{', missed' * missed}"

    rows = [
        [title, f"{aim} {unit} {sense}", *(cell(found, name, aim, sense) for found in machines.values())]
        for name, (title, aim, unit, sense) in AIMS.items()
    ]
    rows += [[title, "", *(cell(found, name) for found in machines.values())] for name, title in BOUNDS.items()]
    return _lines(["", "target", *machines], rows, wide=2)


def builds_table(folder: Path = RESULTS) -> str:
    """Markdown table of the times of an earlier build divided by those of this one, with their targets."""
    end = ", other build to this"
    machines = {
        machine: {name.removesuffix(end): value for (_, name), (value, _) in found.items() if name.endswith(end)}
        for machine, found in measured(folder).items()
    }
    machines = {machine: found for machine, found in machines.items() if found}

    def cell(value: float | None, least: float) -> str:
        return "-" if value is None else f"{value:.3g} ×{', missed' * (value < least)}"

    rows = [
        [part, f"{least} × {LEAST}", *(cell(found.get(part), least) for found in machines.values())]
        for part, (_, least) in PARTS.items()
    ]
    return _lines(["", "target", *machines], rows, wide=2) if machines else "Not measured yet."


def training_table(folder: Path = RESULTS) -> str:
    """Markdown table of training steps: time by size, growth, and the parts of a step at the largest size."""
    tables: list[str] = []
    for machine, values in measured(folder).items():
        found = {name: value for (part, name), (value, _) in values.items() if part == "training"}
        steps = [(m[1], int(m[2])) for name in found if (m := re.fullmatch(r"(\w+) (\d+) px", name))]
        if not steps:
            continue
        sizes = sorted({size for _, size in steps})
        parts = [name.partition(f"{steps[0][0]} {sizes[-1]} px, ")[2] for name in found]
        parts = [part for part in parts if part and not part.startswith("memory")]
        heads = ["model", *(f"ms at {size} px" for size in sizes)]
        heads += [f"{small} to {large} px" for small, large in pairwise(sizes)] + [f"{part} %" for part in parts]
        rows = []
        for model in dict.fromkeys(model for model, _ in steps):
            cells = [f"{found[f'{model} {size} px']:.0f}" for size in sizes]
            cells += [f"{found[f'{model} {large} px to {small} px']:.1f} ×" for small, large in pairwise(sizes)]
            cells += [f"{100 * found[f'{model} {sizes[-1]} px, {part}']:.1f}" for part in parts]
            rows.append([f"`{model}`", *cells])
        tables.append(f"{machine}:\n\n{_lines(heads, rows, wide=1)}")
    return "\n\n".join(tables) or "Not measured yet."
