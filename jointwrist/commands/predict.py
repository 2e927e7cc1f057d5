"""`jointwrist predict`: overlays, scores and masks of radiographs."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.shared import (
    UsageError,
    add_predictor,
    add_side,
    add_window,
    complain,
    load_predictor,
    positive,
)
from jointwrist.errors import DataError, require

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult

#: Side in pixels of a radiograph on the sheet.
SHEET_TILE = 360


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
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("predictions"), help="folder of the results (default: %(default)s)"
    )
    add_side(parser)
    parser.add_argument(
        "--batch-size", type=positive, default=4, metavar="N", help="radiographs per batch (default: %(default)s)"
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="average over five views of each radiograph and report how far they agree; takes five times as long",
    )
    add_window(parser)
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="also draw all radiographs on one picture, a .png or .jpg"
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
        help="also write the masks of every radiograph as nrrd (3D Slicer), nifti, or both by commas",
    )
    parser.add_argument(
        "--for",
        dest="tool",
        choices=("coco", "labelme", "nifti", "seg.nrrd"),
        help="also write radiographs and masks to OUT/TOOL, in a format in which they can be corrected by hand and"
        " imported with `jointwrist data import`",
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="number the radiographs instead of using their file names, and leave patient and study empty and replace"
        " the UIDs in DICOM files",
    )
    parser.set_defaults(run=predict, misused=parser.error)


def predict(arguments: argparse.Namespace) -> int:
    """Predict radiographs; one that cannot be read is reported, and the others go on."""
    kinds = dicom_kinds(arguments)
    radiographs = list(dict.fromkeys(given_radiographs(arguments)))
    stems = neutral_stems(radiographs) if arguments.deidentify else output_stems(radiographs)
    from jointwrist.data.export_dataset import Export
    from jointwrist.outputs.annotation import drawn_result
    from jointwrist.outputs.dicom_objects import BUILDERS
    from jointwrist.outputs.dicom_source import save_dataset
    from jointwrist.outputs.mask_files import MASK_FILES
    from jointwrist.outputs.result_files import save_result
    from jointwrist.outputs.sheet import draw_tile, picture_format, save_sheet

    if kinds:
        require("highdicom", "dicom")
    for kind in arguments.also:
        require(MASK_FILES[kind].package, "formats")
    if arguments.sheet:
        picture_format(arguments.sheet)
    predictor = load_predictor(arguments)
    export = Export(arguments.out / arguments.tool, arguments.tool, predictor.anatomy) if arguments.tool else None
    failures, tiles, taken, written = [], [], set(stems), 0

    def fail(error: DataError) -> None:
        complain(error)
        failures.append(error)

    done = predictor.stream(
        radiographs,
        arguments.side,
        tta=arguments.tta,
        batch_size=arguments.batch_size,
        window=arguments.window,
        names=stems if arguments.deidentify else None,
        refused=fail,
    )
    for index, results in done:
        for result in results:
            stem = stems[index] if len(results) == 1 else hand_stem(stems[index], result.side, taken)
            save_result(result, arguments.out, stem)
            written += 1
            for kind in arguments.also:
                MASK_FILES[kind].save(result, arguments.out / f"{stem}{MASK_FILES[kind].ending}")
            if export:
                export.add(drawn_result(result, stem, arguments.deidentify))
            if arguments.sheet:
                tiles.append(draw_tile(result, SHEET_TILE))
            try:
                for kind in kinds:
                    dataset = BUILDERS[kind](result, arguments.deidentify)
                    save_dataset(dataset, arguments.out / f"{stem}_{kind}.dcm")
            except DataError as error:
                fail(error)
            print(json.dumps(result.to_dict()) if arguments.json else summary(result))
    if export and written:
        export.finish()
    if tiles:
        save_sheet(tiles, arguments.sheet)
    if written and not arguments.json:
        print(f"overlays, scores and masks: {arguments.out}")
        if export:
            print(f"to be corrected with {arguments.tool}: {export.out}")
    return 2 if failures else 0


def mask_files(text: str) -> tuple[str, ...]:
    """Return the kinds of mask files that a text names, by commas."""
    from jointwrist.outputs.mask_files import MASK_FILES

    kinds = tuple(dict.fromkeys(kind.strip() for kind in text.split(",")))
    for kind in kinds:
        if kind not in MASK_FILES:
            raise argparse.ArgumentTypeError(f"{kind!r} is none of {', '.join(MASK_FILES)}")
    return kinds


def dicom_kinds(arguments: argparse.Namespace) -> list[str]:
    """Return the kinds of DICOM objects that `--dicom` asks for; a radiograph that it took goes back to the others.

    Raises:
        UsageError: A kind is unknown.
        SystemExit: There are no radiographs.
    """
    from jointwrist.outputs.dicom_objects import BUILDERS

    asked = arguments.dicom or ""
    kinds = [kind.strip() for kind in asked.split(",") if kind.strip()]
    unknown = [kind for kind in kinds if kind not in BUILDERS]
    if unknown and Path(asked).exists():  # `--dicom wrist.dcm` names no kinds
        arguments.radiographs.insert(0, Path(asked))
        kinds, unknown = ["seg", "sr"], []
    if unknown:
        raise UsageError(f"--dicom {asked}: {unknown[0]!r} is none of {', '.join(BUILDERS)}, and no file")
    if not arguments.radiographs:
        arguments.misused("name at least one FILE")
    return list(dict.fromkeys(kinds))


def given_radiographs(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the radiographs that the command line names, and report other files in folders.

    With `--deidentify`, messages number the arguments instead of naming them.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
    from jointwrist.data.load import name_in_errors

    for number, path in enumerate(arguments.radiographs, 1):
        name = f"FILE {number} of the command" if arguments.deidentify else None

        def report(folder: Path, others: list[Path], name: str | None = name) -> None:
            complain(describe_left_out(folder, others, name))

        with name_in_errors(path, name):
            yield from find_radiographs([path], arguments.out, report)


def neutral_stems(radiographs: Sequence[Path]) -> list[str]:
    """Number the radiographs in their order, as file names often hold a patient's name or number."""
    return [f"film-{number:03d}" for number, _ in enumerate(radiographs, 1)]


