"""`jointwrist pretrain`: pretrain an encoder on unlabelled radiographs."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.messages import announce, is_main_process, print_log
from jointwrist.commands.options import known_model
from jointwrist.commands.run_values import run_values


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "pretrain",
        help="pretrain an encoder on unlabelled radiographs",
        description="Train the encoder of a joint network to predict hidden patches of unlabelled radiographs,"
        " phantoms, or both. A killed run continues when the command is repeated.",
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="radiographs, or folders of them; none: phantoms only"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights and states")
    parser.add_argument("--model", default="jointwrist_tiny", help="joint network (default: %(default)s)")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the run, such as optim.epochs=5"
    )
    parser.set_defaults(run=pretrain)


def pretrain(arguments: argparse.Namespace) -> int:
    """Pretrain an encoder."""
    print_log()
    values = run_values(arguments.set)
    announce(f"pretraining {arguments.model}")
    from jointwrist.engine.pretrain import HISTORY
    from jointwrist.engine.pretrain import pretrain as pretrain_encoder

    weights = pretrain_encoder(
        known_model(arguments.model).name,
        arguments.folders,
        arguments.out,
        values,
        progress=True,
    )
    if is_main_process():
        print(f"figures of every epoch: {arguments.out / HISTORY}")
        print(f"encoder: {weights}")
        print(f"train from it: jointwrist train {arguments.model} ... --set joint.pretrained=[{weights}]")
    return 0
