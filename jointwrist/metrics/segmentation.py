"""Segmentation metrics of one case: DSC, NSD, VOE, MSD and RAVD of each bone and of the overlap regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.metrics.surface import compare_masks
from jointwrist.ops.bits import bits_dtype

METRICS = ("dsc", "nsd", "voe", "msd", "ravd")
LABEL_MAP = "make masks of a label map first: labels == np.arange(1, 15)[:, None, None]"


def case_metrics(
    pred: np.ndarray, truth: np.ndarray, tolerance_px: float = 2.0, anatomy: Anatomy = WRIST
) -> dict[str, np.ndarray]:
    """Compare the masks of one case channel by channel, with the definitions of MONAI 1.6.

    Args:
        pred: (C, H, W) masks, bool or 0/1; or the packed (H, W) bit map of all bones
            (`jointwrist.data.sample.pack_masks`), uint16 up to 16 bones.
        truth: As `pred`.
        tolerance_px: Tolerance of the NSD.
        anatomy: The bones of a bit map.

    Returns:
        (C,) float64 arrays: `dsc`; `nsd`, the share of the boundary pixels of both masks that lie within the tolerance
        of the other mask's boundary; `voe` = 1 - IoU; `msd`, the mean surface distance pooled over both directions, in
        pixels; `ravd` = |P - G| / G. Both masks empty: nan, RAVD 0. Truth empty: DSC and VOE nan, NSD 0, MSD inf,
        RAVD 0. Prediction empty: DSC 0, NSD 0, VOE 1, MSD inf, RAVD 1.

    Raises:
        ValueError: The shapes differ, the values are not 0 and 1, an (H, W) array is a label map rather than a bit map,
            or the tolerance is negative or not finite.
    """
    pred, truth = _channels(pred, truth, anatomy)
    return _metrics(zip(pred, truth, strict=True), tolerance_px)


def overlap_metrics(
    pred: np.ndarray, truth: np.ndarray, tolerance_px: float = 2.0, anatomy: Anatomy = WRIST
) -> dict[str, np.ndarray]:
    """Compare the overlap regions of an anatomy in one case; arguments and results as for `case_metrics`."""
    pred, truth = _channels(pred, truth, anatomy)
    return _metrics(((pred[a] & pred[b], truth[a] & truth[b]) for a, b in anatomy.overlaps), tolerance_px)


def _metrics(masks: Iterable[tuple[np.ndarray, np.ndarray]], tolerance: float) -> dict[str, np.ndarray]:
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number of pixels, not {tolerance}")
    figures = np.array([_figures(pred, truth, tolerance) for pred, truth in masks], float).reshape(-1, len(METRICS))
    return dict(zip(METRICS, figures.T, strict=True))


def _channels(
    pred: np.ndarray, truth: np.ndarray, anatomy: Anatomy
) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Return one bool or uint8 array per channel, of prediction and truth."""
    pred, truth = np.asarray(pred), np.asarray(truth)
    if pred.ndim == truth.ndim == 2:
        _check_bit_maps(pred, truth, bones=len(anatomy.bones))
    pred, truth = (_masks(array, len(anatomy.bones)) for array in (pred, truth))
    shapes = [(len(masks), *masks[0].shape) for masks in (pred, truth)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"prediction {shapes[0]} and truth {shapes[1]} differ in shape")
    return pred, truth


def _masks(array: np.ndarray, bones: int) -> Sequence[np.ndarray]:
    if array.ndim == 2:
        _values(array, bones)
        # one channel at a time fits the cache, which is five times as fast as `unpack_masks`
        return [((array >> channel) & 1).astype(np.uint8) for channel in range(bones)]
    if array.ndim != 3:
        raise ValueError(
            f"masks must be (C, H, W), or a {bits_dtype(bones)} (H, W) bit map, not {array.dtype} {array.shape}"
        )
    masks = np.ascontiguousarray(array, bool)
    if array.dtype != bool and not np.array_equal(masks, array):
        raise ValueError("masks must be 0 or 1 everywhere; threshold probabilities and logits first")
    return masks


def _check_bit_maps(*arrays: np.ndarray, bones: int) -> None:
    """Refuse arrays that are, or could be, label maps.

    Label maps hold no value above the number of bones, while bit maps do unless they show the first four bones alone.
    Values with a single bit mean different bones in the two, but can be all that a poor prediction contains; then the
    ground truth decides.
    """
    found = [_values(array, bones) for array in arrays]
    if any(len(values) and values[-1] > bones for values in found):
        return
    several = [int(value) for value in np.unique(np.concatenate(found)) if int(value).bit_count() > 1]
    if several:
        raise ValueError(
            f"(H, W) arrays with no value above {bones} may be label maps: {several[0]} is one bone there, and an"
            f" overlap of several in a bit map; {LABEL_MAP}, or unpack_masks of bit maps"
        )


def _values(array: np.ndarray, bones: int) -> np.ndarray:
    """Return the sorted values of a bit map; refuse an array that cannot be one."""
    dtype = bits_dtype(bones)
    if array.dtype != dtype:
        raise ValueError(f"a (H, W) array must be a {dtype} bit map, bit b for bone b, not {array.dtype}; {LABEL_MAP}")
    # counting is several times as fast as sorting, but needs a count for every value up to the highest
    present = np.flatnonzero(np.bincount(array.ravel())) if array.itemsize <= 2 else np.unique(array)
    if len(present) and int(present[-1]) >> bones:
        raise ValueError(f"a bit map of {bones} bones holds no value as high as {present[-1]}")
    if len(present) > 9 and present[-1] <= bones:
        raise ValueError(f"a (H, W) array of {len(present)} values up to {present[-1]} is not a bit map; {LABEL_MAP}")
    return present


def _figures(pred: np.ndarray, truth: np.ndarray, tolerance: float) -> tuple[float, ...]:
    """Return DSC, NSD and the other `METRICS` of one mask, in their order."""
    predicted, true, both, distance, near, contour = compare_masks(pred, truth, tolerance)
    if true == 0:
        return (np.nan, np.nan, np.nan, np.nan, 0.0) if predicted == 0 else (np.nan, 0.0, np.nan, np.inf, 0.0)
    if predicted == 0:
        return 0.0, 0.0, 1.0, np.inf, 1.0
    return (
        2 * both / (predicted + true),
        near / contour,
        1 - both / (predicted + true - both),
        distance / contour,
        abs(predicted - true) / true,
    )
