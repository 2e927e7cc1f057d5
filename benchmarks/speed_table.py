"""The few speed figures that README and docs show, of every machine that has been measured."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"
#: Part and name of a row, and what the README calls it.
SHOWN = {
    ("metrics", "ratio to MONAI"): "Surface metrics of a wrist, all five, against MONAI's NSD and MSD",
    ("scan", "mambapy to cpu N=16 L=4096 forward+backward"): "Selective scan, 16 states, 4,096 steps, against mambapy",
    ("scan", "mambapy to cpu N=1 L=4096 forward+backward"): "Selective scan, 1 state, 4,096 steps, against mambapy",
    ("inference", "unetpp + mobilevit to jointwrist_tiny"): "`jointwrist_tiny` against `unetpp` and `mobilevit`",
    ("inference", "swin_umamba to jointwrist_base"): "`jointwrist_base` against `swin_umamba`, which scores no erosion",
    ("loading", "packed, before augmentation, kept, to Pillow, read anew"): (
        "Loading up to the GPU against 14 arrays an image, read and warped by Pillow"
    ),
    (
        "loading",
        "packed, kept, to scipy, read anew",
    ): "Loading with augmentation on the CPU, the arrays warped by SciPy",
    ("loading", "packed, kept, to Pillow, read anew"): "The same, the arrays warped by Pillow",
    ("phantom", "make 600 px"): "Phantom radiographs of 600 px, on one core",
}


def speed_table(folder: Path = RESULTS) -> str:
    """Markdown table of the rows in `SHOWN`, a column for each machine's CSV; what was not measured is a dash."""
    machines: dict[str, dict[tuple[str, str], str]] = {}
    for path in sorted(folder.glob("speed-*.csv")):
        for row in pd.read_csv(path, keep_default_na=False).to_dict("records"):
            text = f"{float(row['value']):.3g} {row['unit'] or '×'}"
            machines.setdefault(row["machine"], {})[row["part"], row["name"]] = text
    lines = ["| | " + " | ".join(machines) + " |", "| --- |" + " ---: |" * len(machines)]
    for key, title in SHOWN.items():
        cells = [found.get(key, "-") for found in machines.values()]
        if set(cells) != {"-"}:
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def training_table(folder: Path = RESULTS) -> str:
    """Markdown table of training steps: their time by size, its growth, and the parts of a step at the largest size."""
    lines: list[str] = []
    for path in sorted(folder.glob("speed-*.csv")):
        rows = pd.read_csv(path).query("part == 'training'")
        found = dict(zip(rows["name"], rows["value"], strict=True))
        steps = [(m[1], int(m[2])) for name in found if (m := re.fullmatch(r"(\w+) (\d+) px", name))]
        if not steps:
            continue
        sizes = sorted({size for _, size in steps})
        told = [name.partition(f"{steps[0][0]} {sizes[-1]} px, ")[2] for name in found]
        parts = [part for part in told if part and not part.startswith("memory")]
        growth = list(pairwise(sizes))
        titles = [*(f"ms at {size} px" for size in sizes), *(f"{small} to {large} px" for small, large in growth)]
        titles += [f"{part} %" for part in parts]
        lines += [f"{rows['machine'].iloc[0]}:", "", "| model | " + " | ".join(titles) + " |"]
        lines += ["| --- |" + " ---: |" * len(titles)]
        for model in dict.fromkeys(model for model, _ in steps):
            cells = [f"{found[f'{model} {size} px']:.0f}" for size in sizes]
            cells += [f"{found[f'{model} {large} px to {small} px']:.1f} ×" for small, large in growth]
            cells += [f"{100 * found[f'{model} {sizes[-1]} px, {part}']:.1f}" for part in parts]
            lines.append(f"| `{model}` | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).strip() or "Not measured yet."
