"""A radiograph prepared to judge its scope: grey values, bones, and their place in the frame of the mean wrist.

Grey values are in units of the bones' own: 0 is soft tissue beside them, 1 their median. Lengths are in mm of the mean
wrist, which is fitted to the masks. So neither the window of a radiograph nor its pixel spacing matters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from jointwrist.inference.mean_wrist import fit_mean_wrist
from jointwrist.inference.similarity import Similarity
from jointwrist.ops.outlines import bounding_box

#: The planes: side of a pixel in mm, and the mm of the mean wrist at which columns and rows begin and end.
MM, X_MM, Y_MM = 0.5, (-45.0, 45.0), (-40.0, 50.0)
X, Y = (np.arange(start + MM / 2, stop, MM) for start, stop in (X_MM, Y_MM))
#: Rows of the planes from the palm to the forearm.
WRIST_ROWS = (Y > -22) & (Y < 50)
#: Side in pixels that the bones are reduced to, largest logit, and how far in mm distances are known beyond a bone.
_SIDE, _LARGEST, _MARGIN_MM = 128, 10.0, 6.0


class Film(NamedTuple):
    """A radiograph prepared for the signs of its scope.

    Attributes:
        image: (D, D) float32 grey values.
        logits: (14, S, S) float32, above 0 in the bones.
        distances: (14, S, S) float32 signed distances to the bones in mm, negative within; 99 far away.
        wrist: Similarity from mm of the mean wrist to pixels of `logits`.
        grey: (180, 180) float32 grey values in the frame of the mean wrist, at `X` and `Y`; nan beyond the radiograph.
        nearest: (180, 180) float32 distance in mm to the nearest bone, in that frame.
    """

    image: np.ndarray
    logits: np.ndarray
    distances: np.ndarray
    wrist: Similarity
    grey: np.ndarray
    nearest: np.ndarray

    @property
    def masks(self) -> np.ndarray:
        """Return the (14, S, S) bool masks of the bones."""
        return self.logits > 0

    def plane(self, values: np.ndarray) -> np.ndarray:
        """Return (S, S) distances in the frame of the mean wrist, (180, 180)."""
        return np.nan_to_num(in_mean_wrist(values, self.wrist), nan=99.0)


def film_of(image: np.ndarray, logits: np.ndarray) -> Film | None:
    """Prepare a radiograph; None if its masks are not those of a wrist.

    Args:
        image: (D, D) float32 grey of a right hand.
        logits: (14, S, S) float32 of the bones on it, above 0 within.
    """
    factor = max(logits.shape[1] // _SIDE, 1)
    side = logits.shape[1] // factor
    blocks = logits[:, : side * factor, : side * factor].reshape(-1, side, factor, side, factor)
    logits = np.clip(blocks, -_LARGEST, _LARGEST).mean((2, 4))
    fit = fit_mean_wrist(logits > 0)
    if fit is None:
        return None
    wrist = fit[0]
    distances = signed_distances(logits > 0, wrist.scale)
    nearest = np.nan_to_num(in_mean_wrist(distances.min(0), wrist), nan=99.0)
    grey = in_mean_wrist(image, wrist, len(image) / side)
    inside = np.isfinite(grey)
    beside, bone = grey[inside & (nearest > 1.5) & (nearest < 5)], grey[inside & (nearest < 0)]
    soft = np.percentile(beside, 25) if beside.size else 0.0
    span = max(float(np.median(bone)) - soft, 0.02) if bone.size else 1.0
    values = ((plane - soft) / np.float32(span) for plane in (image, grey))
    image, grey = (plane.astype(np.float32) for plane in values)
    return Film(image, logits, distances, wrist, grey, nearest)


def in_mean_wrist(values: np.ndarray, wrist: Similarity, factor: float = 1.0) -> np.ndarray:
    """Return (D, D) values in the frame of the mean wrist, at `X` and `Y`; nan beyond them.

    Args:
        values: (D, D) float32.
        wrist: Similarity from mm of the mean wrist to pixels.
        factor: Pixels of the values per pixel of `wrist`.
    """
    pixel = factor * wrist.scale * MM
    if pixel > 1.5:  # averaged, so that fine structures do not alias
        steps = round(pixel)
        side = len(values) // steps
        values = values[: side * steps, : side * steps].reshape(side, steps, side, steps).mean((1, 3))
        factor /= steps
    matrix = factor * wrist.matrix
    x, y = factor * wrist(np.array([[X_MM[0], Y_MM[0]]]))[0]
    row = np.column_stack([matrix * MM, (x, y)])
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    plane = np.array(
        picture.transform((len(X), len(Y)), Image.Transform.AFFINE, row.ravel().tolist(), Image.Resampling.BILINEAR)
    )
    columns, rows = np.arange(len(X)) + 0.5, np.arange(len(Y))[:, None] + 0.5
    for (along, down, start), side in zip(row, values.shape[::-1], strict=True):
        at = along * columns + down * rows + start
        plane[(at < 0) | (at > side)] = np.nan
    return plane


def signed_distances(masks: np.ndarray, mm: float) -> np.ndarray:
    """Return the (C, H, W) distance in mm of each pixel to each bone, negative within; 99 far away.

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
