"""`jointwrist evaluate --predictions`: evaluate the predictions of any tool."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointwrist.commands.evaluation_means import means
from jointwrist.commands.messages import complain
from jointwrist.commands.options import probability
from jointwrist.errors import DataError
from jointwrist.text import number_of

if TYPE_CHECKING:
    from jointwrist.data.dataset.case import Case
    from jointwrist.data.dataset.ram_w600 import RamW600

#: File of erosion probabilities that is searched for among the predictions.
EROSIONS = "erosion.csv"
#: Largest number of names that are printed.
SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for predictions of any tool."""
    group = parser.add_argument_group("predictions of any tool, in place of weights")
    group.add_argument(
        "--predictions",
        type=Path,
        metavar="FOLDER",
        help="masks named after the radiographs, as npz, 16-bit PNG, npy, NIfTI, .seg.nrrd, labelme, COCO results or"
        " 8-bit label maps; scored on the radiographs' own pixels",
    )
    group.add_argument("--format", metavar="FORMAT", help="format of the masks, if the folder holds several")
    group.add_argument("--map", type=Path, metavar="YAML", help="name or number of a mask: bone, or null")
    group.add_argument(
        "--erosions",
        type=Path,
        metavar="CSV",
        help=f"erosion probabilities: case, joint, probability and, if wanted, level (default: FOLDER/{EROSIONS})",
    )
    group.add_argument(
        "--threshold",
        type=probability,
        default=0.5,
        metavar="P",
        help="probability from which a joint counts as eroded (default: %(default)s)",
    )
    group.add_argument("--name", metavar="MODEL", help="name of the model, written to the first column")


def evaluate_predictions(arguments: argparse.Namespace) -> int:
    """Score masks and erosion probabilities; return 2 if some could not be scored, which are then listed."""
    from jointwrist.data.dataset.ram_w600 import RamW600
    from jointwrist.files import check_writable

    path = arguments.erosions or arguments.predictions / EROSIONS
    if path.resolve() == (arguments.out / EROSIONS).resolve() and path.is_file():
        raise DataError(f"{path}: is read, and the results would replace it; choose another --out")
    check_writable(arguments.out)
    dataset = RamW600.open(arguments.data, splits=_splits(arguments))
    erosions = path if arguments.erosions or path.is_file() else None
    faults = _masks(dataset, arguments, erosions is None)
    if erosions is not None:
        faults += _erosions(dataset, arguments, erosions)
    return 2 if faults else 0


def _masks(dataset: RamW600, arguments: argparse.Namespace, needed: bool) -> int:
    """Score the masks; return how many radiographs could not be scored."""
    from jointwrist.data.mask_formats.predicted import find_masks
    from jointwrist.data.shapes.label_names import read_map
    from jointwrist.engine.score_external_masks import label_map_limit, score_masks

    mapping = read_map(arguments.map, dataset.anatomy) if arguments.map else None
    known = {case.identifier for case in dataset.cases}
    predicted = find_masks(arguments.predictions, known, arguments.format, mapping, needed, dataset.anatomy)
    if predicted is None:
        return 0
    cases = _cases(dataset.segmentation, arguments, "masks")
    done = score_masks(cases, predicted, progress=sys.stderr.isatty())
    _name(predicted.extra, "of no radiograph in this folder", arguments.predictions)
    for fault in done.faults:
        complain(fault)
    if not done.results:
        raise DataError(
            f"{arguments.predictions}: none of {number_of(len(cases), 'radiograph')} could be scored, for the reasons"
            " above"
        )
    text = _write(done.results, "segmentation", arguments, len(cases))
    print(f"{text} (masks: {predicted.format})")
    if done.exclusive:
        rows, bound = label_map_limit(done.scored, progress=sys.stderr.isatty())
        text = _write(rows, "label_map", arguments, len(cases), "segmentation")
        print(
            "no pixel belongs to two bones, as in a label map, which cannot represent the overlaps of the ground truth;"
        )
        print(f"upper bound of the mean DSC of a label map: {100 * bound:.2f} %")
        print(f"the ground truth itself, with each overlap given to the smaller bone: {text}")
    return len(done.faults)


def _erosions(dataset: RamW600, arguments: argparse.Namespace, path: Path) -> int:
    """Score the erosion probabilities; return how many radiographs lack some."""
    from jointwrist.engine.score_external_erosions import read_probabilities, score_erosions
    from jointwrist.metrics.erosion_call import call_eroded

    found, extra = read_probabilities(path, {case.identifier for case in dataset.cases}, dataset.anatomy)
    cases = _cases(dataset.erosion, arguments, "erosion scores")
    rows, faults = score_erosions(cases, found, arguments.threshold)
    _name(extra, "of no radiograph in this folder", path)
    for fault in faults:
        complain(fault)
    if not rows:
        raise DataError(
            f"{path}: has none of {number_of(len(cases), 'scored radiograph')}; name them in `case` as their files are"
            " named"
        )
    for row in rows:
        row["predicted"] = int(call_eroded(row["probability"], arguments.threshold))
    print(_write(rows, "erosion", arguments, len(cases)))
    return len(faults)


def _cases(cases_of: Callable[[str], list[Case]], arguments: argparse.Namespace, labels: str) -> list[Case]:
    """Return the cases of the chosen split.

    Raises:
        DataError: There are none.
    """
    cases = [case for split in _splits(arguments) for case in cases_of(split)]
    if not cases:
        if arguments.split == "all":
            raise DataError(f"{arguments.data}: no radiograph has {labels}; name a folder with them")
        raise DataError(
            f"{arguments.data}: no radiograph of the split {arguments.split} has {labels}; choose another --split, or"
            " all"
        )
    return cases


def _splits(arguments: argparse.Namespace) -> tuple[str, ...]:
    from jointwrist.data.dataset.layout import SPLITS

    return SPLITS if arguments.split == "all" else (arguments.split,)


def _name(names: Sequence[str], what: str, where: Path) -> None:
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        complain(f"{where}: {what}: {', '.join(names[:SHOWN])}{more}")


def _write(
    rows: list[dict[str, Any]], name: str, arguments: argparse.Namespace, cases: int, table: str | None = None
) -> str:
    """Write rows as CSV, and return a line with their means."""
    import pandas as pd

    from jointwrist.engine.results.case_results import CASE_KEYS
    from jointwrist.files import write_frame

    frame = pd.DataFrame(rows).sort_values(list(CASE_KEYS[table or name]))
    if arguments.name:
        frame.insert(0, "model", arguments.name)
    path = arguments.out / f"{name}.csv"
    write_frame(path, frame)
    count = frame["case"].nunique()
    of = "" if count == cases else f"{count} of "
    return f"{path}: {of}{number_of(cases, 'wrist')}, {means(table or name, frame)}"
