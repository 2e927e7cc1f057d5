"""Named, coloured regions of one radiograph as annotation tools use them, and their conversion to bit maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy, JointSurface
from jointwrist.data.faults import Fault, refuse
from jointwrist.data.shapes.label_names import match_names
from jointwrist.errors import DataError
from jointwrist.ops.bits import bits_dtype

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


def palette(anatomy: Anatomy = WRIST) -> dict[str, tuple[int, int, int]]:
    """Return names and colours of all regions: the bones, then the erosions of bones with a joint surface."""
    bones = {bone.name: bone.colour for bone in anatomy.bones}
    return bones | {_erosion_of(joint, anatomy): _EROSION_COLOUR for joint in anatomy.eroded_joints}


def _erosion_of(joint: JointSurface, anatomy: Anatomy) -> str:
    return f"{anatomy.bones[joint.bone].name} erosion"


def layers_of(bones: np.ndarray, eroded: np.ndarray | None = None, anatomy: Anatomy = WRIST) -> list[Layer]:
    """Return the non-empty regions of a radiograph.

    Args:
        bones: (H, W) bit map, bit b for bone b.
        eroded: (H, W) bit map, bit j for joint surface j, or None.
        anatomy: The bones.
    """
    planes = {bone.name: (bones >> bones.dtype.type(bone.index)) & 1 for bone in anatomy.bones}
    for joint in anatomy.eroded_joints if eroded is not None else ():
        name = _erosion_of(joint, anatomy)
        planes[name] = planes.get(name, 0) | ((eroded >> eroded.dtype.type(joint.index)) & 1)
    colours = palette(anatomy)
    return [Layer(name, colours[name], plane.astype(bool)) for name, plane in planes.items() if plane.any()]


def pixel_size(spacing_mm: Spacing | None) -> tuple[float, float]:
    """Return height and width of a pixel in mm; 1 mm where they are unknown."""
    return spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm or 1.0, spacing_mm or 1.0)


def bone_bits(
    named: Iterable[Named],
    size: tuple[int, int],
    mapping: Mapping[str, str | None],
    path: Path,
    anatomy: Anatomy = WRIST,
) -> np.ndarray:
    """Combine the masks of bones into a (H, W) bit map; erosions are ignored.

    Args:
        named: Masks by name.
        size: Height and width of the radiograph.
        mapping: Bones of unknown names, as from `shapes.label_names.read_map`.
        path: The file, for messages.
        anatomy: The bones.

    Raises:
        DataError: A name is unknown, or a mask has another size than the radiograph.
    """
    named = list(named)
    meanings = match_names({name for name, _ in named}, mapping, path, anatomy)
    bits = np.zeros(size, bits_dtype(len(anatomy.bones)))
    for name, mask in named:
        check_fit(mask.shape, size, path)
        meaning = meanings[name]
        if meaning is not None and not meaning.erosion:
            bits |= mask.astype(bits.dtype) << bits.dtype.type(meaning.bone)
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
