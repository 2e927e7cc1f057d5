"""`jointwrist finetune`: fine-tune weights on your own labelled radiographs."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.messages import announce, is_main_process, print_log
from jointwrist.commands.options import seed_number
from jointwrist.commands.run_values import run_values


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "finetune",
        help="fine-tune trained weights on your own labelled radiographs",
        description="Fine-tune weights on a few annotated radiographs, and measure the effect by patient-wise"
        " cross-validation. A killed run continues when the command is repeated.",
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder in the released layout; all splits are used")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, figures and learning curves")
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weights to start from: file, folder of a training, name of weights that come with the package, or Hugging"
        " Face repository (default: %(default)s)",
    )
    parser.add_argument(
        "--folds", type=_folds, metavar="N", help="patient-wise folds (default: 3 for fewer than 50 wrists, else 5)"
    )
    parser.add_argument(
        "--seed", type=seed_number, default=3407, metavar="S", help="seed of folds and trainings (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values that override the recipe, such as optim.epochs=5",
    )
    parser.set_defaults(run=finetune)


def finetune(arguments: argparse.Namespace) -> int:
    """Fine-tune weights."""
    print_log()
    values = run_values(arguments.set)
    announce(f"fine-tuning {arguments.weights} on {arguments.root}")
    from jointwrist.engine.finetune import FIGURES
    from jointwrist.engine.finetune import finetune as finetune_weights
    from jointwrist.engine.results.learning_curves import CURVES

    tuned = finetune_weights(
        arguments.root,
        arguments.out,
        arguments.weights,
        values,
        folds=arguments.folds,
        seed=arguments.seed,
        progress=True,
    )
    if is_main_process():
        print("each wrist tested by a network that never saw its patient:")
        for change in tuned.changes:
            print(f"  {change}")
        for change in tuned.changes:
            if change.change_high < 0:
                print(f"  {change.figure} fell: the interval of the change lies below 0")
            elif change.change < 0:
                print(f"  {change.figure} fell, but the interval of the change holds 0: too few wrists to tell")
        if "AUROC" not in {change.figure for change in tuned.changes}:
            print("  no AUROC: it needs scored joint surfaces with and without erosion")
        if not any(change.change_low > 0 for change in tuned.changes):
            print("no figure improved beyond its interval: the weights that you started from may serve you as well")
        print(f"figures: {arguments.out / FIGURES}; learning curves: {arguments.out / CURVES}")
        print(f"weights: {tuned.weights}")
    return 0


def _folds(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text} is not at least 2")
    return number
