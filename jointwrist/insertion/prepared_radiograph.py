"""Radiographs prepared for insertion: the wrist as a right hand, with its bone masks.

A prepared radiograph stays on the machine that made it, in a folder that the user names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointwrist.data.dataset.case import Case, load_sample
from jointwrist.data.numpy_files import read_npz
from jointwrist.data.sample import pack_masks, unpack_masks
from jointwrist.errors import DataError
from jointwrist.files import write_arrays
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.ops.wrist_scale import CARPALS, spacing_doubt
from jointwrist.renamed_names import former_attribute, former_names

_FIELDS = ("image", "bones", "pixel_mm", "who")


@dataclass(frozen=True)
class PreparedRadiograph:
    """The wrist of a radiograph into which erosions can be inserted.

    Attributes:
        name: File name of the original, without folders, or identifier of a dataset's radiograph.
        patient: Key that all radiographs of one patient share, as far as file and header identify the patient.
        side: "L" or "R"; the arrays are in right-hand orientation.
        radiograph: Window of the wrist with its bone masks; its scale is the stated one, or estimated from the carpus.
        eroded: Indices of the joints that are scored as eroded; nothing is inserted there.
    """

    name: str
    patient: str
    side: str
    radiograph: MaskedRadiograph
    eroded: frozenset[int] = frozenset()
    film = former_attribute("film", "radiograph")

    def write(self, path: Path) -> None:
        """Write atomically as npz, with 16 bits per grey value."""
        write_arrays(
            path,
            image=np.round(self.radiograph.pixels * 65535).astype(np.uint16),
            bones=pack_masks(self.radiograph.masks),
            pixel_mm=np.float64(self.radiograph.pixel_mm),
            who=np.array(json.dumps([self.name, self.patient, self.side])),
        )

    @staticmethod
    def read(path: Path) -> PreparedRadiograph:
        """Read what `write` wrote.

        Raises:
            DataError: The file is damaged or of another kind.
        """
        arrays = read_npz(path, _FIELDS)
        try:
            name, patient, side = json.loads(str(arrays["who"]))
            radiograph = MaskedRadiograph.of(
                arrays["image"] / 65535, unpack_masks(arrays["bones"]), float(arrays["pixel_mm"])
            )
        except (KeyError, ValueError) as error:
            raise DataError(f"{path}: not a prepared radiograph ({error!r}); delete it, and it is made again") from None
        return PreparedRadiograph(name, patient, side, radiograph)

    @staticmethod
    def of_case(case: Case) -> PreparedRadiograph | None:
        """Return a radiograph of a dataset with its bone masks; None without a stated scale and without carpal bones.

        Raises:
            DataError: A file is damaged.
        """
        sample = load_sample(case)
        masks = unpack_masks(sample.bones)
        stated = case.spacing_mm
        if stated is None and not masks[list(CARPALS)].any():
            return None
        doubted = stated is None or spacing_doubt(masks, (stated, stated)) is not None
        radiograph = MaskedRadiograph.of(sample.image[0], masks, None if doubted else stated)
        eroded = frozenset(joint for joint, score in enumerate(case.scores) if score > 0)
        return PreparedRadiograph(case.identifier, case.patient, case.side, radiograph, eroded)


def list_prepared(folder: Path) -> list[Path]:
    """Return the prepared radiographs of a folder, sorted by name.

    Raises:
        DataError: There are none.
    """
    found = sorted(Path(folder).glob("*.npz"))
    if not found:
        raise DataError(
            f"{folder}: holds no prepared radiographs; give radiographs to `jointwrist train --radiographs`, which"
            " prepares them"
        )
    return found


__getattr__ = former_names(__name__, PreparedFilm="PreparedRadiograph")
