"""Insert an erosion by removing bone from a radiograph, or remove the same grey from soft tissue as a control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from jointwrist.anatomy import JOINTS
from jointwrist.config import ConfigError
from jointwrist.insertion import study_families, training_families
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.insertion.site import Site, draw_site
from jointwrist.renamed_names import former_arguments

TRAINING_FAMILIES: tuple[str, ...] = tuple(training_families.SHAPES)
STUDY_FAMILIES: tuple[str, ...] = tuple(study_families.SHAPES)
#: Shares of the bone lost along a ray from which a pixel counts as eroded, and as open; those of the phantoms.
ERODED_SHARE, OPEN_SHARE = 0.35, 0.7
#: The grey beside bone is measured up to this far from an erosion, in mm.
_BESIDE_MM = 2.0


@dataclass(frozen=True)
class Insertion:
    """A radiograph with an inserted erosion (or a control), and the same radiograph without it.

    Attributes:
        pixels: (H, W) float32 in [0, 1], the changed radiograph.
        eroded: (H, W) bool, pixels of the bone that are eroded; none in a control.
        bone: (H, W) bool, the bone's mask afterwards: without the pixels that are open.
        joint: Index of the joint surface.
        family: Family of the erosion.
        radius_mm: Radius of the erosion in mm.
        contrast: Mean decrease of grey over the eroded pixels.
        centre: x and y of the erosion, or of the control, in pixels.
    """

    pixels: np.ndarray
    eroded: np.ndarray
    bone: np.ndarray
    joint: int
    family: str
    radius_mm: float
    contrast: float
    centre: tuple[float, float]

    @property
    def bone_index(self) -> int:
        """Return the mask channel of the joint's bone."""
        return JOINTS[self.joint].bone


@former_arguments(film="radiograph")
def insert_erosion(
    radiograph: MaskedRadiograph, joint: int, family: str, radius_mm: float, seed: int
) -> Insertion | None:
    """Insert an erosion into a joint's bone, at its visible contour near an articulating bone.

    The grey falls towards that of the adjacent soft tissue in proportion to the depth of bone that is lost, as
    attenuation along a ray would; noise of the same radiograph replaces the noise that is lost with it.

    Args:
        radiograph: The radiograph and its bone masks.
        joint: Index of the joint surface.
        family: One of `TRAINING_FAMILIES` or `STUDY_FAMILIES`.
        radius_mm: Radius in mm: that of a disc at the contour with about the same area.
        seed: Seed; the same arguments give the same erosion.

    Returns:
        The insertion; None where the joint has no visible contour or nothing of it would be eroded.

    Raises:
        ConfigError: The family is unknown.
    """
    rng = np.random.default_rng(seed)
    site = draw_site(radiograph, joint, radius_mm, rng)
    if site is None:
        return None
    share = _lost_share(radiograph, site, family, radius_mm, rng) * site.weight
    change = _change(radiograph, site, share, rng)
    eroded, bone = np.zeros(radiograph.bone.shape, bool), radiograph.masks[JOINTS[joint].bone].copy()
    eroded[site.window] = site.own & (share > ERODED_SHARE)
    bone[site.window] &= share <= OPEN_SHARE
    if not eroded.any():
        return None
    pixels = radiograph.pixels.copy()
    pixels[site.window] = np.clip(pixels[site.window] + change, 0, 1)
    contrast = float((radiograph.pixels - pixels)[eroded].mean())
    return Insertion(pixels, eroded, bone, joint, family, radius_mm, contrast, site.centre)


@former_arguments(film="radiograph")
def insert_control(radiograph: MaskedRadiograph, insertion: Insertion) -> Insertion | None:
    """Apply the grey change of an insertion to the nearest soft tissue instead of bone.

    Returns:
        The control, whose bone is unchanged; None where there is not enough soft tissue.
    """
    change = insertion.pixels - radiograph.pixels
    rows, columns = np.nonzero(np.abs(change) > 0.002)
    if not len(rows):
        return None
    window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    patch = change[window]
    height, width = patch.shape
    # far enough from bone for the patch's reach, measured from its centre
    reach = np.hypot(*(np.argwhere(patch < -0.25 * insertion.contrast).std(0) * 2.0)) if (patch < 0).any() else 1.0
    free = radiograph.soft_region & (radiograph.soft_depth > min(reach, 0.5 * max(height, width)))
    free &= radiograph.pixels > insertion.contrast * 0.6
    free[: height // 2 + 1], free[-(height // 2 + 2) :] = False, False
    free[:, : width // 2 + 1], free[:, -(width // 2 + 2) :] = False, False
    places = np.argwhere(free)
    if not len(places):
        return None
    middle = np.array([rows.mean(), columns.mean()])
    row, column = places[np.argmin(((places - middle) ** 2).sum(1))]
    pixels = radiograph.pixels.copy()
    target = (
        slice(row - height // 2, row - height // 2 + height),
        slice(column - width // 2, column - width // 2 + width),
    )
    pixels[target] = np.clip(pixels[target] + patch, 0, 1)
    return Insertion(
        pixels,
        np.zeros_like(insertion.eroded),
        radiograph.masks[JOINTS[insertion.joint].bone],
        insertion.joint,
        insertion.family,
        insertion.radius_mm,
        insertion.contrast,
        (float(column) + 0.5, float(row) + 0.5),
    )


def _lost_share(
    radiograph: MaskedRadiograph, site: Site, family: str, radius_mm: float, rng: np.random.Generator
) -> np.ndarray:
    edge_mm = radiograph.edge_px * radiograph.pixel_mm
    if family in training_families.SHAPES:
        return training_families.lost_share(site, family, radius_mm, edge_mm, radiograph.pixel_mm, rng)
    if family in study_families.SHAPES:
        return study_families.lost_share(site, family, radius_mm, edge_mm, rng)
    known = ", ".join(TRAINING_FAMILIES + STUDY_FAMILIES)
    raise ConfigError(f"unknown erosion family {family!r}; there are {known}")


def _change(radiograph: MaskedRadiograph, site: Site, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the grey change over the site's window."""
    above = np.maximum(radiograph.pixels[site.window] - _ground(radiograph, site, share), 0)
    lost = np.clip(share, 0, 1)
    noise = radiograph.draw_grain(share.shape, rng) * np.sqrt(1 - (1 - lost) ** 2) * (site.depth > -0.3)
    return (-share * above + noise).astype(np.float32)


def _ground(radiograph: MaskedRadiograph, site: Site, share: np.ndarray) -> np.ndarray:
    """Return the grey where all bone is lost: that of soft tissue, brighter in a joint space between rims."""
    soft, window = radiograph.soft_tissue[site.window], site.window
    near = distance_transform_edt(share < ERODED_SHARE) * radiograph.pixel_mm < _BESIDE_MM
    beside, percentile = near & ~radiograph.bone[window], 25
    if np.count_nonzero(beside) * radiograph.pixel_mm**2 < 0.5:  # the masks close the joint space
        beside, percentile = near, 3
    brighter = np.percentile((radiograph.pixels[window] - soft)[beside], percentile)
    return soft + max(float(brighter), 0.0)
