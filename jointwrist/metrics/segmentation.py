"""Segmentation metrics of one case: DSC, NSD, VOE, MSD and RAVD of each bone and of the 14 overlap regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from jointwrist.anatomy import NUM_BONES, OVERLAP_PAIRS
from jointwrist.metrics.surface import compare_masks

METRICS = ("dsc", "nsd", "voe", "msd", "ravd")
LABEL_MAP = "make masks of a label map first: labels == np.arange(1, 15)[:, None, None]"


def case_metrics(pred: np.ndarray, truth: np.ndarray, tolerance_px: float = 2.0) -> dict[str, np.ndarray]:
    """Compare the masks of one case channel by channel, with the definitions of MONAI 1.6.

    Args:
        pred: (C, H, W) masks, bool or 0/1; or the packed (H, W) uint16 bit map of 14 bones
            (`jointwrist.data.sample.pack_masks`).
        truth: As `pred`.
        tolerance_px: Tolerance of the NSD.

    Returns:
        (C,) float64 arrays: `dsc`; `nsd`, the share of the boundary pixels of both masks that lie within the tolerance
        of the other mask's boundary; `voe` = 1 - IoU; `msd`, the mean surface distance pooled over both directions, in
        pixels; `ravd` = |P - G| / G. Both masks empty: nan, RAVD 0. Truth empty: DSC and VOE nan, NSD 0, MSD inf,
        RAVD 0. Prediction empty: DSC 0, NSD 0, VOE 1, MSD inf, RAVD 1.

    Raises:
        ValueError: The shapes differ, the values are not 0 and 1, an (H, W) array is a label map rather than a bit map,
            or the tolerance is negative or not finite.
    """
    pred, truth = _channels(pred, truth)
    return _metrics(zip(pred, truth, strict=True), tolerance_px)


def overlap_metrics(pred: np.ndarray, truth: np.ndarray, tolerance_px: float = 2.0) -> dict[str, np.ndarray]:
    """Compare the overlap regions (`OVERLAP_PAIRS`) of one case; arguments and results as for `case_metrics`."""
    pred, truth = _channels(pred, truth)
    return _metrics(((pred[a] & pred[b], truth[a] & truth[b]) for a, b in OVERLAP_PAIRS), tolerance_px)


def _metrics(masks: Iterable[tuple[np.ndarray, np.ndarray]], tolerance: float) -> dict[str, np.ndarray]:
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number of pixels, not {tolerance}")
    figures = np.array([_figures(pred, truth, tolerance) for pred, truth in masks], float).reshape(-1, len(METRICS))
    return dict(zip(METRICS, figures.T, strict=True))


def _channels(pred: np.ndarray, truth: np.ndarray) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Return one bool or uint8 array per channel, of prediction and truth."""
    pred, truth = _masks(np.asarray(pred)), _masks(np.asarray(truth))
    shapes = [(len(masks), *masks[0].shape) for masks in (pred, truth)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"prediction {shapes[0]} and truth {shapes[1]} differ in shape")
    return pred, truth


def _masks(array: np.ndarray) -> Sequence[np.ndarray]:
    if array.ndim == 2:
        _check_bit_map(array)
        # one channel at a time stays in the cache: five times as fast as `unpack_masks`
        return [((array >> channel) & 1).astype(np.uint8) for channel in range(NUM_BONES)]
    if array.ndim != 3:
        raise ValueError(f"masks must be (C, H, W), or a uint16 (H, W) bit map, not {array.dtype} {array.shape}")
    masks = np.ascontiguousarray(array, bool)
    if array.dtype != bool and not np.array_equal(masks, array):
        raise ValueError("masks must be 0 or 1 everywhere; threshold probabilities and logits first")
    return masks


def _check_bit_map(array: np.ndarray) -> None:
    """Refuse an array that is not a bit map of 14 bones.

    A label map of up to 14 bones holds the values 0 to 14. A bit map whose values are all below 15 holds only the first
    four bones, of which few combinations occur.
    """
    if array.dtype != np.uint16:
        raise ValueError(f"a (H, W) array must be a uint16 bit map, bit b for bone b, not {array.dtype}; {LABEL_MAP}")
    present = np.flatnonzero(np.bincount(array.ravel()))
    if len(present) and present[-1] >> NUM_BONES:
        raise ValueError(f"a bit map of {NUM_BONES} bones holds no value as high as {present[-1]}")
    if len(present) > 9 and present[-1] <= NUM_BONES:
        raise ValueError(f"a (H, W) array of {len(present)} values up to {present[-1]} is no bit map; {LABEL_MAP}")


def _figures(pred: np.ndarray, truth: np.ndarray, tolerance: float) -> tuple[float, ...]:
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
