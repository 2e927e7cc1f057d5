"""`jointwrist evaluate`: rows of every case, and their means."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.shared import complain
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "evaluate", help="measure trained weights", description="Write one CSV row per case and print the means."
    )
    parser.add_argument("weights", help="weight file or folder of a training run")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder in the released layout")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="test", help="cases (default: %(default)s)"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values in place of the run's, as image_size=256"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("evaluation"), help="folder (default: %(default)s)")
    parser.set_defaults(run=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure trained weights on a split."""
    import pandas as pd
    from torch.utils.data import ConcatDataset

    from jointwrist.config import build, merge_trees, parse_overrides
    from jointwrist.data.ram_w600 import Release
    from jointwrist.engine import evaluate as engine
    from jointwrist.engine.checkpoint import load_weights
    from jointwrist.engine.config import RunConfig, StreamConfig
    from jointwrist.engine.leaks import name_trained, recorded_patients, records
    from jointwrist.engine.loaders import load_run_data
    from jointwrist.engine.session import open_accelerator
    from jointwrist.engine.tasks import build_task
    from jointwrist.files import atomic
    from jointwrist.hub import find_weights

    path = find_weights(arguments.weights)
    model, info = load_weights(path)
    if "config" not in info:
        raise DataError(f"{path}: does not say how it was trained; `jointwrist train` and the benchmark write that")
    config = build(RunConfig, merge_trees(info["config"], parse_overrides(arguments.set)))
    accelerator = open_accelerator(config.precision)
    # evaluation is on the folder, also of a model that was trained on phantoms made on the fly
    # what the weights started from is in them, and need not be here
    joint = replace(config.joint, pretrained=())
    config = replace(config, start="", joint=joint, stream=StreamConfig(), cache=False)
    data = load_run_data(config, Release.open(arguments.data), augmented=False)
    parts = ("train", "val", "test") if arguments.split == "all" else (arguments.split,)
    cases = ConcatDataset([getattr(data, part) for part in parts])
    tested = {patient for part in parts for patient in data.patients[part]}
    trained = recorded_patients([*records(info), *data.inherited], tested)
    if accelerator.is_main_process and trained:
        complain(name_trained(trained, len(tested)))
    _, tables = engine.evaluate(accelerator, model.to(accelerator.device), cases, build_task(config, data.prior))
    if not accelerator.is_main_process:
        return 0
    for name, rows in tables.items():
        frame = pd.DataFrame(rows)
        if name == "erosion":
            threshold = info.get("thresholds", {}).get("erosion", 0.5)
            frame["predicted"] = (frame["probability"] >= threshold).astype(int)
        with atomic(arguments.out / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
        print(f"{arguments.out / name}.csv: {frame['case'].nunique()} wrists, {means(name, frame)}")
    return 0


def means(table: str, frame: DataFrame) -> str:
    """Mean figures of per-case rows, for a person to glance at."""
    if table == "segmentation":
        bones = frame[frame["kind"] == "bone"]
        return ", ".join(f"{key.upper()} {100 * bones[key].mean():.2f} %" for key in ("dsc", "nsd", "voe"))
    from jointwrist.anatomy import JOINT_NAMES
    from jointwrist.metrics.erosion import calibration_error, erosion_metrics

    joint = frame["joint"].map(JOINT_NAMES.index)
    columns = (column.to_numpy() for column in (frame["score"], frame["probability"], frame["predicted"], joint))
    pooled = erosion_metrics(*columns).loc["pooled"]
    error = calibration_error(frame["score"].to_numpy() > 0, frame["probability"].to_numpy())
    return (
        f"AUROC {pooled['AUROC']:.3f}, balanced accuracy {100 * pooled['BACC']:.2f} %, F1 {100 * pooled['F1']:.2f} %,"
        f" calibration error {100 * error:.2f} %"
    )
