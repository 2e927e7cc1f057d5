"""`jointwrist predict`: films to overlays, scores and masks."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.commands.shared import UsageError, add_device, add_field, add_side, add_weights, complain, positive
from jointwrist.errors import DataError, require

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult

#: Side in pixels of a film on the sheet of all predictions.
SHEET_TILE = 360


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "predict",
        help="segment and score radiographs",
        description="Write an overlay, the scores and bones found as JSON, and the masks of every radiograph.",
    )
    parser.add_argument(
        "films", nargs="+", type=Path, metavar="FILE", help="BMP, PNG, JPEG, TIFF or DICOM, or a folder"
    )
    add_weights(parser)
    parser.add_argument("-o", "--out", type=Path, default=Path("predictions"), help="folder (default: %(default)s)")
    add_side(parser)
    add_device(parser)
    parser.add_argument(
        "--batch-size", type=positive, default=4, metavar="N", help="films at once (default: %(default)s)"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over five views of each film and say how far they lie apart"
    )
    add_field(parser)
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also draw all films on one PNG or JPEG")
    parser.add_argument("--json", action="store_true", help="print the results as JSON lines")
    parser.add_argument(
        "--dicom", action="store_true", help="also write a DICOM segmentation and a structured report of DICOM films"
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="leave patient and study empty in DICOM files, and number the films in place of their names",
    )
    parser.set_defaults(run=predict)


def predict(arguments: argparse.Namespace) -> int:
    """Predict films; one that cannot be read is named, and the others go on."""
    from jointwrist.data.dicom import find_films

    films = list(dict.fromkeys(find_films(arguments.films)))
    stems = neutral_stems(films) if arguments.deidentify else output_stems(films)
    from jointwrist.inference.predictor import Predictor, read_film
    from jointwrist.inference.sheet import draw_tile, picture_format, save_sheet

    if arguments.dicom:
        require("highdicom", "dicom")
    if arguments.sheet:
        picture_format(arguments.sheet)
    predictor = Predictor.from_pretrained(arguments.weights, arguments.device, arguments.field)
    failed, tiles = 0, []
    for start in range(0, len(films), arguments.batch_size):
        batch = []
        for path in films[start : start + arguments.batch_size]:
            try:
                film = read_film(path, arguments.side)
                if arguments.deidentify:
                    film = replace(film, source=Path(stems[path]))
                batch += predictor.locate(film)
            except DataError as error:
                complain(error)
                failed += 1
        hands = Counter(film.source for film in batch)
        for result in predictor.predict(batch, arguments.tta):
            source = result.film.source
            stem = stems.get(source, source.name)
            stem = stem if hands[source] == 1 else f"{stem}_{result.side}"
            result.save(arguments.out, stem)
            if arguments.sheet:
                tiles.append(draw_tile(result, SHEET_TILE))
            if arguments.dicom:
                try:
                    result.save_seg(arguments.out / f"{stem}_seg.dcm", arguments.deidentify)
                    result.save_sr(arguments.out / f"{stem}_sr.dcm", arguments.deidentify)
                except DataError as error:
                    complain(error)
                    failed += 1
            print(json.dumps(result.to_dict()) if arguments.json else summary(result))
    if tiles:
        save_sheet(tiles, arguments.sheet)
    if not arguments.json:
        print(f"overlays, scores and masks: {arguments.out}")
    return 2 if failed else 0


def neutral_stems(films: Sequence[Path]) -> dict[Path, str]:
    """Number the films in their order: file names often hold a patient's name or number."""
    return {film: f"film-{number:03d}" for number, film in enumerate(films, 1)}


def output_stems(films: Sequence[Path]) -> dict[Path, str]:
    """Name the output of each film after it, with its ending where two differ in nothing else.

    Raises:
        UsageError: Two films in different folders have one name.
    """
    counts = Counter(film.stem for film in films)
    stems = {film: film.stem if counts[film.stem] == 1 else film.name.replace(".", "_") for film in films}
    for stem, count in Counter(stems.values()).items():
        if count > 1:
            raise UsageError(
                f"{count} films would be written as {stem}; predict them one by one, each with its own --out"
            )
    return stems


def summary(result: WristResult) -> str:
    """One line on a result."""
    from jointwrist.anatomy import JOINTS
    from jointwrist.inference.result import LEVEL_LABELS

    hand = {"L": ", left hand", "R": ", right hand"}[result.side] if result.film.field else ""
    text = f"{result.name}{hand}: {len(result.bones)} of 14 bones"
    if result.scored.any():
        eroded = [
            f"{joint.display} {LEVEL_LABELS[result.scores[joint.index]]} (p {result.probabilities[joint.index]:.2f})"
            for joint in JOINTS
            if result.scores[joint.index] > 0
        ]
        text += f", {int(result.scored.sum())} of 6 joint surfaces, eroded: {', '.join(eroded) or 'none'}"
    return text
