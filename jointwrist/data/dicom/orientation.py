"""Notes on a DICOM header that states an orientation other than an upright posteroanterior hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jointwrist.data.dicom.elements import element_text

if TYPE_CHECKING:
    from pydicom import Dataset

#: Directions of rows and columns of a posteroanterior hand with the fingers upwards, left or right: they are those of
#: the standard anatomic position, where the fingers point to the feet and the thumbs outwards (PS3.17, annex A).
_UPWARDS = "L\\H"


def orientation_notes(dataset: Dataset) -> list[str]:
    """Return notes where the header states another orientation than a posteroanterior hand with the fingers upwards.

    The pixels are not changed: some devices state an orientation that is not that of the hand.
    """
    notes = []
    directions = element_text(dataset, "PatientOrientation").upper()
    if re.fullmatch(r"[ARLPHF]{1,3}\\[ARLPHF]{1,3}", directions):
        if re.sub("([A-Z])[A-Z]*", r"\1", directions) != _UPWARDS:
            notes.append(
                f"PatientOrientation {directions} is not that of a posteroanterior hand with the fingers upwards"
                f" ({_UPWARDS}): the radiograph may be rotated or mirrored, look at the overlay."
            )
    elif element_text(dataset, "FieldOfViewHorizontalFlip") == "YES" or _rotated(
        element_text(dataset, "FieldOfViewRotation")
    ):
        notes.append(
            "The header says that the image was rotated or mirrored after exposure, but not the orientation of the"
            " hand: look at the overlay."
        )
    return notes


def _rotated(degrees: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d*)?", degrees)) and float(degrees) % 360 != 0
