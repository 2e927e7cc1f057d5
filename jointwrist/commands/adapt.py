"""`jointwrist adapt`: adapt weights to your own radiographs, without labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.messages import complain, print_log
from jointwrist.commands.options import add_side, seed_number
from jointwrist.commands.prepared_radiographs import prepared_radiographs
from jointwrist.text import number_of


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "adapt",
        help="adapt weights to your own radiographs, without labels",
        description="Continue training the erosion head of weights on your own unlabelled radiographs with inserted"
        " erosions, and evaluate before and after on held-out radiographs. The time is limited; an interrupted run"
        " continues when the command is repeated. No data leave the machine.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="radiographs of at least two patients")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the new weights")
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weights of a joint network (default: %(default)s)",
    )
    parser.add_argument(
        "--bones", metavar="WEIGHTS", help="weights that segment the bones (default: the starting weights)"
    )
    parser.add_argument(
        "--radii",
        type=float,
        nargs="+",
        default=[1.0, 2.0],
        metavar="MM",
        help="radii in mm of the erosions used for evaluation (default: 1 2)",
    )
    add_side(parser)
    parser.add_argument(
        "--minutes", type=float, default=30.0, metavar="N", help="time limit for training and evaluation (default: 30)"
    )
    parser.add_argument(
        "--held-out",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="share of patients held out for evaluation (default: 0.3)",
    )
    parser.add_argument(
        "--false-calls",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="largest share of unmodified joints that may be called eroded; sets the new threshold"
        " (default: %(default)s)",
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="seed of split and training (default: %(default)s)")
    parser.set_defaults(run=adapt_weights)


def adapt_weights(arguments: argparse.Namespace) -> int:
    """Adapt weights, and print the figures before and after."""
    import pandas as pd

    from jointwrist.commands.detectability import figure_lines
    from jointwrist.data.dataset.layout import refuse_dataset_as_output
    from jointwrist.files import check_writable, write_frame
    from jointwrist.studies.adapt import AdaptPlan, adapt
    from jointwrist.studies.calls import refuse_unscored
    from jointwrist.studies.detectability_page import summary
    from jointwrist.studies.insertion_study import StudyPlan
    from jointwrist.weights.find import find_weights

    radii = tuple(sorted(set(arguments.radii)))
    study = StudyPlan(radii, control_mm=radii[-1])
    plan = AdaptPlan(arguments.minutes, arguments.held_out, arguments.false_calls, study, arguments.seed)
    start = find_weights(arguments.weights)
    refuse_unscored(start)
    work_folder = arguments.out.with_name(f"{arguments.out.name}-radiographs")
    refuse_dataset_as_output(arguments.out)
    check_writable(arguments.out)
    print_log()
    prepared = prepared_radiographs(
        arguments.folder, work_folder, arguments.bones or start, arguments.side, arguments.out
    )
    done = adapt(prepared, start, arguments.out, work_folder, plan, progress=True)
    for title, found in (("before", done.before), ("after", done.after)):
        print(f"{title}: {summary(found)}\n{figure_lines(found.table)}")
    tables = [found.table.assign(weights=title) for title, found in (("before", done.before), ("after", done.after))]
    write_frame(arguments.out / "adaptation.csv", pd.concat(tables, ignore_index=True))
    print(f"trained on {number_of(done.used, 'radiograph')} in {number_of(done.steps, 'step')}. {done.calls}")
    if done.after.untouched > done.before.untouched + 0.05:
        complain("warning: unmodified joints have a higher probability than before; look at the examples of a study")
    print(
        f"weights: {done.weights}; figures: {arguments.out / 'adaptation.csv'}; prepared radiographs:"
        f" {work_folder}, not to be published"
    )
    return 0
