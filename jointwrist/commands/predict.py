"""`jointwrist predict`: write overlays, scores and masks for radiographs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.earlier_results import EarlierResults, describe_earlier
from jointwrist.commands.in_order import MOST_WORKERS, cores, in_order, limit_threads, stop_on_interrupt
from jointwrist.commands.messages import INTERRUPTED, UsageError, complain
from jointwrist.commands.options import (
    add_predictor,
    add_scope,
    add_side,
    add_spacing,
    add_window,
    load_predictor,
    positive,
)
from jointwrist.commands.result_writer import MOST_OVERLAYS, ResultWriter, Written
from jointwrist.commands.tally import Tally
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

    from jointwrist.anatomy import Anatomy
    from jointwrist.data.export_dataset import Export
    from jointwrist.inference.predictor import Predictor


#: Kinds of DICOM objects; `outputs.dicom_objects` builds them.
DICOM_KINDS = ("seg", "sr", "pr", "sc")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predict",
        help="segment the bones and score the joints of radiographs",
        description="Write an overlay, the bones and scores as JSON, and the masks of each radiograph.",
    )
    parser.add_argument(
        "radiographs",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="radiograph (BMP, PNG, JPEG, TIFF or DICOM), or folder that is searched for them",
    )
    add_predictor(parser)
    add_scope(parser)
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("predictions"), help="folder of the results (default: %(default)s)"
    )
    add_side(parser)
    parser.add_argument(
        "--batch-size",
        type=positive,
        default=1,
        metavar="N",
        help="radiographs that go through the network at once; more than one helps on a GPU (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="threads, each processing one radiograph (default: the processor's cores, at most 8)",
    )
    parser.add_argument(
        "--overlay",
        action=argparse.BooleanOptionalAction,
        help=f"draw an overlay of each radiograph (default: of up to {MOST_OVERLAYS} radiographs)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results in OUT even if they belong to another radiograph"
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="average over five views of each radiograph and report their agreement; takes five times as long",
    )
    add_window(parser)
    add_spacing(parser)
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="also write a contact sheet of all radiographs, a .png or .jpg"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON, one line per wrist")
    parser.add_argument(
        "--dicom",
        nargs="?",
        const="seg,sr",
        metavar="KINDS",
        help="also write DICOM objects of DICOM radiographs; comma-separated list of seg (segmentation), sr (structured"
        " report), pr (presentation state) and sc (overlay as a secondary capture) (default: seg,sr)",
    )
    parser.add_argument(
        "--also",
        type=mask_files,
        default=(),
        metavar="KINDS",
        help="also write the masks of every radiograph as nrrd (3D Slicer), nifti, or both, separated by a comma",
    )
    parser.add_argument(
        "--for",
        dest="tool",
        choices=("coco", "labelme", "nifti", "seg.nrrd"),
        help="also write radiographs and masks to OUT/TOOL, for manual correction and import with `jointwrist data"
        " import`",
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="number the radiographs instead of using their file names, and leave patient and study empty and replace"
        " the UIDs in DICOM files",
    )
    parser.set_defaults(run=predict, misused=parser.error)


def predict(arguments: argparse.Namespace) -> int:
    """Predict radiographs; unreadable ones are reported and skipped."""
    from jointwrist.inference.batches import radiograph_batches

    kinds = dicom_kinds(arguments)
    left_out: list[Path] = []
    absent: list[DataError] = []
    found = given_radiographs(arguments, left_out, absent)
    radiographs = list({path.absolute(): path for path in found}.values())
    if not radiographs:
        for error in absent[:-1]:
            complain(error)
        raise absent[-1] if absent else DataError("no radiographs are left; name them, not their results")
    writer = ResultWriter(arguments, kinds, radiographs)
    workers = min(arguments.workers or min(cores(), MOST_WORKERS), len(radiographs))
    if workers > 1:
        limit_threads(max(cores() // workers, 1))
    predictor = load_predictor(arguments, arguments.score_out_of_scope)
    export = open_export(arguments, predictor.anatomy)
    tally, tiles = Tally(len(radiographs) + len(absent), arguments.out), []
    tally.skipped = len(left_out)
    for error in absent:
        tally.refuse(error)
    tally.advance(len(absent))

    earlier: list[EarlierResults] = []

    def work(batch: list[int]) -> tuple[int, list[list[Written]], list[DataError], list[EarlierResults]]:
        return len(batch), *predict_batch(batch, radiographs, predictor, writer, arguments)

    batches = radiograph_batches(radiographs, arguments.batch_size, predictor.pairs_hands)
    with stop_on_interrupt() as stopped:
        try:
            for count, wrists, errors, before in in_order(work, batches, workers, stopped.is_set):
                earlier += before
                for error in errors:
                    tally.refuse(error)
                for written in wrists:
                    tally.written += 1
                    for wrist in written:
                        for error in wrist.errors:
                            tally.refuse(error)
                        if export and wrist.drawn:
                            export.add(wrist.drawn)
                        if wrist.tile:
                            tiles.append(wrist.tile)
                        tally.say(wrist.line)
                tally.advance(count)
        finally:
            tally.close()
    if export and tally.written:
        export.finish()
    if tiles:
        save_tiles(tiles, arguments.sheet)
    finish(arguments, tally, earlier, writer.overlay, predictor)
    return INTERRUPTED if stopped.is_set() else 2 if tally.errors else 0


def predict_batch(
    batch: list[int],
    radiographs: list[Path],
    predictor: Predictor,
    writer: ResultWriter,
    arguments: argparse.Namespace,
) -> tuple[list[list[Written]], list[DataError], list[EarlierResults]]:
    """Predict radiographs as one batch, and write their results.

    Args:
        batch: Indices of the radiographs.
        radiographs: All radiographs of the run.
        predictor: Predictor.
        writer: Writes the results.
        arguments: Arguments of the command.

    Returns:
        What was written, a list per radiograph with an entry per wrist, the errors of refused radiographs, and the
        results that earlier runs wrote for these.
    """
    errors: list[DataError] = []
    done = predictor.stream(
        [radiographs[index] for index in batch],
        arguments.side,
        tta=arguments.tta,
        batch_size=len(batch),
        window=arguments.window,
        spacing_mm=arguments.spacing,
        names=[writer.stems[index] for index in batch] if arguments.deidentify else None,
        refused=errors.append,
    )
    wrists, refused = [], set(batch)
    for position, results in done:
        refused.remove(batch[position])
        try:
            wrists.append([writer.write(batch[position], result, len(results) == 1) for result in results])
        except DataError as error:
            errors.append(error)
    return wrists, errors, [writer.set_aside_earlier(index) for index in refused]


def open_export(arguments: argparse.Namespace, anatomy: Anatomy) -> Export | None:
    """Open the folder of annotations requested by `--for`."""
    if not arguments.tool:
        return None
    from jointwrist.data.export_dataset import Export

    return Export(arguments.out / arguments.tool, arguments.tool, anatomy)


def save_tiles(tiles: list[Image.Image], path: Path) -> None:
    """Write the sheet."""
    from jointwrist.outputs.sheet import save_sheet

    save_sheet(tiles, path)


def finish(
    arguments: argparse.Namespace,
    tally: Tally,
    earlier: Sequence[EarlierResults],
    overlay: bool,
    predictor: Predictor,
) -> None:
    """Print a summary, the output folder and the weight file; only the summary, to standard error, with --json."""
    summary = [tally.summary()] if tally.total > 1 else []
    for line in (*summary, *describe_earlier(earlier)):
        print(line, file=sys.stderr if arguments.json else sys.stdout, flush=True)
    if tally.written and not arguments.json:
        what = "overlays, scores and masks" if overlay else "scores and masks (overlays with --overlay)"
        print(f"{what}: {arguments.out}")
        if predictor.weights != predictor.name:
            print(f"weights: {predictor.weights} ({predictor.name})")
        if arguments.tool:
            print(f"to be corrected with {arguments.tool}: {arguments.out / arguments.tool}")


def mask_files(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of mask file formats."""
    from jointwrist.outputs.mask_files import MASK_FILES

    kinds = tuple(dict.fromkeys(kind.strip() for kind in text.split(",")))
    for kind in kinds:
        if kind not in MASK_FILES:
            raise argparse.ArgumentTypeError(f"{kind!r} is not one of {', '.join(MASK_FILES)}")
    return kinds


