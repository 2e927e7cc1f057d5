"""A radiograph in its stored orientation, with side and pixel size as stated by its file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.dicom.laterality import stated_laterality

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Radiograph:
    """One radiograph in its stored orientation.

    Attributes:
        pixels: (H, W) float32 in [0, 1], bright bone on dark background, in the orientation of the file.
        spacing_mm: Width of a pixel in mm, or None if the file gives no usable one.
        side: "L" or "R", or None if unknown.
        notes: Remarks on this radiograph, a sentence each; never patient data.
        header: DICOM data set without its pixels, or None; of windows it has the one that was used. It holds patient
            data and is not part of the repr.
        source: The file, or the name given in its place; None for an array.
        study: Key that the radiographs of one study share, or None if unknown. It may name a patient and is not part
            of the repr.
        cautions: The notes that put a whole result in doubt, such as another view; commands print them.
        aspect: Height of a pixel over its width.
    """

    pixels: np.ndarray = dataclasses.field(repr=False)
    spacing_mm: float | None = None
    side: str | None = None
    notes: tuple[str, ...] = ()
    header: Dataset | None = dataclasses.field(default=None, repr=False)
    source: Path | None = None
    study: str | None = dataclasses.field(default=None, repr=False)
    cautions: tuple[str, ...] = ()
    aspect: float = 1.0

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        """Return height and width of a pixel in mm, or None if they are unknown."""
        return None if self.spacing_mm is None else (self.spacing_mm * self.aspect, self.spacing_mm)

    @property
    def both_hands(self) -> bool:
        """Whether the header states that both hands are on the radiograph."""
        return self.side is None and self.header is not None and stated_laterality(self.header) == "B"

    @property
    def side_stated(self) -> bool:
        """Whether the header states the side, which then overrides all other sources."""
        return self.header is not None and stated_laterality(self.header) in ("L", "R")
