"""Postprocessing of masks: one smooth piece per bone, without holes or slits, outside collimator bars."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import (
    distance_transform_edt,
    find_objects,
    gaussian_filter,
    label,
    maximum_filter1d,
)

from jointwrist.anatomy import bone_index
from jointwrist.data.collimation import exposed_window
from jointwrist.inference.placement import Placement
from jointwrist.ops.outlines import bounding_box

_SHAFTS = [bone_index(f"Metacarpal{number}") for number in ("2nd", "3rd", "4th", "5th")]
#: A piece smaller than this share of the largest one is not part of the bone; a larger one may be a pisiform.
_PIECE = 0.2
#: Standard deviation of the smoothing of outlines as a share of the side: 0.5 mm of 90 mm.
SMOOTHING = 0.006
#: Before outlines are smoothed, logits are clipped to this distance from the threshold.
_CERTAIN = 4.0
#: Standard deviations at which the Gaussian ends.
_TRUNCATED = 4.0
#: Half the largest width of a neck that is cut, as a share of the side.
NECK = 0.018
#: A bone is then grown again by this multiple of it, so that nothing is rounded off as by an opening.
_REGROWN = 1.25
#: Bones of which only the largest piece counts, so that none keeps the head of its neighbour.
_WHOLE = {bone_index("Metacarpal1st"), *_SHAFTS}


def postprocessed_masks(placement: Placement, logits: np.ndarray, threshold: float, wrist: bool = True) -> np.ndarray:
    """Map masks back to the radiograph and clean them.

    On the network's image, slits are closed and outlines smoothed. On the pixels of the radiograph, necks are cut,
    holes filled, and islands and pixels under black bars removed.

    Args:
        placement: Placement of the wrist.
        logits: (C, S, S) on the network's image.
        threshold: Logit above which a pixel belongs to a bone.
        wrist: Whether the bones are those of the wrist. Corrections specific to single bones of the wrist (slits of
            shafts, necks of metacarpals) are left out for others.

    Returns:
        (C, H, W) bool on the radiograph.
    """
    pixels = placement.right_hand()
    shown, radius = exposed_window(pixels), NECK * max(pixels.shape)

    def clean(mask: np.ndarray, bone: int) -> np.ndarray:
        cleaned = np.zeros_like(mask)
        if wrist:
            cleaned[shown] = clean_mask(cut_necks(mask[shown], bone, radius), smallest_piece(bone))
        else:
            cleaned[shown] = clean_mask(mask[shown])
        return cleaned

    certain = np.clip(logits, threshold - _CERTAIN, threshold + _CERTAIN)
    return placement.masks_back(
        smooth_outlines(close_slits(certain) if wrist else certain, threshold), threshold, clean
    )


def close_slits(logits: np.ndarray, reach: float = 0.025) -> np.ndarray:
    """Close slits along the shafts of the second to fifth metacarpals, by a morphological closing of their logits.

    Networks may mistake the medullary canal between the two cortices for the space between two bones. No joint surface
    of these bones is scored for erosion, and a shaft has no dent as narrow as a slit.

    Args:
        logits: (14, S, S), higher within the bones.
        reach: Slits up to twice this share of the side are closed.

    Returns:
        (14, S, S); slits of these bones take the lower of the logits on either side.
    """
    radius = max(round(reach * logits.shape[-1]), 1)
    closed = logits.copy()
    for bone in _SHAFTS:
        if (part := _above_least(logits[bone], 2 * radius)) is not None:
            closed[bone][part] = -_dilated(-_dilated(logits[bone][part], radius), radius)
    return closed


def smooth_outlines(logits: np.ndarray, threshold: float, sigma: float = SMOOTHING) -> np.ndarray:
    """Smooth logits by a Gaussian, which removes spikes and nicks of outlines.

    Networks trained on phantoms alone are noisy where one bone hides the edge of another. Erosions are several times as
    wide as what is removed, and the erosion head takes the masks before this.

    Args:
        logits: (C, S, S).
        threshold: Logit above which a pixel belongs to a bone.
        sigma: Standard deviation of the Gaussian as a share of the side.

    Returns:
        (C, S, S), within `threshold` plus and minus 4.
    """
    smooth = np.clip(logits, threshold - _CERTAIN, threshold + _CERTAIN).astype(np.float32)
    width = sigma * logits.shape[-1]
    for plane in smooth:
        if (part := _above_least(plane, 2 * math.ceil(_TRUNCATED * width))) is not None:
            plane[part] = gaussian_filter(plane[part], width, mode="nearest", truncate=_TRUNCATED)
    return smooth


def _above_least(plane: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    """Return the box around all values above the minimum of an (H, W) plane, with a margin; None if it is constant."""
    above = plane > plane.min()
    return _box(above, margin) if above.any() else None


def _box(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Return the box of a (H, W) bool mask that is not empty, with a margin but within its frame."""
    rows, columns = bounding_box(mask)
    return tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in (rows, columns))


def _dilated(plane: np.ndarray, radius: int) -> np.ndarray:
    """Return the maximum of an (H, W) plane within an octagon of a given radius."""
    square = round(0.41 * radius)
    for axis in (0, 1):
        plane = _largest(plane, square, axis)
    for _ in range(radius - square):
        plane = np.maximum(_largest(plane, 1, 0), _largest(plane, 1, 1))
    return plane


def _largest(plane: np.ndarray, radius: int, axis: int) -> np.ndarray:
    return maximum_filter1d(plane, 2 * radius + 1, axis, mode="constant", cval=-np.inf)


def cut_necks(mask: np.ndarray, bone: int, radius: float) -> np.ndarray:
    """Cut off pieces joined to a metacarpal by a narrow neck; masks of other bones are unchanged.

    Sesamoids and the phalanx touch the head of the first metacarpal, and a strip may run along the edge of the
    radiograph. The mask, its holes filled, is eroded by a disc, and its largest piece is grown again within the mask,
    so that corners and dents are kept.

    Args:
        mask: (H, W) bool.
        bone: Channel of the bone.
        radius: Radius of the disc in pixels; necks up to twice as wide are cut.

    Returns:
        (H, W) bool.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if bone not in _WHOLE or not len(rows):
        return mask
    # with a margin, but where the bone leaves the radiograph
    box = (slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2))
    pieces, count = label(distance_transform_edt(_without_holes(mask[box])) > radius)
    if not count:
        return mask
    core = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    cut = np.zeros_like(mask)
    cut[box] = mask[box] & (distance_transform_edt(~core) <= _REGROWN * radius)
    return cut


def smallest_piece(bone: int) -> float:
    """Return the share of a mask's largest piece below which another piece is removed."""
    return 1.0 if bone in _WHOLE else _PIECE


def clean_mask(mask: np.ndarray, smallest: float = _PIECE) -> np.ndarray:
    """Fill holes of a mask and remove islands; the contour is unchanged, and so are erosions, which are dents in it.

    Args:
        mask: (H, W) bool.
        smallest: Pieces smaller than this share of the largest one are dropped.

    Returns:
        (H, W) bool.
    """
    cleaned = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return cleaned
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    pieces, _ = label(mask[box])
    sizes = np.bincount(pieces.ravel())[1:]
    for index, window in enumerate(find_objects(pieces)):
        if sizes[index] >= smallest * sizes.max():
            cleaned[box][window] |= _without_holes(pieces[window] == index + 1)
    return cleaned


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """Fill what is not connected with the outside, as `binary_fill_holes` does, in half of its time."""
    outside, _ = label(np.pad(~mask, 1, constant_values=True))
    return outside[1:-1, 1:-1] != outside[0, 0]
