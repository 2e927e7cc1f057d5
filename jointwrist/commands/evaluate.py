"""`jointwrist evaluate`: write per-case results, and print their means."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.evaluate_predictions import add_arguments, evaluate_predictions
from jointwrist.commands.evaluation_means import family_table, means
from jointwrist.commands.messages import UsageError, complain, is_main_process, print_log
from jointwrist.commands.options import OldName, add_field, positive
from jointwrist.commands.run_values import run_values
from jointwrist.text import number_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from jointwrist.errors import DataError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate trained weights, or the predictions of any tool",
        description="Write one CSV row per case and print the means.",
    )
    parser.add_argument("weights", nargs="?", help="weight file or folder of a training run")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="folder in the released layout")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="test", help="cases (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values that override the run's, such as image_size=256",
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("evaluation"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--grid",
        choices=("network", "image"),
        default="network",
        help="network evaluates the network's output at its own size, as the paper does; image evaluates what"
        " `predict` writes, on the radiographs' own pixels (default: %(default)s)",
    )
    group = parser.add_argument_group("with --grid image")
    add_field(group)
    group.add_argument(
        "--no-postprocess",
        dest="postprocess",
        action="store_false",
        help="measure masks without the postprocessing of `predict`",
    )
    group.add_argument("--raw", dest="postprocess", nargs=0, const=False, action=OldName, new="--no-postprocess")
    group.add_argument(
        "--batch-size", type=positive, default=4, metavar="N", help="radiographs at once (default: %(default)s)"
    )
    add_arguments(parser)
    parser.set_defaults(run=evaluate)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure trained weights, or predictions, on a split."""
    from jointwrist.data.dataset.layout import refuse_dataset_as_output

    if (arguments.weights is None) == (arguments.predictions is None):
        raise UsageError("evaluate takes either a weight file or --predictions")
    refuse_dataset_as_output(arguments.out)
    return evaluate_predictions(arguments) if arguments.predictions else evaluate_weights(arguments)


def evaluate_weights(arguments: argparse.Namespace) -> int:
    """Measure trained weights on a split."""
    from jointwrist.files import check_writable

    on_image = arguments.grid == "image"
    if not arguments.postprocess and not on_image:
        raise UsageError("--no-postprocess is for --grid image: on the network's grid masks are not postprocessed")
    if arguments.set and on_image:
        raise UsageError(
            "--set is for --grid network: on the image grid radiographs are predicted with the weights' own settings"
        )
    print_log()
    check_writable(arguments.out)
    if on_image:
        return _evaluate_on_image_grid(arguments)
    overrides = run_values(arguments.set)
    from jointwrist.engine.evaluate_weights import evaluate as evaluate_on_network_grid

    unreadable: list[DataError] = []

    def refused(error: DataError) -> None:
        unreadable.append(error)
        if is_main_process():
            complain(error)

    tables = evaluate_on_network_grid(
        arguments.weights, arguments.data, arguments.split, overrides, progress=True, refused=refused
    )
    _write(tables, arguments.out)
    return 2 if unreadable else 0


def _evaluate_on_image_grid(arguments: argparse.Namespace) -> int:
    """Predict radiographs as `jointwrist predict` does; return 2 if some show no wrist or cannot be read."""
    from jointwrist.engine.evaluate_weights import open_evaluation
    from jointwrist.inference.predictor import Predictor
    from jointwrist.inference.radiograph_evaluation import evaluate_radiographs

    evaluation = open_evaluation(arguments.weights, arguments.data, arguments.split)
    accelerator, cases = evaluation.accelerator, evaluation.cases
    predictor = Predictor.from_pretrained(
        evaluation.path,
        accelerator.device,
        localise=arguments.field == "auto",
        postprocess=arguments.postprocess,
        score_out_of_scope=True,
    )
    results = evaluate_radiographs(accelerator, predictor, cases, arguments.batch_size, complain, progress=True)
    measured = {entry["case"] for entries in results.values() for entry in entries}
    missing = len({case.identifier for case in cases} - measured)
    if missing and is_main_process():
        complain(
            f"{missing} of {number_of(len(cases), 'radiograph')} not measured, for the reasons above; --field whole"
            " uses those without a wrist"
        )
    unreadable: list[DataError] = []
    tables = evaluation.frames(results, unreadable.append)
    if is_main_process():
        for error in unreadable:
            complain(error)
    _write(tables, arguments.out)
    return 2 if missing or unreadable else 0


def _write(tables: dict[str, DataFrame], out: Path) -> None:
    """Write tables of per-case results as CSV, and print their means."""
    from jointwrist.files import write_frame
    from jointwrist.metrics.families import family_figures

    if not is_main_process():
        return
    for name, frame in tables.items():
        write_frame(out / f"{name}.csv", frame)
        print(f"{out / name}.csv: {number_of(frame['case'].nunique(), 'wrist')}, {means(name, frame)}")
        if "family" in frame and frame["family"].nunique() > 2:  # more than `cluster` and `none`
            columns = (frame[column].to_numpy() for column in ("score", "probability", "family", "patient"))
            figures = family_figures(*columns)
            write_frame(out / "families.csv", figures)
            print(f"{out / 'families.csv'}: AUROC by family\n{family_table(figures)}")
