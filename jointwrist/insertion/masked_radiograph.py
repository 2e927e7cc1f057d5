"""Properties of a radiograph that an insertion needs: scale, soft tissue, sharpness and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    distance_transform_edt,
    gaussian_filter,
    map_coordinates,
    uniform_filter,
)

from jointwrist.data.sample import pack_masks
from jointwrist.ops.wrist_scale import pixel_mm_of
from jointwrist.renamed_names import former_names

#: Soft tissue is measured at this distance from bone, in mm, and averaged with these standard deviations.
_CLEAR_MM, _NEAR_MM, _FAR_MM = 0.7, 2.0, 7.0
#: Pixels of the radiograph per pixel of the grid on which soft tissue is averaged.
_COARSE = 4
#: Range in mm to which the measured standard deviation of bone edges is clipped.
_EDGE_MM = (0.12, 0.5)


@dataclass(frozen=True)
class MaskedRadiograph:
    """A radiograph with its bone masks.

    Attributes:
        pixels: (H, W) float32 in [0, 1], bright bone.
        masks: (14, H, W) bool.
        pixel_mm: Side of a pixel in mm.
    """

    pixels: np.ndarray
    masks: np.ndarray
    pixel_mm: float

    @staticmethod
    def of(pixels: np.ndarray, masks: np.ndarray, pixel_mm: float | None = None) -> MaskedRadiograph:
        """Combine pixels and masks; without a pixel size the scale is estimated by `pixel_mm_of`."""
        return MaskedRadiograph(pixels.astype(np.float32), masks.astype(bool), pixel_mm or pixel_mm_of(masks))

    @cached_property
    def bone(self) -> np.ndarray:
        """Return (H, W) bool, pixels of any bone."""
        return self.masks.any(0)

    @cached_property
    def soft_region(self) -> np.ndarray:
        """Return (H, W) bool, soft tissue away from bone and from the background around the hand."""
        distance = distance_transform_edt(~self.bone) * self.pixel_mm
        clear = distance > _CLEAR_MM
        around = clear & (distance < 5.0)
        if not around.any():
            return clear
        return clear & (self.pixels > 0.5 * np.median(self.pixels[around])) & (distance < 25.0)

    @cached_property
    def soft_depth(self) -> np.ndarray:
        """Return (H, W) float64, the distance in pixels to what is not soft tissue."""
        return distance_transform_edt(self.soft_region)

    @cached_property
    def bits(self) -> np.ndarray:
        """Return the masks as a (H, W) bit map."""
        return pack_masks(self.masks)

    @cached_property
    def contours(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return the contours found so far, by joint; `jointwrist.insertion.site.joint_contour` adds to them."""
        return {}

    @cached_property
    def soft_tissue(self) -> np.ndarray:
        """Return (H, W) float32, the grey of soft tissue at each pixel, interpolated where bone covers it."""
        region, overall = self.soft_region, float(self.pixels.min())
        if region.any():
            overall = float(self.pixels[region].mean())
        # smooth over millimetres, so a coarse grid holds all of it
        coarse = [_shrunk(part, _COARSE) for part in (region, np.where(region, self.pixels, 0))]
        grey = np.full_like(coarse[0], overall)
        for deviation in (_FAR_MM, _NEAR_MM):
            weight, total = (gaussian_filter(part, deviation / self.pixel_mm / _COARSE) for part in coarse)
            trust = np.clip(weight / 0.05, 0, 1)
            grey = trust * total / np.maximum(weight, 1e-4) + (1 - trust) * grey
        places = [(np.arange(size) - (_COARSE - 1) / 2) / _COARSE for size in region.shape]
        at = np.meshgrid(*places, indexing="ij")
        return map_coordinates(grey, at, order=1, mode="nearest").astype(np.float32)

    @cached_property
    def edge_px(self) -> float:
        """Return the standard deviation in pixels of the blur of bone edges: step over steepest slope."""
        free = self.masks.sum(0) == 1
        rim = binary_dilation(free) & ~binary_erosion(free)
        rim &= binary_dilation(self.soft_region, iterations=max(round(_CLEAR_MM / self.pixel_mm), 1) + 2)
        low, high = (edge / self.pixel_mm for edge in _EDGE_MM)
        if np.count_nonzero(rim) < 50:
            return max(low, 0.5)
        slope = np.hypot(*np.gradient(gaussian_filter(self.pixels, 0.5)))[rim]
        reach = 2 * max(round(0.6 / self.pixel_mm), 2) + 1
        mean = uniform_filter(self.pixels, reach)
        step = 2 * np.sqrt(np.maximum(uniform_filter(self.pixels**2, reach) - mean**2, 0))[rim]
        sigma = float(np.percentile(step / np.maximum(slope * np.sqrt(2 * np.pi), 1e-6), 20))
        return float(np.clip(sigma, max(low, 0.5), max(high, 0.5)))

    @cached_property
    def grain(self) -> np.ndarray:
        """Return (H, W) float32, noise of the soft tissue: the residual of a light smoothing; 0 elsewhere."""
        fine = self.pixels - gaussian_filter(self.pixels, 1.5)
        inside = binary_erosion(self.soft_region, iterations=4)
        if not inside.any():
            return np.zeros_like(self.pixels)
        limit = 4 * np.median(np.abs(fine[inside])) / 0.6745
        return np.where(inside & (np.abs(fine) <= limit), fine, 0).astype(np.float32)

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Return the standard deviation of the noise, and in pixels that of the Gaussian that gives its correlation."""
        known = self.grain != 0
        if np.count_nonzero(known) < 100:
            return 0.0, 0.0
        both, variance = known[:, 1:] & known[:, :-1], self.grain[known].var()
        lag = float((self.grain[:, 1:] * self.grain[:, :-1])[both].sum() / max(both.sum(), 1) / variance)
        # white noise under a Gaussian of standard deviation s has the correlation exp(-1 / (4 s^2)) at one pixel
        smooth = np.sqrt(-1 / (4 * np.log(np.clip(lag, 1e-3, 0.9)))) if lag > 0.05 else 0.0
        return float(np.sqrt(variance)), float(smooth)

    def draw_grain(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draw (h, w) noise with the standard deviation and correlation of this radiograph's soft tissue."""
        deviation, smooth = self.noise
        noise = gaussian_filter(rng.standard_normal(shape), smooth)
        return (noise / max(noise.std(), 1e-9) * deviation).astype(np.float32)


def _shrunk(plane: np.ndarray, factor: int) -> np.ndarray:
    """Return the means of blocks of `factor` x `factor` pixels; blocks at the edge repeat the last pixels."""
    edges = [(0, -size % factor) for size in plane.shape]
    padded = np.pad(plane.astype(np.float32), edges, mode="edge")
    height, width = padded.shape
    return padded.reshape(height // factor, factor, width // factor, factor).mean((1, 3))


__getattr__ = former_names(__name__, Film="MaskedRadiograph")
