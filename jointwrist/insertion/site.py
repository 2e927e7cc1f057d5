"""Sites for inserted erosions: visible bone contour that faces the articulating bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt, gaussian_filter

from jointwrist.anatomy import JOINTS
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.ops.outlines import bounding_box
from jointwrist.renamed_names import former_arguments

#: Contour up to this much farther from an articulating bone than the nearest point belongs to the joint, in mm; bones
#: farther away than the second figure do not articulate.
_FACING_MM, _APART_MM = 3.5, 8.0
#: Half the side of the window around a site in mm, beyond the erosion's radius.
_MARGIN_MM = 4.0
#: Largest share of an erosion's inner half disc that may lie under another bone.
_HIDDEN_SHARE = 0.25
#: Smallest contrast in grey with soft tissue of a contour at which erosions are inserted.
_FAINT = 0.03


@dataclass(frozen=True)
class Site:
    """A place on a joint's contour, with coordinates in mm around it.

    Attributes:
        joint: Index of the joint surface.
        centre: x and y in pixels.
        window: Rows and columns of the radiograph around it.
        along: (h, w) mm along the contour's tangent.
        inward: (h, w) mm along the normal, positive into the bone.
        depth: (h, w) mm from the bone's contour, positive inside.
        weight: (h, w) in [0, 1], how much of the grey belongs to this bone.
        own: (h, w) bool, the bone's mask.
    """

    joint: int
    centre: tuple[float, float]
    window: tuple[slice, slice]
    along: np.ndarray
    inward: np.ndarray
    depth: np.ndarray
    weight: np.ndarray
    own: np.ndarray


@former_arguments(film="radiograph")
def joint_contour(radiograph: MaskedRadiograph, joint: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the visible contour of a joint, which is measured once for each radiograph.

    Returns:
        (N, 2) rows and columns, and (N, 2) unit vectors (down, right) into the bone; empty where nothing is visible.
    """
    if joint not in radiograph.contours:
        radiograph.contours[joint] = _find_contour(radiograph, joint)
    return radiograph.contours[joint]


def _find_contour(radiograph: MaskedRadiograph, joint: int) -> tuple[np.ndarray, np.ndarray]:
    surface, mm = JOINTS[joint], radiograph.pixel_mm
    if not radiograph.masks[surface.bone].any():
        return np.zeros((0, 2), int), np.zeros((0, 2))
    window = _padded(bounding_box(radiograph.masks[surface.bone]), round((_APART_MM + 1) / mm), radiograph.pixels.shape)
    masks = radiograph.masks[:, *window]
    own = masks[surface.bone]
    edge = own & ~binary_erosion(own, border_value=1)
    others = np.delete(masks, surface.bone, axis=0).any(0)
    edge &= ~binary_erosion(others, iterations=max(round(0.3 / mm), 1))
    at = np.argwhere(edge)
    facing = np.zeros(len(at), bool)
    for neighbour in surface.articulating_bones:
        if len(at) and masks[neighbour].any():
            distance = distance_transform_edt(~masks[neighbour])[edge] * mm
            nearest = distance.min()
            # beyond, the contour of a long bone is that of its shaft
            farthest = min(nearest + _FACING_MM, _APART_MM)
            facing |= distance < farthest
    slope = np.stack([part[edge] for part in np.gradient(gaussian_filter(own.astype(np.float32), 1.0 / mm))], axis=1)
    at = at + np.array([window[0].start, window[1].start])
    frame, shape = max(round(1.5 / mm), 2), np.array(radiograph.pixels.shape)
    facing &= ((at >= frame) & (at < shape - frame)).all(1)
    return at[facing], (slope / (np.linalg.norm(slope, axis=1, keepdims=True) + 1e-9))[facing]


def _padded(box: tuple[slice, slice], pixels: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(part.start - pixels, 0), min(part.stop + pixels, size)) for part, size in zip(box, shape, strict=True)
    )
    return rows, columns


@former_arguments(film="radiograph")
def draw_site(
    radiograph: MaskedRadiograph, joint: int, radius_mm: float, rng: np.random.Generator, tries: int = 12
) -> Site | None:
    """Draw a random site for an erosion of a joint; None if its contour is hidden, missing or too faint.

    Args:
        radiograph: The radiograph and its bone masks.
        joint: Index of the joint surface.
        radius_mm: Radius of the erosion.
        rng: Random generator.
        tries: Points of the contour that are tried.
    """
    contour, normals = joint_contour(radiograph, joint)
    if len(contour) < 4:
        return None
    for chosen in rng.permutation(len(contour))[:tries]:
        site = _site(radiograph, joint, contour[chosen], normals[chosen], radius_mm)
        disc = site.own & (np.hypot(site.along, site.inward) < max(radius_mm, 1.0))
        if not disc.any() or (disc & (site.weight < 0.75)).sum() > _HIDDEN_SHARE * disc.sum():
            continue
        contrast = (radiograph.pixels - radiograph.soft_tissue)[site.window][disc]
        if contrast.mean() > _FAINT and radiograph.pixels[site.window][disc].min() > 0:
            return site
    return None


def _site(radiograph: MaskedRadiograph, joint: int, at: np.ndarray, normal: np.ndarray, radius_mm: float) -> Site:
    mm, bone = radiograph.pixel_mm, JOINTS[joint].bone
    half = int(np.ceil((2 * radius_mm + _MARGIN_MM) / mm))
    row, column = int(at[0]), int(at[1])
    window = _padded((slice(row, row + 1), slice(column, column + 1)), half, radiograph.pixels.shape)
    rows, columns = np.mgrid[window[0], window[1]]
    down, right = (rows - row) * mm, (columns - column) * mm
    masks = radiograph.masks[:, *window]
    own, others = masks[bone], np.delete(masks, bone, axis=0).any(0)
    outside = distance_transform_edt(~own)
    return Site(
        joint,
        (column + 0.5, row + 0.5),
        window,
        down * normal[1] - right * normal[0],
        down * normal[0] + right * normal[1],
        np.where(own, distance_transform_edt(own) - 0.5, 0.5 - outside) * mm,
        _share_of_grey(own, others, outside * mm, mm),
        own,
    )


def _share_of_grey(own: np.ndarray, others: np.ndarray, to_own: np.ndarray, mm: float) -> np.ndarray:
    """Return this bone's share of the grey above soft tissue: a third where two bones overlap, less towards others.

    Args:
        own: (h, w) bool, the bone's mask.
        others: (h, w) bool, pixels of other bones.
        to_own: (h, w) distance from the bone in mm.
        mm: Side of a pixel.
    """
    weight = np.where(own, np.where(others, 0.3, 1.0), 0.0)
    outside = ~own & ~others
    to_others = distance_transform_edt(~others) * mm if others.any() else np.full(own.shape, np.inf)
    territory = np.clip(0.5 + (to_others - to_own) / 0.6, 0, 1) * np.clip(2 - to_own / 0.6, 0, 1)
    weight = np.where(outside, territory, weight)
    smooth = gaussian_filter(weight, 0.2 / mm)
    # within reach of no other bone, nothing is smoothed away at the bone's own rim
    return np.where(binary_dilation(others, iterations=max(round(1.0 / mm), 1)), smooth, weight)
