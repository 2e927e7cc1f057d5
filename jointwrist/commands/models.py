"""`jointwrist models`: list the registry, convert weights, show what weights were trained on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.messages import UsageError, announce, columns
from jointwrist.commands.options import known_model, positive

if TYPE_CHECKING:
    from jointwrist.registry import ModelSpec

HEADER = ("model", "task", "row in the paper", "parameters", "input", "licence of the original", "code", "architecture")
#: Columns of numbers.
NUMBERS = (3, 4)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its subcommands."""
    models = commands.add_parser("models", help="list models or convert weights")
    verbs = models.add_subparsers(required=True, metavar="VERB")

    listing = verbs.add_parser("list", help="list the models")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern, such as '*mamba*'")
    listing.add_argument(
        "--task", choices=("joint", "segmentation", "erosion", "foundation"), help="list models of this task only"
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_models)

    convert = verbs.add_parser(
        "convert", help="convert a checkpoint of the authors' code to a weight file of this package"
    )
    convert.add_argument("source", type=Path, metavar="SOURCE", help="checkpoint to read, never unpickled")
    convert.add_argument("target", type=Path, metavar="TARGET", help="safetensors file to write")
    convert.add_argument("--model", required=True, metavar="NAME", help="registry name")
    convert.set_defaults(run=convert_weights)

    check = verbs.add_parser(
        "check",
        help="test a model: forward, backward, sizes, parameters, weight file, export",
        description="Test a model of the registry, such as one of your own. The exit code is 1 if it fails.",
    )
    check.add_argument("name", metavar="NAME", help="registry name")
    check.add_argument(
        "--size", type=positive, default=64, metavar="PX", help="side of the images (default: %(default)s)"
    )
    check.set_defaults(run=check_one)

    history = verbs.add_parser("history", help="show what weights were trained on")
    history.add_argument("weights", metavar="WEIGHTS", help="as for `jointwrist predict --weights`")
    history.add_argument(
        "--write",
        type=Path,
        metavar="YAML",
        help="put this history into the file, as `models history` prints it: a list, the oldest training first",
    )
    history.set_defaults(run=show_history)


def table_rows(specs: Iterable[ModelSpec]) -> list[tuple[str, ...]]:
    """Return the registry entries as table rows with the columns of `HEADER`."""
    return [
        (
            spec.name,
            spec.task,
            spec.published_name or "-",
            f"{spec.parameters:,}",
            str(spec.input_size),
            spec.licence,
            spec.code,
            spec.paper,
        )
        for spec in specs
    ]


def list_models(arguments: argparse.Namespace) -> int:
    """List models of the registry."""
    from dataclasses import asdict

    from jointwrist import registry

    specs = [registry.model_spec(name) for name in registry.list_models(arguments.pattern, arguments.task)]
    if arguments.json:
        print(json.dumps([asdict(spec) for spec in specs], indent=1))
        return 0
    if not specs:
        raise UsageError(f"no model matches {arguments.pattern!r}; `jointwrist models list` names all")
    print(columns([HEADER, *table_rows(specs)], right=NUMBERS))
    return 0


def check_one(arguments: argparse.Namespace) -> int:
    """Test a model of the registry."""
    announce(f"checking {arguments.name}")
    from jointwrist.inference.check_model import check_model

    known_model(arguments.name)
    failed = 0
    try:
        for check in check_model(arguments.name, arguments.size):
            print(f"{'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.said}", flush=True)
            failed += not check.passed
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(f"{arguments.name}: {'passed' if not failed else f'{failed} checks failed'}")
    return int(failed > 0)


def show_history(arguments: argparse.Namespace) -> int:
    """Show the training history of weights, or correct it."""
    import yaml

    from jointwrist.config.values import parse_yaml
    from jointwrist.errors import DataError
    from jointwrist.weights.checkpoint import require_info, write_info
    from jointwrist.weights.find import find_weights
    from jointwrist.weights.training_history import TrainingHistory

    path = find_weights(arguments.weights)
    info = require_info(path)
    history = TrainingHistory.of(info)
    if arguments.write:
        try:
            history = TrainingHistory.parse(parse_yaml(arguments.write.read_text(encoding="utf-8")))
        except (yaml.YAMLError, ValueError) as error:
            raise DataError(f"{arguments.write}: {error}; `jointwrist models history` prints an example") from None
        write_info(path, {**info, "history": history.to_list()})
    print(f"# {history}{f' {history.warning}' if history.warning else ''}")
    print(yaml.safe_dump(history.to_list(), sort_keys=False), end="")
    return 0


def convert_weights(arguments: argparse.Namespace) -> int:
    """Convert a checkpoint of the authors' code."""
    from jointwrist.engine.convert_authors_checkpoint import convert_checkpoint
    from jointwrist.files import refuse_input

    known_model(arguments.model)
    refuse_input(arguments.target, [arguments.source])
    unplaced = convert_checkpoint(arguments.source, arguments.target, arguments.model)
    print(f"{arguments.model}: {arguments.target}")
    if unplaced:
        print(f"left out because the model has no counterpart for them: {', '.join(unplaced)}")
    return 0
