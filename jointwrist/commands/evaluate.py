"""`jointwrist evaluate`: rows of every case, and their means."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.evaluate_predictions import add_arguments, evaluate_predictions
from jointwrist.commands.shared import UsageError, add_field, complain, positive
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "evaluate",
        help="measure trained weights, or what any tool predicted",
        description="Write one CSV row per case and print the means.",
    )
    parser.add_argument("weights", nargs="?", help="weight file or folder of a training run")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder in the released layout")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="test", help="cases (default: %(default)s)"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values in place of the run's, as image_size=256"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("evaluation"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--grid",
        choices=("network", "image"),
        default="network",
        help="network measures what the network says at its own size, as the paper does; image what `predict` writes,"
        " on the radiographs' own pixels (default: %(default)s)",
    )
    group = parser.add_argument_group("with --grid image")
    add_field(group)
    group.add_argument("--raw", action="store_true", help="measure masks without the postprocessing of `predict`")
    group.add_argument(
        "--batch-size", type=positive, default=4, metavar="N", help="radiographs at once (default: %(default)s)"
    )
    add_arguments(parser)
    parser.set_defaults(run=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure trained weights, or predictions, on a split."""
    if (arguments.weights is None) == (arguments.predictions is None):
        raise UsageError("evaluate takes either a weight file or --predictions")
    return evaluate_predictions(arguments) if arguments.predictions else evaluate_weights(arguments)


def evaluate_weights(arguments: argparse.Namespace) -> int:
    """Measure trained weights on a split."""
    import pandas as pd
    from torch.utils.data import ConcatDataset

    from jointwrist.config import build, merge_trees, parse_overrides
    from jointwrist.data.dataset.patient_records import recorded_patients
    from jointwrist.data.dataset.ram_w600 import RamW600
    from jointwrist.engine import evaluation as engine
    from jointwrist.engine.leaks import name_trained, records
    from jointwrist.engine.loaders import load_run_data
    from jointwrist.engine.renamed_keys import current_keys
    from jointwrist.engine.run_config import RunConfig, StreamConfig
    from jointwrist.engine.session import open_accelerator
    from jointwrist.engine.tasks import build_task
    from jointwrist.files import write_frame
    from jointwrist.inference.predictor import Predictor
    from jointwrist.inference.radiograph_evaluation import evaluate_radiographs
    from jointwrist.weights.checkpoint import load_weights
    from jointwrist.weights.hub import find_weights

    on_radiograph = arguments.grid == "image"
    if arguments.raw and not on_radiograph:
        raise UsageError("--raw is for --grid image: on the network's grid masks are measured as they are")
    if arguments.set and on_radiograph:
        raise UsageError("--set is for --grid network: on the image grid radiographs are predicted as the weights say")
    path = find_weights(arguments.weights)
    model, info = load_weights(path)
    if "config" not in info:
        raise DataError(f"{path}: does not say how it was trained; `jointwrist train` and the benchmark write that")
    overrides = current_keys(parse_overrides(arguments.set), "--set")
    config = build(RunConfig, merge_trees(current_keys(info["config"]), overrides))
    accelerator = open_accelerator(config.precision)
    # evaluation is on the folder, also of a model that was trained on phantoms made on the fly
    # what the weights started from is in them, and need not be here
    joint = replace(config.joint, pretrained=())
    config = replace(config, start="", joint=joint, stream=StreamConfig(), cache=False)
    parts = ("train", "val", "test") if arguments.split == "all" else (arguments.split,)
    data = load_run_data(config, RamW600.open(arguments.data, splits=parts), parts, augmented=False)
    datasets = [getattr(data, part) for part in parts]
    tested = {patient for part in parts for patient in data.patients[part]}
    trained = recorded_patients([*records(info), *data.inherited], tested, data.prints)
    if accelerator.is_main_process and trained:
        complain(name_trained(trained, len(tested)))
    if on_radiograph:
        predictor = Predictor.from_pretrained(path, accelerator.device, arguments.field)
        predictor.tidy = not arguments.raw
        cases = [case for dataset in datasets for case in dataset.cases]
        tables = evaluate_radiographs(accelerator, predictor, cases, arguments.batch_size, complain)
    else:
        cases, task = ConcatDataset(datasets), build_task(config, data.prior)
        _, tables = engine.evaluate_model(accelerator, model.to(accelerator.device), cases, task)
    missing = {case.identifier for dataset in datasets for case in dataset.cases} if on_radiograph else set()
    missing -= {row["case"] for rows in tables.values() for row in rows}
    if not accelerator.is_main_process:
        return 2 if missing else 0
    if missing:
        complain(
            f"{len(missing)} of {len(cases)} radiographs have no rows, for no wrist was found; --field whole takes all"
        )
    for name, rows in tables.items():
        frame = pd.DataFrame(rows)
        if name == "erosion":
            threshold = info.get("thresholds", {}).get("erosion", 0.5)
            frame["predicted"] = (frame["probability"] >= threshold).astype(int)
        write_frame(arguments.out / f"{name}.csv", frame)
        print(f"{arguments.out / name}.csv: {frame['case'].nunique()} wrists, {means(name, frame)}")
    return 2 if missing else 0


def means(table: str, frame: DataFrame) -> str:
    """Mean figures of per-case rows, for a person to glance at."""
    from jointwrist.metrics.case_rows import TOLERANCE_MM

    if table == "segmentation":
        bones = frame[frame["kind"] == "bone"]
        figures = [f"{key.upper()} {100 * bones[key].mean():.2f} %" for key in ("dsc", "nsd", "voe")]
        if "nsd_mm" in bones:
            figures.append(f"NSD at {TOLERANCE_MM} mm {100 * bones['nsd_mm'].mean():.2f} %")
        return ", ".join(figures)
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
