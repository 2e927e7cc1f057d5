"""Named, coloured regions of one radiograph as annotation tools use them, and their conversion to bit maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from jointwrist.anatomy import BONE_NAMES, BONES, JOINTS, NUM_BONES
from jointwrist.data.faults import Fault, refuse
from jointwrist.data.shapes.label_names import match_names
from jointwrist.errors import DataError

#: A name and its (H, W) bool mask; several masks of one name add up.
Named = tuple[str, np.ndarray]
#: Side of a square pixel in mm, or height and width of an oblong one.
Spacing = float | tuple[float, float]

_EROSION_COLOUR = (255, 255, 0)


class Layer(NamedTuple):
    """A region to be written.

    Attributes:
        name: Bone, or `BONE erosion` for an erosion of the joint surface that the bone bears.
        colour: RGB, 0 to 255.
        mask: (H, W) bool, not empty.
    """

    name: str
    colour: tuple[int, int, int]
    mask: np.ndarray


#: Names and colours of all regions: 14 bones, then the erosions of six joint surfaces.
PALETTE: tuple[tuple[str, tuple[int, int, int]], ...] = (
    *((bone.name, bone.colour) for bone in BONES),
    *((f"{BONE_NAMES[joint.bone]} erosion", _EROSION_COLOUR) for joint in JOINTS),
)


def layers_of(bones: np.ndarray, eroded: np.ndarray | None = None) -> list[Layer]:
    """Return the non-empty regions of a radiograph.

    Args:
        bones: (H, W) uint16 bit map, bit b for bone b.
        eroded: (H, W) uint8 bit map, bit j for joint surface j, or None.
    """
    planes = [(bones >> np.uint16(bone)) & 1 for bone in range(NUM_BONES)]
    if eroded is not None:
        planes += [(eroded >> np.uint8(joint.index)) & 1 for joint in JOINTS]
    return [Layer(*PALETTE[index], plane.astype(bool)) for index, plane in enumerate(planes) if plane.any()]


def pixel_size(spacing_mm: Spacing | None) -> tuple[float, float]:
    """Return height and width of a pixel in mm; 1 mm where they are unknown."""
    return spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm or 1.0, spacing_mm or 1.0)


def bone_bits(
    named: Iterable[Named], size: tuple[int, int], mapping: Mapping[str, str | None], path: Path
) -> np.ndarray:
    """Combine the masks of bones into a (H, W) uint16 bit map; erosions are ignored.

    Args:
        named: Masks by name.
        size: Height and width of the radiograph.
        mapping: Bones of unknown names, as from `shapes.label_names.read_map`.
        path: The file, for messages.

    Raises:
        DataError: A name is unknown, or a mask has another size than the radiograph.
    """
    named = list(named)
    meanings = match_names({name for name, _ in named}, mapping, path)
    bits = np.zeros(size, np.uint16)
    for name, mask in named:
        check_fit(mask.shape, size, path)
        meaning = meanings[name]
        if meaning is not None and not meaning.erosion:
            bits |= mask.astype(np.uint16) << np.uint16(meaning.bone)
    return bits


def check_fit(found: tuple[int, ...], size: tuple[int, int], path: Path) -> None:
    """Refuse masks of another size than their radiograph.

    Args:
        found: Height and width of the masks.
        size: Height and width of the radiograph.
        path: The file, for the message.

    Raises:
        DataError: The sizes differ; the message says so if height and width are exchanged.
    """
    if found == size:
        return
    (height, width), (rows, columns) = size, found
    message = f"masks of {columns} x {rows} pixels, the radiograph has {width} x {height}"
    if found == size[::-1]:
        refuse(Fault("transposed", path, f"{message}: they are transposed; exchange x and y when writing them"))
    refuse(Fault("size mismatch", path, f"{message}; resize them to it"))


def as_binary(values: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Convert an array of 0 and 1, or 0 and 255, to bool.

    Raises:
        DataError: There are other values, for example probabilities or labels.
    """
    top = values.max(initial=0)
    if top not in (0, 1, 255) or not ((values == 0) | (values == top)).all():
        not_binary(name, path)
    return values > 0


def not_binary(name: str, path: Path) -> NoReturn:
    """Raise the error for a mask with values other than 0 and 1."""
    raise DataError(f"{path}: {name} has values other than 0 and 1; threshold the masks")
