"""Write the outputs of `jointwrist predict`, wrist by wrist, from several threads."""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jointwrist.commands.earlier_results import EarlierResults, set_aside_results
from jointwrist.commands.output_names import (
    check_no_inputs,
    check_unused,
    digest,
    hand_stems,
    neutral_stems,
    output_stems,
)
from jointwrist.errors import DataError, require
from jointwrist.files import check_writable

if TYPE_CHECKING:
    from PIL import Image

    from jointwrist.data.export_dataset import DrawnRadiograph
    from jointwrist.inference.result import WristResult

#: Side in pixels of a radiograph on the sheet.
SHEET_TILE = 360
#: Longest name of a radiograph in bytes: file systems allow 255, and results have endings.
LONGEST_STEM = 235
#: Up to so many radiographs get an overlay by default: drawing one costs as much as the network.
MOST_OVERLAYS = 24


class Written(NamedTuple):
    """Follow-up work for a wrist whose files have been written.

    Attributes:
        line: Line to be printed.
        errors: Errors of single files.
        drawn: Radiograph and masks for the export, or None.
        tile: Picture for the sheet, or None.
    """

    line: str
    errors: list[DataError]
    drawn: DrawnRadiograph | None
    tile: Image.Image | None


class ResultWriter:
    """Write results according to the command's options.

    Args:
        arguments: Arguments of the command.
        kinds: Kinds of DICOM objects to write.
        radiographs: All radiographs of the run.

    Raises:
        DataError: The sheet has no suffix of a picture, or would replace a picture that is no sheet.
        StorageError: The output folder, or that of the sheet, is a file or not writable, or the sheet is a folder.
        MissingExtraError: A package for a kind of file is not installed.
        UsageError: Two radiographs would have outputs of one name.
    """

    def __init__(self, arguments: argparse.Namespace, kinds: Sequence[str], radiographs: Sequence[Path]):
        self.arguments, self.kinds, self.radiographs = arguments, kinds, radiographs
        self.stems = (neutral_stems if arguments.deidentify else output_stems)(radiographs)
        self.hands = hand_stems(self.stems)
        self.overlay = len(radiographs) <= MOST_OVERLAYS if arguments.overlay is None else arguments.overlay
        check_writable(arguments.out, make=False)
        self._inputs = {os.path.realpath(radiograph) for radiograph in radiographs}
        self._dicom = threading.Lock()  # pydicom and highdicom silence warnings for the whole process
        if kinds:
            require("highdicom", "dicom")
        for kind in arguments.also:
            from jointwrist.outputs.mask_files import MASK_FILES

            require(MASK_FILES[kind].package, "formats")
        if arguments.sheet:
            from jointwrist.outputs.sheet import check_place

            check_place(arguments.sheet)

    def write(self, index: int, result: WristResult, alone: bool) -> Written:
        """Write the files of a wrist.

        Args:
            index: Index of its radiograph.
            result: Prediction.
            alone: Whether it is the only wrist on its radiograph.

        Raises:
            DataError: The files would replace a radiograph, the result of another one, or what is no result.
        """
        from jointwrist.outputs.result_files import save_result

        stem = self.stems[index] if alone else self.hands[index][result.side]
        out, file = self.arguments.out, self.radiographs[index]
        if len(os.fsencode(stem)) > LONGEST_STEM:
            raise DataError(f"{file}: its name is too long for those of its results; give it a shorter one")
        if self.arguments.tool and not stem.isascii() and "\\udc" in ascii(stem):
            raise DataError(f"{file}: its name is not text in UTF-8, and annotation tools would not find it; rename it")
        content, name = digest(file), self.stems[index] if self.arguments.deidentify else str(file)
        check_unused(out / f"{stem}.json", file, content, name, self.arguments.overwrite)
        check_no_inputs(out / stem, self._inputs, name)
        save_result(result, out, stem, overlay=self.overlay, source_digest=content)
        for kind in self.arguments.also:
            from jointwrist.outputs.mask_files import MASK_FILES

            MASK_FILES[kind].save(result, out / f"{stem}{MASK_FILES[kind].ending}")
        errors = self._write_dicom(result, stem) if self.kinds else []
        drawn = tile = None
        if self.arguments.tool:
            from jointwrist.outputs.annotation import drawn_result

            drawn = drawn_result(result, stem, self.arguments.deidentify)
        if self.arguments.sheet:
            from jointwrist.outputs.sheet import draw_tile

            tile = draw_tile(result, SHEET_TILE)
        line = json.dumps(result.to_dict() | {"source_digest": content}) if self.arguments.json else summary(result)
        return Written(line, errors, drawn, tile)

    def set_aside_earlier(self, index: int) -> EarlierResults:
        """Rename what an earlier run wrote for a radiograph that is refused now."""
        stems = [self.arguments.out / stem for stem in (self.stems[index], *self.hands[index].values())]
        return set_aside_results(stems, self.radiographs[index], self.arguments.overwrite)

    def _write_dicom(self, result: WristResult, stem: str) -> list[DataError]:
        from jointwrist.outputs.dicom_instance import save_dataset
        from jointwrist.outputs.dicom_objects import BUILDERS

        errors: dict[str, DataError] = {}
        for kind in self.kinds:
            try:
                with self._dicom:
                    dataset = BUILDERS[kind](result, self.arguments.deidentify)
                    save_dataset(dataset, self.arguments.out / f"{stem}_{kind}.dcm")
            except DataError as error:
                errors.setdefault(str(error), error)
        return list(errors.values())


def summary(result: WristResult) -> str:
    """Summarise a result in one line, including its cautions."""
    anatomy = result.anatomy
    hand = {"L": ", left hand", "R": ", right hand"}[result.side] if result.placement.crop else ""
    text = f"{result.name}{hand}: {len(result.bones)} of {len(anatomy.bones)} bones"
    if result.scored.any():
        eroded = [
            f"{joint.display} {anatomy.erosion.labels[result.scores[joint.index]]}"
            f" (probability {result.probabilities[joint.index]:.2f})"
            for joint in anatomy.eroded_joints
            if result.scores[joint.index] > 0
        ]
        scored = f"{int(result.scored.sum())} of {len(anatomy.eroded_joints)} joint surfaces"
        doubt = f" ({result.history.caution})" if result.history.caution else ""
        text += f", {scored}, eroded{doubt}: {', '.join(eroded) or 'none'}"
    for found in result.further:
        text += f", {found.summary(anatomy)}"
    for caution in result.cautions:
        text += f"; {caution[0].lower()}{caution[1:].rstrip('.')}"
    return text
