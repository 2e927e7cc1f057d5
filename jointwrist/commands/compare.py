"""`jointwrist compare`: compare two visits of one wrist."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jointwrist.commands.compare_pairs import RECORD, Pair, compare_pairs, read_pairs, set_aside_comparison
from jointwrist.commands.messages import UsageError, columns, complain
from jointwrist.commands.options import add_predictor, add_scope, add_side, counted, load_predictor, spacing
from jointwrist.data.result_files import EARLIER
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from jointwrist.inference.comparison import Comparison
    from jointwrist.inference.placement import Placement

Value = TypeVar("Value")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="compare two visits of one wrist, or many pairs of visits",
        description="Register a follow-up to its baseline by the bones; write the changes in erosion, bone area and"
        " joint space, and a picture of both outlines.",
    )
    parser.add_argument(
        "baseline", type=Path, nargs="?", metavar="BASELINE", help="earlier radiograph (BMP, PNG, JPEG, TIFF or DICOM)"
    )
    parser.add_argument("followup", type=Path, nargs="?", metavar="FOLLOWUP", help="later radiograph of the same wrist")
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="TABLE",
        help="compare many: a CSV file or Excel workbook with the columns baseline and followup (paths from its"
        " folder), and optionally side (otherwise --side) and name; each comparison gets a folder in OUT",
    )
    add_predictor(parser)
    add_scope(parser)
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("comparison"), help="folder of the results (default: %(default)s)"
    )
    add_side(parser)
    parser.add_argument(
        "--between",
        nargs="+",
        metavar="BONE:BONE",
        help="joint spaces to measure, such as Scaphoid:Lunate (default: those of the Sharp/van der Heijde score)",
    )
    parser.add_argument(
        "--spacing",
        nargs="+",
        type=spacing,
        default=[None],
        metavar="MM",
        help="width of a pixel of radiographs that state none, for lengths in mm; two values, the baseline's first,"
        " where they differ",
    )
    parser.add_argument(
        "--window",
        nargs="+",
        type=counted,
        default=[0],
        metavar="N",
        help="index of the window or VOI LUT of DICOM radiographs that have several; two values, the baseline's first,"
        " where they differ (default: 0)",
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="call the radiographs baseline and followup instead of using their file names",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.set_defaults(run=compare)


def compare(arguments: argparse.Namespace) -> int:
    """Compare two visits of one wrist, or the pairs of a table."""
    from jointwrist.files import check_writable, refuse_input
    from jointwrist.outputs.comparison_picture import NAMES, save_comparison

    if arguments.pairs is None:
        if arguments.followup is None:
            raise UsageError("two radiographs are compared: give BASELINE and FOLLOWUP, or --pairs TABLE for many")
        pairs = [Pair(arguments.baseline, arguments.followup, None, "")]
    elif arguments.baseline is not None:
        raise UsageError("give either BASELINE and FOLLOWUP, or --pairs")
    else:
        pairs = read_pairs(arguments.pairs, arguments.deidentify)
    inputs = [file for pair in pairs for file in pair[:2]]
    for pair in pairs:
        for name in NAMES:
            refuse_input(arguments.out / pair.name / name, inputs)
    check_writable(arguments.out)
    compare_visits = comparer(arguments)
    if arguments.pairs is not None:
        return compare_pairs(arguments, pairs, compare_visits, save_comparison)
    try:
        comparison = compare_visits(pairs[0])
    except DataError:
        if set_aside_comparison(arguments.out):
            complain(f"the comparison of an earlier run is kept as {arguments.out / RECORD}{EARLIER}")
        raise
    save_comparison(comparison, arguments.out)
    if arguments.json:
        print(json.dumps(comparison.to_dict()))
        return 0
    print(change_tables(comparison.to_dict()))
    print(f"comparison and picture: {arguments.out}")
    return 0


def comparer(arguments: argparse.Namespace) -> Callable[[Pair], Comparison]:
    """Load the weights, and return a function that reads, predicts and compares two visits.

    Raises:
        DataError: The weights cannot be read, or are of another anatomy than the wrist.
        UsageError: An option has a wrong number of values, or names no bones.
    """
    from jointwrist.anatomy import shows_wrist
    from jointwrist.inference.comparison import compare as compare_visits
    from jointwrist.inference.joint_space import SPACES
    from jointwrist.inference.sources import read_radiograph

    spaces = [bone_pair(text) for text in arguments.between] if arguments.between else SPACES
    spacings = two_values("--spacing", arguments.spacing)
    windows = two_values("--window", arguments.window)
    predictor = load_predictor(arguments, arguments.score_out_of_scope)
    if not shows_wrist(predictor.anatomy):
        raise DataError(
            f"{arguments.weights}: visits are compared for wrists only, not for the anatomy {predictor.anatomy.name};"
            " give weights of wrists"
        )

    def run(pair: Pair) -> Comparison:
        visits = zip(("baseline", "followup"), pair[:2], spacings, windows, strict=True)
        radiographs = [
            read_radiograph(
                file, pair.side or arguments.side, spacing_mm, window, name=visit if arguments.deidentify else None
            )
            for visit, file, spacing_mm, window in visits
        ]
        wrists = [one_wrist(predictor.locate(radiograph)) for radiograph in radiographs]
        return compare_visits(*(predictor.predict([wrist])[0] for wrist in wrists), spaces)

    return run


def one_wrist(placements: Sequence[Placement]) -> Placement:
    """Return the only wrist of a radiograph.

    Raises:
        DataError: The radiograph shows two.
    """
    if len(placements) > 1:
        raise DataError(f"{placements[0].radiograph.source}: shows both hands; state with --side which one to compare")
    return placements[0]


def two_values(option: str, given: Sequence[Value]) -> tuple[Value, Value]:
    """Return the values of an option for baseline and follow-up from one for both, or two.

    Raises:
        UsageError: There are more.
    """
    if len(given) > 2:
        raise UsageError(f"{option} takes one or two values, the baseline's first")
    return given[0], given[-1]


def bone_pair(text: str) -> tuple[int, int]:
    """Read two bones from BONE:BONE.

    Raises:
        UsageError: The text does not name two different bones.
    """
    from jointwrist.anatomy import bone_index

    names = text.split(":")
    if len(names) != 2:
        raise UsageError(f"--between {text}: two bones are given as Scaphoid:Lunate")
    try:
        first, second = map(bone_index, names)
    except KeyError as error:
        raise UsageError(f"--between {text}: {error.args[0]}") from None
    if first == second:
        raise UsageError(f"--between {text}: a joint space is between two different bones")
    return first, second


def change_tables(change: dict[str, Any]) -> str:
    """Format a comparison as three aligned tables, between its warnings and its notes."""

    def show(value: float | str | None, form: str = "") -> str:
        return "-" if value is None else format(value, form)

    unit = change["unit"]
    joints = [("joint surface", "score", "follow-up", "probability", "follow-up")]
    for row in change["joints"]:
        joints.append(
            (
                row["name"],
                *(show(row[f"{visit}_score"]) for visit in ("baseline", "followup")),
                *(show(row[f"{visit}_probability"], ".2f") for visit in ("baseline", "followup")),
            )
        )
    bones = [("bone", f"area {unit}²", "follow-up", "change")]
    for row in change["bone_areas"]:
        percent = show(row["change_percent"], "+.1f")
        bones.append((row["name"], show(row["baseline"], ".1f"), show(row["followup"], ".1f"), f"{percent} %"))
    widths = (f"narrowest {unit}", "follow-up", "change", f"mean {unit}", "follow-up", "change")
    spaces = [("joint space", *widths, f"bones moved {unit}", "error")]
    for row in change["joint_spaces"]:
        cells = [
            show(row[key], ".2f" if key.startswith(("baseline", "followup")) else "+.2f")
            for kind in ("minimum", "mean")
            for key in (f"baseline_{kind}", f"followup_{kind}", f"{kind}_change")
        ]
        moved = show(row["displacement"], "+.2f"), show(row["displacement_error"], ".2f")
        site = f" ({row['site']})" if row["site"] else ""
        spaces.append((" - ".join(row["between"]) + site, *cells, *moved))
    tables = [columns(rows, right=range(1, len(rows[0]))) for rows in (joints, bones, spaces)]
    laid = change["registration"]
    fit = (
        f"median distance between the registered outlines: {laid['residual_px']:.2f} px of the baseline, over"
        f" the {laid['residual_points']} of {laid['outline_points']} points that lie on it"
    )
    warnings = ["\n".join(f"WARNING: {text}" for text in change["warnings"])] if change["warnings"] else []
    return "\n\n".join([*warnings, *tables, "\n".join([fit, *change["notes"], change["notice"]])])
