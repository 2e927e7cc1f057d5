"""The few speed figures that the README shows, of every machine that has been measured."""

from __future__ import annotations

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