def dicom_kinds(arguments: argparse.Namespace) -> list[str]:
    """Return the kinds of DICOM objects requested by `--dicom`; a radiograph swallowed by the option is put back.

    Raises:
        UsageError: A kind is unknown.
        SystemExit: There are no radiographs.
    """
    asked = arguments.dicom or ""
    kinds = [kind.strip() for kind in asked.split(",") if kind.strip()]
    unknown = [kind for kind in kinds if kind not in DICOM_KINDS]
    if unknown and Path(asked).exists():  # `--dicom wrist.dcm` names no kinds
        arguments.radiographs.insert(0, Path(asked))
        kinds, unknown = ["seg", "sr"], []
    if unknown:
        raise UsageError(f"--dicom {asked}: {unknown[0]!r} is not one of {', '.join(DICOM_KINDS)}, nor a file")
    if not arguments.radiographs:
        arguments.misused("name at least one FILE")
    return list(dict.fromkeys(kinds))


def given_radiographs(arguments: argparse.Namespace, left_out: list[Path], absent: list[DataError]) -> Iterator[Path]:
    """Yield the radiographs given on the command line.

    With `--deidentify`, messages number the arguments instead of naming them.

    Args:
        arguments: Of the command.
        left_out: Takes other files in folders, which are also reported.
        absent: Takes the errors of paths that do not exist and of folders without radiographs.
    """
    from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
    from jointwrist.data.load import name_in_errors

    for number, path in enumerate(arguments.radiographs, 1):
        name = f"FILE {number} of the command" if arguments.deidentify else None

        def report(folder: Path, others: list[Path], name: str | None = name) -> None:
            complain(describe_left_out(folder, others, name))
            left_out.extend(others)

        try:
            with name_in_errors(path, name):
                found = list(find_radiographs([path], arguments.out, report))
        except DataError as error:
            absent.append(error)
        else:
            yield from (radiograph for radiograph in found if not _is_earlier_sheet(radiograph, arguments.sheet))


def _is_earlier_sheet(radiograph: Path, sheet: Path | None) -> bool:
    """Whether a file found in a folder is the sheet of an earlier run, which is to be replaced."""
    if sheet is None or radiograph.absolute() != sheet.absolute():
        return False
    from jointwrist.outputs.sheet import is_sheet

    return is_sheet(sheet)
