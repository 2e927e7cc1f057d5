"""A radiograph and its predicted bones aligned with the mean wrist, from which the features of its scope are computed.

Grey values are normalised: 0 is the soft tissue beside the bones, 1 the median of the bones. Lengths are in mm of the
mean wrist, which is fitted to the masks. The features therefore depend neither on the grey window nor on the pixel
spacing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from jointwrist.inference.search.mean_wrist import fit_mean_wrist
from jointwrist.inference.similarity import Similarity
from jointwrist.ops.outlines import bounding_box
from jointwrist.renamed_names import former_names

#: Grid in the frame of the mean wrist, in mm: side of a pixel, first and last column, first and last row.
MM, X_MM, Y_MM = 0.5, (-45.0, 45.0), (-40.0, 50.0)
X, Y = (np.arange(start + MM / 2, stop, MM) for start, stop in (X_MM, Y_MM))
#: Rows of this grid from the palm to the forearm.
WRIST_ROWS = (Y > -22) & (Y < 50)
#: Side in pixels to which the logits are reduced, largest logit, and largest distance in mm computed outside a bone.
_SIDE, _LARGEST, _MARGIN_MM = 128, 10.0, 6.0


class AlignedWrist(NamedTuple):
    """A radiograph and its predicted bones, aligned with the mean wrist.

    Attributes:
        image: (D, D) float32 grey values.
        logits: (14, S, S) float32, above 0 in the bones.
        distances: (14, S, S) float32 signed distances to the bones in mm, negative within; 99 far away.
        to_pixels: Similarity from mm of the mean wrist to pixels of `logits`; its scale is in pixels per mm.
        grey: (180, 180) float32 grey values in the frame of the mean wrist, at `X` and `Y`; nan beyond the radiograph.
        nearest: (180, 180) float32 distance in mm to the nearest bone, in that frame.
    """

    image: np.ndarray
    logits: np.ndarray
    distances: np.ndarray
    to_pixels: Similarity
    grey: np.ndarray
    nearest: np.ndarray

    @property
    def masks(self) -> np.ndarray:
        """Return the (14, S, S) bool masks of the bones."""
        return self.logits > 0

    def plane(self, values: np.ndarray) -> np.ndarray:
        """Resample (S, S) distances to the frame of the mean wrist, (180, 180)."""
        return np.nan_to_num(in_mean_wrist(values, self.to_pixels), nan=99.0)


def align_wrist(image: np.ndarray, logits: np.ndarray) -> AlignedWrist | None:
    """Align a radiograph with the mean wrist; None if its masks are not those of a wrist.

    Args:
        image: (D, D) float32 grey of a right hand.
        logits: (14, S, S) float32 of its bones, above 0 within.
    """
    factor = max(logits.shape[1] // _SIDE, 1)
    side = logits.shape[1] // factor
    blocks = logits[:, : side * factor, : side * factor].reshape(-1, side, factor, side, factor)
    logits = np.clip(blocks, -_LARGEST, _LARGEST).mean((2, 4))
    fit = fit_mean_wrist(logits > 0)
    if fit is None:
        return None
    to_pixels = fit[0]
    distances = signed_distances(logits > 0, to_pixels.scale)
    nearest = np.nan_to_num(in_mean_wrist(distances.min(0), to_pixels), nan=99.0)
    grey = in_mean_wrist(image, to_pixels, len(image) / side)
    inside = np.isfinite(grey)
    beside, bone = grey[inside & (nearest > 1.5) & (nearest < 5)], grey[inside & (nearest < 0)]
    soft = np.percentile(beside, 25) if beside.size else 0.0
    span = max(float(np.median(bone)) - soft, 0.02) if bone.size else 1.0
    values = ((plane - soft) / np.float32(span) for plane in (image, grey))
    image, grey = (plane.astype(np.float32) for plane in values)
    return AlignedWrist(image, logits, distances, to_pixels, grey, nearest)


def in_mean_wrist(values: np.ndarray, to_pixels: Similarity, factor: float = 1.0) -> np.ndarray:
    """Resample (D, D) values to the frame of the mean wrist, at `X` and `Y`; nan outside of the values.

    Args:
        values: (D, D) float32.
        to_pixels: Similarity from mm of the mean wrist to pixels.
        factor: Pixels of `values` per pixel of `to_pixels`.
    """
    pixel = factor * to_pixels.scale * MM
    if pixel > 1.5:  # averaged, so that fine structures do not alias
        steps = round(pixel)
        side = len(values) // steps
        values = values[: side * steps, : side * steps].reshape(side, steps, side, steps).mean((1, 3))
        factor /= steps
    matrix = factor * to_pixels.matrix
    x, y = factor * to_pixels(np.array([[X_MM[0], Y_MM[0]]]))[0]
    row = np.column_stack([matrix * MM, (x, y)])
    source = Image.fromarray(np.ascontiguousarray(values, np.float32))
    plane = np.array(
        source.transform((len(X), len(Y)), Image.Transform.AFFINE, row.ravel().tolist(), Image.Resampling.BILINEAR)
    )
    columns, rows = np.arange(len(X)) + 0.5, np.arange(len(Y))[:, None] + 0.5
    for (along, down, start), side in zip(row, values.shape[::-1], strict=True):
        at = along * columns + down * rows + start
        plane[(at < 0) | (at > side)] = np.nan
    return plane


def signed_distances(masks: np.ndarray, mm: float) -> np.ndarray:
    """Return the (C, H, W) distance in mm of each pixel to each bone, negative within the bone; 99 far away.

    Args:
        masks: (C, H, W) bool.
        mm: Pixels per mm.
    """
    distances = np.full(masks.shape, 99.0, np.float32)
    margin = round(_MARGIN_MM * mm)
    for mask, distance in zip(masks, distances, strict=True):
        if not mask.any():
            continue
        window = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in bounding_box(mask))
        inside = mask[window]
        distance[window] = (distance_transform_edt(~inside) - distance_transform_edt(inside)) / mm
    return distances


__getattr__ = former_names(__name__, Film="AlignedWrist", film_of="align_wrist")
