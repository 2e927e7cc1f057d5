"""`jointwrist detectability`: measure how large an erosion must be for weights to detect it on your own radiographs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.messages import UsageError, columns
from jointwrist.commands.options import add_predictor, add_side, load_predictor, positive, seed_number
from jointwrist.commands.prepared_radiographs import prepared_radiographs

if TYPE_CHECKING:
    from pandas import DataFrame

    from jointwrist.inference.predictor import Predictor


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "detectability",
        help="measure how large an erosion must be for weights to detect it on your radiographs",
        description="Insert erosions of known size into unlabelled radiographs, and report how many of them the"
        " weights detect at a stated false-positive rate. An interrupted study continues when the command is"
        " repeated. No data leave the machine.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="radiographs, without labels")
    add_predictor(parser)
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("detectability"), help="folder of the results (default: %(default)s)"
    )
    parser.add_argument(
        "--bones",
        default="jointwrist_tiny",
        metavar="WEIGHTS",
        help="weights that segment the bones for the insertion; with the same ones, studies of different weights use"
        " the same erosions (default: %(default)s)",
    )
    add_side(parser)
    parser.add_argument(
        "--radii",
        type=float,
        nargs="+",
        default=[1.0, 1.5, 2.0, 3.0],
        metavar="MM",
        help="radii of the erosions in mm (default: 1 1.5 2 3)",
    )
    parser.add_argument("--repeats", type=positive, default=1, metavar="N", help="erosions per joint and radius")
    parser.add_argument(
        "--false-calls",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="largest share of unmodified joints that may be called eroded (default: %(default)s)",
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="seed of sites and shapes (default: %(default)s)")
    parser.add_argument("--batch-size", type=positive, default=4, metavar="N", help="images per batch (default: 4)")
    parser.add_argument(
        "--examples",
        action="store_true",
        help="show one example of each joint on the page, cropped from the radiographs",
    )
    parser.add_argument(
        "--threshold-into",
        type=Path,
        metavar="WEIGHTS",
        help="also write the weights to this file, with a threshold that keeps the false-positive rate on these"
        " radiographs and on phantoms without erosions",
    )
    parser.add_argument(
        "--threshold-for",
        metavar="WEIGHTS",
        help="other weights that --threshold-into writes with this threshold: those of the same training on all"
        " radiographs, where the studied ones were trained without FOLDER",
    )
    parser.add_argument(
        "--phantoms", type=int, default=24, metavar="N", help="phantoms for --threshold-into (default: %(default)s)"
    )
    parser.set_defaults(run=detectability_study)


def detectability_study(arguments: argparse.Namespace) -> int:
    """Run a study, and write rows, figures, plot and page."""
    from jointwrist.data.dataset.layout import refuse_dataset_as_output
    from jointwrist.files import check_writable, write_frame
    from jointwrist.inference.prepare_radiographs import weights_key
    from jointwrist.studies.calls import refuse_unscored
    from jointwrist.studies.detectability import detectability
    from jointwrist.studies.detectability_page import draw_examples, summary, write_page, write_plot
    from jointwrist.studies.insertion_study import StudyPlan, run_study
    from jointwrist.weights.find import find_weights

    if not 0 < arguments.false_calls < 1:
        raise UsageError(f"--false-calls {arguments.false_calls:g}: give a share between 0 and 1, such as 0.1")
    radii = tuple(sorted(set(arguments.radii)))
    control_mm = min(radii, key=lambda mm: abs(mm - 2), default=2)
    plan = StudyPlan(radii, repeats=arguments.repeats, control_mm=control_mm, seed=arguments.seed)
    refuse_dataset_as_output(arguments.out)
    check_writable(arguments.out)
    if arguments.threshold_for and not arguments.threshold_into:
        raise UsageError("--threshold-for names weights that --threshold-into writes; give both")
    work_folder, weights = arguments.out / "prepared", find_weights(arguments.weights)
    receiver = find_weights(arguments.threshold_for) if arguments.threshold_for else weights
    if weights.suffix != ".onnx":
        refuse_unscored(weights)
    if arguments.threshold_into:
        refuse_unscored(receiver)
    options = {"device": arguments.device, "localise": arguments.field == "auto", "rotation": arguments.rotation}
    wrists = prepared_radiographs(
        arguments.folder, work_folder, arguments.bones, arguments.side, arguments.out, **options
    )
    predictor = load_predictor(arguments, score_out_of_scope=True)
    kept = work_folder / f"study-{weights_key(weights)}"
    rows = run_study(wrists, predictor, plan, kept, arguments.batch_size, progress=True)
    found = detectability(rows, arguments.false_calls)
    write_frame(arguments.out / "cases.csv", rows)
    write_frame(arguments.out / "detectability.csv", found.table)
    write_plot(found, arguments.out / "detectability.png")
    examples = draw_examples(wrists, rows, plan) if arguments.examples else []
    page = arguments.out / "detectability.html"
    write_page(found, plan, str(arguments.weights), arguments.out / "detectability.png", page, examples)
    print(summary(found))
    print(figure_lines(found.table))
    print(f"families of the study: {', '.join(plan.families)}; none of them is used for training")
    if arguments.threshold_into:
        write_threshold(arguments, wrists, predictor, receiver)
    print(f"page: {page}; rows of every case: {arguments.out / 'cases.csv'}")
    return 0


def write_threshold(arguments: argparse.Namespace, wrists: list[Path], predictor: Predictor, weights: Path) -> None:
    """Choose a decision threshold on radiographs and phantoms, and write weights with it to `--threshold-into`.

    Args:
        arguments: Arguments of the command.
        wrists: Files of prepared radiographs.
        predictor: Predictor whose threshold is chosen.
        weights: Weight file that is written with this threshold.
    """
    from jointwrist.studies.calls import choose_calls, phantom_probabilities, radiograph_probabilities, write_calls

    calls = choose_calls(
        radiograph_probabilities(wrists, predictor),
        phantom_probabilities(arguments.phantoms, predictor),
        arguments.false_calls,
    )
    write_calls(weights, calls, arguments.threshold_into)
    print(f"{arguments.threshold_into}: {calls}")


def figure_lines(table: DataFrame) -> str:
    """Return the figures over all joints as aligned lines: one per radius, and one for the control."""
    from jointwrist.studies.detectability import ALL

    names = ("auroc", "sensitivity", "higher")
    rows = [["", "AUROC", "sensitivity", "higher in pairs", "cases"]]
    for _, row in table[(table["joint"] == ALL) & (table["family"] == ALL)].iterrows():
        title = f"{row['radius_mm']:g} mm" if row["kind"] == "inserted" else f"control, {row['radius_mm']:g} mm"
        figures = [f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]" for name in names]
        rows.append([title, *figures, str(row["cases"])])
    return columns(rows, right=(4,))
