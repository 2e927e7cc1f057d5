"""Speed tables of README and documentation, for every machine that was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.speed_parts.build_probes import PARTS
from jointwrist.benchmark.tables.table import markdown_lines

RESULTS = Path(__file__).parent / "results"
#: Part and name of a row, and what the README calls it.
SHOWN = {
    ("metrics", "ratio to MONAI"): "Surface metrics of a wrist, all five, against MONAI's NSD and MSD",
    ("scan", "mambapy to cpu N=16 L=4096 forward+backward"): "Selective scan, 16 states, 4,096 steps, against mambapy",
    ("scan", "mambapy to cpu N=1 L=4096 forward+backward"): "Selective scan, 1 state, 4,096 steps, against mambapy",
    (
        "inference",
        "unetpp + mobilevit to jointwrist_tiny",
    ): "Prediction by `jointwrist_tiny`, against `unetpp` and `mobilevit`",
    (
        "inference",
        "swin_umamba to jointwrist_base",
    ): "Prediction by `jointwrist_base`, against `swin_umamba`, which scores no erosion",
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


class Target(NamedTuple):
    """A target of speed or memory: what the page calls it, its value and unit, and its sense, `LEAST` or `MOST`."""

    title: str
    value: float
    unit: str = "×"
    sense: str = LEAST

    def cell(self, found: tuple[float, str] | None) -> str:
        """Return a measured value with its unit, and whether it misses the target; a dash without one."""
        if found is None:
            return "-"
        missed = found[0] < self.value if self.sense == LEAST else found[0] > self.value
        return "{:.3g} {}{}".format(*found, ", missed" * missed)


Targets = Mapping[tuple[str, str], Target]
_BOTH = "forward+backward"
#: Targets of the scan, forward and backward, by part and name of the row.
SCAN_TARGETS: Targets = {
    ("scan", f"reference to cpu N=16 L=4096 {_BOTH}"): Target("`cpu` against the loop, 16 states, 4,096 steps", 80),
    ("scan", f"mambapy to cpu N=16 L=4096 {_BOTH}"): Target("`cpu` against mambapy, the same", 50),
    ("scan", f"reference to torch N=16 L=4096 {_BOTH}"): Target("`torch` against the loop, the same", 12),
    **{
        ("scan", f"associative_scan to torch N=16 L={steps} {_BOTH}"): Target(
            f"`torch` against compiled `associative_scan`, 16 states, {steps:,} steps", 1.5
        )
        for steps in (1024, 4096, 16384)
    },
    ("scan", f"reference to cpu N=1 L=4096 {_BOTH}"): Target("`cpu` against the loop, 1 state, 4,096 steps", 40),
    ("scan", "cpu N=16 L=16384 extra memory"): Target("Memory of `cpu`, 16 states, 16,384 steps", 150, "MB", MOST),
    ("scan", "torch N=16 L=16384 extra memory"): Target("Memory of `torch`, the same", 300, "MB", MOST),
}
#: Targets of commands, training and data; ratios of `predict` are to version 189d199.
TARGETS: Targets = {
    ("predict", "predict, one, seconds, ratio"): Target("`predict` of one radiograph, earlier build to this", 3),
    ("predict", "predict, one, megabytes, ratio"): Target("the same, memory", 2.5),
    ("predict", "predict, folder of 60, seconds, ratio"): Target("`predict` of a folder of 60 radiographs", 3),
    ("predict", "predict, folder of 200, seconds, ratio"): Target("`predict` of a folder of 200 radiographs", 3),
    ("predict", "predict, hand, seconds, ratio"): Target("`predict` of a whole hand", 3),
    ("predict", "predict, rotated, seconds, ratio"): Target("`predict` of a wrist rotated by 90 degrees", 3),
    ("builds", "jointwrist_tiny 256 px, batch 8, other build to this"): Target(
        "A training step of `jointwrist_tiny` at 256 px, batch 8, earlier build to this", 1.6
    ),
    ("builds", "jointwrist_tiny 256 px, batch 8, bf16 to float32, other build to this"): Target(
        "The same, this build with `precision=bf16`, the earlier one in float32", 1.6
    ),
    ("neighbour", "beside a busy process, to alone"): Target(
        "A training run beside one busy process, to the same run alone", 2.2, sense=MOST
    ),
    ("phantom", "make 600 px, all families"): Target(
        "Phantoms of 600 px with all kinds of erosions, on one core", 12, "wrists/s/core"
    ),
    ("loading", "packed, cached, to Pillow, read each time"): Target(
        "Loading with augmentation on the CPU, against Pillow's arrays", 8
    ),
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


def target_table(targets: Targets, folder: Path = RESULTS) -> str:
    """Markdown table of targets, and of the values on every machine that measured any of them."""
    machines = {machine: found for machine, found in measured(folder).items() if found.keys() & targets.keys()}
    rows = [
        [
            target.title,
            f"{target.value:g} {target.unit} {target.sense}",
            *(target.cell(found.get(key)) for found in machines.values()),
        ]
        for key, target in targets.items()
    ]
    return _lines(["", "target", *machines], rows, wide=2) if machines else "Not measured yet."


def scan_table(folder: Path = RESULTS) -> str:
    """Markdown table of the targets of the scan, and of the bounds of the machines that ran it on their CPUs."""
    machines = [found for found in measured(folder).values() if found.keys() & SCAN_TARGETS.keys()]
    bounds = [
        [
            title,
            "",
            *("{:.3g} {}".format(*found["scan", name]) if ("scan", name) in found else "-" for found in machines),
        ]
        for name, title in BOUNDS.items()
    ]
    return "\n".join(
        [target_table(SCAN_TARGETS, folder), *_lines([""] * (2 + len(machines)), bounds, wide=2).splitlines()[2:]]
    )


def builds_table(folder: Path = RESULTS) -> str:
    """Markdown table of the times of an earlier build divided by those of this one, with their targets."""
    end = ", other build to this"
    machines = {
        machine: {name.removesuffix(end): value for (_, name), (value, _) in found.items() if name.endswith(end)}
        for machine, found in measured(folder).items()
    }
    machines = {machine: found for machine, found in machines.items() if found.keys() & PARTS.keys()}

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
