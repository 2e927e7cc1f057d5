"""Exclusive label maps: 0 is background, b + 1 is bone b. Where bones overlap, only one of them is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.mask_formats.layers import Named
from jointwrist.data.mask_formats.png import read_png
from jointwrist.errors import DataError
from jointwrist.files import atomic

#: The only number of a mask of 0 and 1.
ONE = "1"
#: Numbers that masks of one bone hold, or of all bones together.
_OF_ONE_BONE = (ONE, "255")
#: Largest ratio of another number's pixels to those of 0 for 0 to be the background.
_GROUND = 2


def numbers_of(anatomy: Anatomy = WRIST) -> Mapping[str, str]:
    """Return the bones' names by number, as text, for `shapes.label_names.match_names`."""
    return {str(number): name for number, name in enumerate(anatomy.bone_names, 1)}


def read(path: Path, size: tuple[int, int] | None = None, anatomy: Anatomy = WRIST) -> list[Named]:
    """Read a PNG with one channel or a palette; names are the numbers as text."""
    return by_number(read_png(path), path, anatomy)


def by_number(values: np.ndarray, path: Path, anatomy: Anatomy = WRIST) -> list[Named]:
    """Split a (H, W) label map into masks; names are the numbers as text.

    Raises:
        DataError: The values are not labels (fractional, negative, or too many), or 0 is not the background.
    """
    numbers, counts = np.unique(values, return_counts=True)
    if not np.array_equal(numbers, np.round(numbers)) or numbers[0] < 0 or len(numbers) > 2 * len(anatomy.bones) + 1:
        raise DataError(
            f"{path}: {len(numbers)} values from {numbers[0]:g} to {numbers[-1]:g} are not a label map; write 0 for the"
            " background and b + 1 for bone b"
        )
    ground = counts[0] if numbers[0] == 0 else 0
    if counts.max() > _GROUND * max(ground, 1):
        most = int(numbers[counts.argmax()])
        raise DataError(
            f"{path}: most pixels are {most}, but 0 is the background and b + 1 is bone b; number the bones from 1, and"
            " the background 0"
        )
    return [(str(int(number)), values == number) for number in numbers if number]


def only_number(names: Iterable[Collection[str]]) -> str | None:
    """Return 1 or 255 if files hold no number but 0 and that one, and some hold it; else None.

    Args:
        names: Names of the masks of each file that are not empty, as of `by_number`; as many are taken as are needed.
    """
    number = None
    for found in map(set, names):
        number = number or next(iter(found), None)
        if number not in (None, *_OF_ONE_BONE) or found - {number}:
            return None
    return number


def refuse_ones(
    names: Iterable[Collection[str]], folder: Path, anatomy: Anatomy = WRIST, named: Collection[str] = ()
) -> None:
    """Refuse masks of 0 and 1 (or 255) of which nothing says what that is: the first bone, another one, or all bones.

    Args:
        names: As for `only_number`.
        folder: Folder of the files, for the message.
        anatomy: The bones; there is no doubt about a single one.
        named: Numbers whose meaning is known.

    Raises:
        DataError: The files hold no other number.
    """
    if len(anatomy.bones) > 1 and (number := only_number(names)) and number not in named:
        first, another = anatomy.bone_names[:2]
        raise DataError(
            f"{folder}: its masks hold 0 and {number} alone, and nothing says whether {number} is {first}, another bone"
            f" or all bones; if it is one bone, name it in a YAML file for --map, as in `{number}: {another}`; if it is"
            " all, write a mask of each bone"
        )


def to_label_map(bits: np.ndarray, bones: int = len(WRIST.bones)) -> np.ndarray:
    """Give every pixel of a (H, W) bit map to the smallest of its bones, as a (H, W) uint8 label map.

    The same number of lost pixels costs a small bone more of its Dice coefficient than a large one.
    """
    planes = [((bits >> bits.dtype.type(bone)) & 1).astype(bool) for bone in range(bones)]
    labels = np.zeros(bits.shape, np.uint8)
    for bone in np.argsort([-np.count_nonzero(plane) for plane in planes], kind="stable"):
        labels[planes[bone]] = bone + 1
    return labels


def write(path: Path, bits: np.ndarray) -> None:
    """Write a (H, W) bit map as an 8-bit PNG, see `to_label_map`, whole or not at all."""
    with atomic(path) as temporary:
        Image.fromarray(to_label_map(bits)).save(temporary, format="PNG")
