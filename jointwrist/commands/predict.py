"""`jointwrist predict`: radiographs to overlays, scores and masks."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.shared import (
    UsageError,
    add_device,
    add_field,
    add_side,
    add_turn,
    add_weights,
    add_window,
    complain,
    positive,
)
from jointwrist.errors import DataError, require

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult

#: Side in pixels of a radiograph on the sheet of all predictions.
SHEET_TILE = 360


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "predict",
        help="segment and score radiographs",
        description="Write an overlay, the scores and bones found as JSON, and the masks of every radiograph.",
    )
    parser.add_argument(
        "radiographs", nargs="*", type=Path, metavar="FILE", help="BMP, PNG, JPEG, TIFF or DICOM, or a folder"
    )
    add_weights(parser)
    parser.add_argument("-o", "--out", type=Path, default=Path("predictions"), help="folder (default: %(default)s)")
    add_side(parser)
    add_device(parser)
    parser.add_argument(
        "--batch-size", type=positive, default=4, metavar="N", help="radiographs at once (default: %(default)s)"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over five views of each radiograph and say how far they lie apart"
    )
    add_field(parser)
    add_turn(parser)
    add_window(parser)
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also draw all radiographs on one PNG or JPEG")
    parser.add_argument("--json", action="store_true", help="print the results as JSON lines")
    parser.add_argument(
        "--dicom",
        nargs="?",
        const="seg,sr",
        metavar="KINDS",
        help="also write DICOM objects of DICOM radiographs, some of seg (segmentation), sr (structured report), pr"
        " (presentation state) and sc (overlay as a secondary capture), by commas (default: seg,sr)",
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
        help="also write radiographs and masks into OUT/TOOL to be corrected by hand, and for `jointwrist data import`",
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="leave patient and study empty and replace the UIDs in DICOM files; number the images in place of their"
        " names",
    )
    parser.set_defaults(run=predict, misused=parser.error)


def predict(arguments: argparse.Namespace) -> int:
    """Predict radiographs; one that cannot be read is named, and the others go on."""
    kinds = dicom_kinds(arguments)
    radiographs = list(dict.fromkeys(given_radiographs(arguments)))
    stems = neutral_stems(radiographs) if arguments.deidentify else output_stems(radiographs)
    from jointwrist.data.export_dataset import Export
    from jointwrist.inference.predictor import Predictor
    from jointwrist.outputs.annotation import drawn_result
    from jointwrist.outputs.dicom_objects import BUILDERS
    from jointwrist.outputs.dicom_source import save_dataset
    from jointwrist.outputs.mask_files import MASK_FILES
    from jointwrist.outputs.sheet import draw_tile, picture_format, save_sheet

    if kinds:
        require("highdicom", "dicom")
    for kind in arguments.also:
        require(MASK_FILES[kind].package, "formats")
    if arguments.sheet:
        picture_format(arguments.sheet)
    export = Export(arguments.out / arguments.tool, arguments.tool) if arguments.tool else None
    predictor = Predictor.from_pretrained(arguments.weights, arguments.device, arguments.field, arguments.turn)
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
            result.save(arguments.out, stem)
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
    """Return the DICOM objects that `--dicom` asks for; what it took of the radiographs goes back to them.

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
    """Yield the radiographs that the command line names; its messages number what they must not name.

    What folders hold besides is said.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
    from jointwrist.data.load import name_in_errors

    for number, path in enumerate(arguments.radiographs, 1):
        name = f"FILE {number} of the command" if arguments.deidentify else None

        def tell(folder: Path, others: list[Path], name: str | None = name) -> None:
            complain(describe_left_out(folder, others, name))

        with name_in_errors(path, name):
            yield from find_radiographs([path], arguments.out, tell)


def neutral_stems(radiographs: Sequence[Path]) -> list[str]:
    """Number the radiographs in their order: file names often hold a patient's name or number."""
    return [f"film-{number:03d}" for number, _ in enumerate(radiographs, 1)]


def output_stems(radiographs: Sequence[Path]) -> list[str]:
    """Name the output of each image after it, with its ending and as many of its folders as tell it from the others.

    Raises:
        UsageError: Two radiographs would have one name all the same.
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
    """Name the output of one of a image's two hands by its side, as no other output is named, and take the name."""
    while f"{stem}_{side}" in taken:
        stem += "_both"
    taken.add(f"{stem}_{side}")
    return f"{stem}_{side}"


def summary(result: WristResult) -> str:
    """One line on a result, with what puts it in doubt."""
    from jointwrist.anatomy import JOINTS, LEVEL_LABELS

    hand = {"L": ", left hand", "R": ", right hand"}[result.side] if result.radiograph.field else ""
    text = f"{result.name}{hand}: {len(result.bones)} of 14 bones"
    if result.scored.any():
        eroded = [
            f"{joint.display} {LEVEL_LABELS[result.scores[joint.index]]} (p {result.probabilities[joint.index]:.2f})"
            for joint in JOINTS
            if result.scores[joint.index] > 0
        ]
        text += f", {int(result.scored.sum())} of 6 joint surfaces, eroded: {', '.join(eroded) or 'none'}"
    for caution in result.cautions:
        text += f"; {caution[0].lower()}{caution[1:].rstrip('.')}"
    return text
