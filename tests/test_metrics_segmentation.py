"""Segmentation metrics against MONAI on random, noisy, holed, border-touching, full and empty masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jointwrist.anatomy import OVERLAP_PAIRS
from jointwrist.data.sample import pack_masks, unpack_masks
from jointwrist.metrics.segmentation import case_metrics, overlap_metrics

monai = pytest.importorskip("monai.metrics")


def discs(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size]
    centres, radii = rng.uniform(-4, size + 4, (count, 2)), rng.uniform(2, size / 3, count)
    return np.array([(yy - y) ** 2 + (xx - x) ** 2 < r * r for (y, x), r in zip(centres, radii, strict=True)])


def masks(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    truth = discs(rng, 14)
    pred = np.roll(truth, tuple(rng.integers(-3, 4, 2)), (1, 2))
    if kind == "noisy":
        pred ^= rng.random(pred.shape) < 0.05
        truth ^= rng.random(pred.shape) < 0.02
    elif kind == "holed":
        truth &= ~discs(rng, 14)
    elif kind == "apart":
        pred = discs(rng, 14)
    elif kind == "full":
        truth[::2], pred[::3] = True, True
    elif kind == "empty":
        truth[::2], pred[::3] = False, False
    return pred, truth


def monai_figures(pred: np.ndarray, truth: np.ndarray, tolerance: float = 2.0) -> dict[str, np.ndarray]:
    p, t = torch.tensor(pred)[None].float(), torch.tensor(truth)[None].float()
    nsd = monai.SurfaceDiceMetric([tolerance] * len(pred), include_background=True)
    msd = monai.SurfaceDistanceMetric(include_background=True, symmetric=True)
    dice, iou = monai.DiceMetric(ignore_empty=True), monai.MeanIoU(ignore_empty=True)
    figures = {"nsd": nsd(p, t), "msd": msd(p, t), "dsc": dice(p, t), "voe": 1 - iou(p, t)}
    return {name: value[0].numpy() for name, value in figures.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["plain", "noisy", "holed", "apart", "full", "empty"])
def test_equal_to_monai(kind, seed):
    pred, truth = masks(kind, np.random.default_rng(seed))
    ours, theirs = case_metrics(pred, truth), monai_figures(pred, truth)
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, atol=1e-5, equal_nan=True, err_msg=name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 1.5, 5.0])
def test_every_tolerance_equals_monai(tolerance):
    pred, truth = masks("noisy", np.random.default_rng(1))
    ours, theirs = case_metrics(pred, truth, tolerance), monai_figures(pred, truth, tolerance)
    np.testing.assert_allclose(ours["nsd"], theirs["nsd"], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=80, deadline=None)
@given(st.tuples(st.just(2), st.integers(2, 12), st.integers(2, 12)).flatmap(lambda s: arrays(bool, (2, *s))))
def test_any_small_masks_equal_monai(pair):
    ours, theirs = case_metrics(*pair), monai_figures(*pair)
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, atol=1e-6, equal_nan=True, err_msg=name)


def test_far_apart_masks_of_any_shape_equal_distance_transform():
    """Two specks at the far ends of a long frame, where the search along rows has to cross columns without contour."""
    from scipy.ndimage import distance_transform_edt

    rng = np.random.default_rng(5)
    for shape in [(400, 7), (7, 400), (1, 300), (300, 1), (301, 299)]:
        pred, truth = np.zeros((2, *shape), bool)
        pred[tuple(rng.integers(0, s, 3) for s in shape)] = True
        truth[tuple(s - 1 - rng.integers(0, 1 + s // 9, 4) for s in shape)] = True
        to_truth, to_pred = distance_transform_edt(~truth)[pred], distance_transform_edt(~pred)[truth]
        expected = np.concatenate([to_truth, to_pred]).mean()
        assert case_metrics(pred[None], truth[None])["msd"][0] == pytest.approx(expected, rel=1e-12)


def test_exchanging_flipping_and_turning_changes_nothing_symmetric():
    pred, truth = masks("holed", np.random.default_rng(2))
    expected = case_metrics(pred, truth)
    for p, t in [
        (truth, pred),
        (pred[:, ::-1], truth[:, ::-1]),
        (np.rot90(pred, 1, (1, 2)), np.rot90(truth, 1, (1, 2))),
    ]:
        ours = case_metrics(p, t)
        for name in ("nsd", "msd"):
            np.testing.assert_allclose(ours[name], expected[name], rtol=1e-12, equal_nan=True)


def test_overlap_is_the_case_metric_of_the_intersections():
    pred, truth = masks("plain", np.random.default_rng(9))
    ours = overlap_metrics(pred, truth)
    for i, (a, b) in enumerate(OVERLAP_PAIRS):
        alone = case_metrics((pred[a] & pred[b])[None], (truth[a] & truth[b])[None])
        for name, values in ours.items():
            np.testing.assert_equal(values[i], alone[name][0])


def test_ravd_of_a_half_a_missed_and_a_whole_bone():
    truth = np.zeros((14, 20, 20), bool)
    truth[:10, 5:15, 5:15] = True
    pred = truth.copy()
    pred[0, 5:10] = False
    pred[1] = False
    assert case_metrics(pred, truth)["ravd"][:3].tolist() == [0.5, 1.0, 0.0]


def test_packed_and_integer_masks_give_the_same():
    pred, truth = masks("plain", np.random.default_rng(3))
    expected = case_metrics(pred, truth)
    for ours in (case_metrics(pack_masks(pred), pack_masks(truth)), case_metrics(pred.astype(np.uint8), truth * 1.0)):
        for name, values in expected.items():
            np.testing.assert_equal(ours[name], values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
def test_a_label_map_is_no_bit_map(dtype):
    labels = np.repeat(np.arange(15, dtype=dtype), 4).reshape(6, 10)
    for call in (case_metrics, overlap_metrics):
        with pytest.raises(ValueError, match="label map"):
            call(labels, labels)
    truth = labels == np.arange(1, 15)[:, None, None]
    assert (case_metrics(truth, truth)["dsc"] == 1).all()


@pytest.mark.parametrize("labels", [range(4), range(6), range(9), (0, 9, 12), (0, 1, 14)])
def test_a_label_map_of_few_bones_is_refused_and_a_bit_map_beside_a_full_one_is_not(labels):
    few = np.resize(np.array(labels, np.uint16), (6, 10))
    for call in (case_metrics, overlap_metrics):
        with pytest.raises(ValueError, match="label map"):
            call(few, few)
    full = few | np.uint16(1 << 13)
    ours = case_metrics(few, full)
    expected = case_metrics(unpack_masks(few), unpack_masks(full))
    assert all(np.array_equal(ours[name], expected[name], equal_nan=True) for name in expected)
    single = np.resize(np.array([0, 1, 8], np.uint16), (6, 10))  # no two bones overlap
    assert case_metrics(single, single)["dsc"][3] == 1


def test_a_bit_map_of_more_than_fourteen_bones_is_refused():
    with pytest.raises(ValueError, match="16384"):
        case_metrics(np.full((3, 3), 1 << 14, np.uint16), np.zeros((3, 3), np.uint16))


def test_unusable_input_is_refused():
    masks = np.zeros((14, 4, 4))
    with pytest.raises(ValueError, match="differ in shape"):
        case_metrics(masks, np.zeros((14, 5, 4)))
    with pytest.raises(ValueError, match="threshold"):
        case_metrics(masks + 0.3, masks)
    with pytest.raises(ValueError, match="bit map"):
        case_metrics(masks[0], masks[0])
    for tolerance in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="tolerance"):
            case_metrics(masks, masks, tolerance)
