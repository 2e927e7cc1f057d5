"""`jointwrist train`: train a model on a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.messages import UsageError, announce, is_main_process, print_log
from jointwrist.commands.options import known_model
from jointwrist.commands.prepared_radiographs import prepared_radiographs
from jointwrist.commands.run_values import run_values
from jointwrist.text import number_of

if TYPE_CHECKING:
    from pandas import DataFrame


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "train",
        help="train one model",
        description="Train one model. A killed run continues when the command is repeated.",
    )
    parser.add_argument("model", metavar="MODEL", help="registry name; `jointwrist models list` names all")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder in the released layout")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights and states")
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="YAML",
        help="configuration values; if repeated, later files override earlier ones",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values that override the file's, such as optim.epochs=5",
    )
    parser.add_argument(
        "--radiographs",
        type=Path,
        metavar="FOLDER",
        help="unlabelled radiographs into which erosions are inserted as additional training data; radiographs of"
        " validation or test patients are refused. The weights that the run starts from, or those that come with the"
        " package, segment the bones. Prepared radiographs are kept in OUT-radiographs, outside the folder of the"
        " weights, and are never sent anywhere",
    )
    parser.add_argument(
        "--anatomy",
        metavar="NAME|YAML",
        help="bones and joints of a folder without anatomy.yaml: wrist, hand, or a file of your own (default: wrist)",
    )
    parser.add_argument(
        "--tracker", metavar="NAME", help="tensorboard, wandb, mlflow, trackio or another tracker of accelerate"
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="train deterministically: identical weights from the same seed on the same machine",
    )
    parser.set_defaults(run=train)


def train(arguments: argparse.Namespace) -> int:
    """Train one model."""
    print_log()
    values = run_values(arguments.set, arguments.config)
    announce(f"training {arguments.model}")
    from jointwrist.config import merge_trees
    from jointwrist.data.dataset.ram_w600 import RamW600
    from jointwrist.data.find_radiographs import find_radiographs
    from jointwrist.engine.results.learning_curves import CURVES
    from jointwrist.engine.run_data.leaks import check_radiographs
    from jointwrist.engine.train import CARD, HISTORY
    from jointwrist.engine.train import train as train_model
    from jointwrist.inference.prepare_radiographs import remove_others

    spec = known_model(arguments.model)
    model = spec.name
    if arguments.anatomy:
        values = merge_trees(values, {"anatomy": arguments.anatomy})
    if arguments.radiographs and spec.task != "joint":
        raise UsageError(f"--radiographs: {model} is not a joint network; only these train on inserted erosions")
    if arguments.radiographs:
        work_folder = arguments.out.with_name(f"{arguments.out.name}-radiographs")
        bones = values.get("start") or "jointwrist_tiny"
        # first, so that no prepared radiograph of such a patient is left in the folder
        found = find_radiographs([arguments.radiographs], arguments.out)
        check_radiographs(found, RamW600.open(arguments.data, splits=()))
        prepared = prepared_radiographs(arguments.radiographs, work_folder, bones, exclude=arguments.out)
        remove_others(prepared)
        values = merge_trees(values, {"radiographs": {"folder": str(prepared[0].parent)}})
    trained = train_model(
        model,
        arguments.data,
        arguments.out,
        values,
        tracker=arguments.tracker,
        deterministic=arguments.deterministic,
        progress=True,
    )
    if is_main_process():
        print(f"{model}: {validation_figures(trained.history)}")
        print(f"figures of every epoch: {arguments.out / HISTORY}, drawn in {arguments.out / CURVES}")
        print(f"model card: {arguments.out / CARD}")
        print(f"best weights: {trained.weights}")
    return 0


def validation_figures(history: DataFrame) -> str:
    """Return the validation figures of the selected epoch in one line."""
    chosen = history[history["selected"] == 1].iloc[0]
    forms = {
        "val_dsc": lambda value: f"DSC {100 * value:.2f} %",
        "val_nsd": lambda value: f"NSD {100 * value:.2f} %",
        "val_auroc": lambda value: f"AUROC of erosion {value:.3f}",
    }
    figures = [form(chosen[name]) for name, form in forms.items() if name in chosen and chosen[name] == chosen[name]]
    figures.append(f"loss {chosen['val_loss']:.4f}")
    best = f"best of {number_of(len(history), 'epoch')} is {int(chosen['epoch'])}"
    return f"{best}; on the validation split {', '.join(figures)}"