def output_stems(radiographs: Sequence[Path]) -> list[str]:
    """Name the output of each radiograph after its file, with as much of its path as makes the name unique.

    Raises:
        UsageError: Two radiographs would still have the same name.
    """
    stems = [radiograph.stem for radiograph in radiographs]
    for parts in range(1, max((len(radiograph.parts) for radiograph in radiographs), default=0) + 1):
        counts = Counter(stems)
        if max(counts.values()) == 1:
            break
        stems = [
            "_".join(part.strip("/\\:").replace(".", "_") for part in radiograph.parts[-parts:])
            if counts[stem] > 1
            else stem
            for radiograph, stem in zip(radiographs, stems, strict=True)
        ]
    for stem, count in Counter(stems).items():
        if count > 1:
            raise UsageError(
                f"{count} radiographs would be written as {stem}; predict them one by one, each with its own --out"
            )
    return stems


def hand_stem(stem: str, side: str, taken: set[str]) -> str:
    """Name the output of one of two hands on a radiograph by its side, and add the name to those `taken`."""
    while f"{stem}_{side}" in taken:
        stem += "_both"
    taken.add(f"{stem}_{side}")
    return f"{stem}_{side}"


def summary(result: WristResult) -> str:
    """Summarise a result in one line, with what puts it in doubt."""
    anatomy = result.anatomy
    hand = {"L": ", left hand", "R": ", right hand"}[result.side] if result.placement.crop else ""
    text = f"{result.name}{hand}: {len(result.bones)} of {len(anatomy.bones)} bones"
    if result.scored.any():
        eroded = [
            f"{joint.display} {anatomy.erosion.labels[result.scores[joint.index]]}"
            f" (p {result.probabilities[joint.index]:.2f})"
            for joint in anatomy.eroded_joints
            if result.scores[joint.index] > 0
        ]
        scored = f"{int(result.scored.sum())} of {len(anatomy.eroded_joints)} joint surfaces"
        text += f", {scored}, eroded: {', '.join(eroded) or 'none'}"
    for caution in result.cautions:
        text += f"; {caution[0].lower()}{caution[1:].rstrip('.')}"
    if result.scored.any() and result.history.caution:
        text += f"; {result.history.caution}"
    return text
