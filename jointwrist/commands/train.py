"""`jointwrist train`: one model on one data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jointwrist.commands.shared import UsageError, known_model


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "train",
        help="train one model",
        description="Train one model. A killed run continues when the same command is given again.",
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
        help="values of the run; given again, a file's values win over those of the files before",
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values that win over the file's, as optim.epochs=5"
    )
    parser.add_argument(
        "--tracker", metavar="NAME", help="tensorboard, wandb, mlflow, trackio or another of accelerate"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same weights, bit by bit, from the same seed and machine"
    )
    parser.set_defaults(run=train)


def train(arguments: argparse.Namespace) -> int:
    """Train one model."""
    import pandas as pd

    from jointwrist.config import build, merge_trees, parse_overrides, read_yaml
    from jointwrist.data.dataset.ram_w600 import RamW600
    from jointwrist.engine.calibration import calibrate
    from jointwrist.engine.loaders import load_run_data
    from jointwrist.engine.renamed_keys import current_keys
    from jointwrist.engine.run_config import RunConfig
    from jointwrist.engine.session import open_accelerator, tracked
    from jointwrist.engine.stop import graceful_stop
    from jointwrist.engine.tasks import build_task
    from jointwrist.engine.trainer import BEST, Trainer
    from jointwrist.files import check_writable, write_frame
    from jointwrist.weights.checkpoint import save_weights

    spec = known_model(arguments.model)
    if spec.task == "foundation":
        raise UsageError(f"{spec.name} is a foundation model that is evaluated as it is; `evaluate` measures it")
    values = merge_trees(
        *(current_keys(read_yaml(path), str(path)) for path in arguments.config),
        current_keys(parse_overrides(arguments.set), "--set"),
        {"model": spec.name, "task": spec.task},
    )
    config = build(RunConfig, values)
    check_writable(arguments.out)
    accelerator = open_accelerator(config.precision, arguments.tracker, arguments.out, arguments.deterministic)
    splits = ("train", "val")
    data = load_run_data(config, RamW600.open(arguments.data, splits=splits), splits)
    task = build_task(config, data.prior)
    if accelerator.is_main_process:
        for note in data.notes:
            print(note)
    with tracked(accelerator, f"{config.model}-seed{config.seed}", config) as log:
        trainer, history = Trainer(accelerator, config, data, task, arguments.out), arguments.out / "history.csv"

        def epoch_done(figures: dict[str, Any]) -> None:
            write_frame(history, pd.DataFrame(trainer.history))
            if log:
                log(figures)

        trainer.log = epoch_done
        with graceful_stop():
            model = trainer.fit()
    thresholds = calibrate(accelerator, model, data.val, task)
    if accelerator.is_main_process:
        save_weights(arguments.out / BEST, model, trainer.info(thresholds))
        write_frame(history, pd.DataFrame(trainer.history))
        print(f"figures of every epoch: {history}")
        print(f"best weights: {arguments.out / BEST}")
    accelerator.end_training()
    return 0
