"""Segmentation metrics of one case: DSC, NSD, VOE, MSD and RAVD of every bone and of the 14 overlap regions."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import OVERLAP_PAIRS
from jointwrist.data.sample import unpack_masks
from jointwrist.metrics.surface import compare_masks

METRICS = ("dsc", "nsd", "voe", "msd", "ravd")


def case_metrics(pred: np.ndarray, truth: np.ndarray, tolerance_px: float = 2.0) -> dict[str, np.ndarray]:
    """Compare the masks of one case channel by channel, equal to MONAI 1.6.

    Args:
        pred: (C, H, W) masks, bool or 0/1; or the packed (H, W) uint16 bit map of 14 bones.
        truth: As `pred`.
        tolerance_px: Tolerance of the NSD.

    Returns:
        (C,) float64 arrays: `dsc`; `nsd`, contour pixels of both masks within the tolerance of the other over all of
        them; `voe` = 1 - IoU; `msd`, the mean surface distance pooled over both directions, in pixels; `ravd` =
        |P - G| / G. Both empty: nan, RAVD 0. Truth empty: DSC and VOE nan, NSD 0, MSD inf, RAVD 0. Prediction empty:
        DSC 0, NSD 0, VOE 1, MSD inf, RAVD 1.

    Raises:
        ValueError: The shapes differ.
    """
    pred, truth = _masks(pred), _masks(truth)
    if pred.shape != truth.shape:
        raise ValueError(f"prediction {pred.shape} and truth {truth.shape} differ in shape")
    figures = np.array([_figures(p, t, tolerance_px) for p, t in zip(pred, truth, strict=True)]).reshape(
        -1, len(METRICS)
    )
    return dict(zip(METRICS, figures.T, strict=True))


def overlap_metrics(pred: np.ndarray, truth: np.ndarray, tolerance_px: float = 2.0) -> dict[str, np.ndarray]:
    """Compare the overlap regions of one case: arguments and results as `case_metrics`, over `OVERLAP_PAIRS`."""
    pred, truth = _masks(pred), _masks(truth)
    first, second = (list(side) for side in zip(*OVERLAP_PAIRS, strict=True))
    return case_metrics(pred[first] & pred[second], truth[first] & truth[second], tolerance_px)


def missed_bones(pred: np.ndarray, truth: np.ndarray) -> int:
    """Count channels that the truth has and the prediction lacks altogether; a mean of finite MSDs hides them."""
    return int((_masks(truth).any((1, 2)) & ~_masks(pred).any((1, 2))).sum())


def _masks(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim == 2:
        return unpack_masks(array)
    return np.ascontiguousarray(array != 0 if array.dtype != bool else array)


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
