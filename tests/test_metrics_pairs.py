"""A thousand pairs of awkward masks: the segmentation metrics against MONAI, SciPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt
from sklearn.metrics import f1_score, jaccard_score

from jointwrist.metrics.segmentation import case_metrics

monai = pytest.importorskip("monai.metrics")
pytestmark = pytest.mark.trust

PAIRS = 1000
KINDS = ("discs", "speckles", "pixels", "border", "empty truth", "empty prediction", "both empty", "full")


def pairs() -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
    """Kind, prediction and truth of any shape down to a single row, and a tolerance."""
    rng = np.random.default_rng(8)
    for index in range(PAIRS):
        kind = KINDS[index % len(KINDS)]
        shape = tuple(int(side) for side in rng.integers(2, 40, 2))
        pair = rng.random((2, *shape)) < rng.uniform(0.02, 0.9)
        if kind == "discs":
            y, x = np.indices(shape)
            centres, radii = rng.uniform(0, 1, (2, 2)) * shape, rng.uniform(1, 14, 2)
            pair = np.stack([np.hypot(y - v, x - u) <= r for (v, u), r in zip(centres, radii, strict=True)])
        elif kind == "pixels":
            pair[:] = False
            for mask in pair:
                mask[tuple(rng.integers(0, shape))] = True
        elif kind == "border":
            pair[:, 1:-1, 1:-1] = False
        elif kind == "full":
            pair[int(rng.integers(2))] = True
        pair[0] &= kind not in ("empty prediction", "both empty")
        pair[1] &= kind not in ("empty truth", "both empty")
        yield kind, pair[0], pair[1], float(rng.choice([0, 0.5, 1, 2, 3.7]))


def of_monai(pred: np.ndarray, truth: np.ndarray, tolerance: float) -> dict[str, float]:
    p, t = torch.tensor(pred)[None, None].float(), torch.tensor(truth)[None, None].float()
    figures = {
        "dsc": monai.compute_dice(p, t, ignore_empty=True),
        "voe": 1 - monai.compute_iou(p, t, ignore_empty=True),
        "nsd": monai.compute_surface_dice(p, t, [tolerance], include_background=True),
        "msd": monai.compute_average_surface_distance(p, t, include_background=True, symmetric=True),
    }
    return {name: float(value) for name, value in figures.items()}


def of_definition(pred: np.ndarray, truth: np.ndarray, tolerance: float) -> dict[str, float]:
    """Two masks that are not empty, by scikit-learn's overlaps and SciPy's erosion and distances, in float64."""
    contours = [mask & ~binary_erosion(mask) for mask in (pred, truth)]
    ways = (contours, contours[::-1])
    distances = np.concatenate([distance_transform_edt(~other)[contour] for contour, other in ways])
    return {
        "dsc": f1_score(truth.ravel(), pred.ravel()),
        "voe": 1 - jaccard_score(truth.ravel(), pred.ravel()),
        "nsd": (distances <= tolerance).mean(),
        "msd": distances.mean(),
        "ravd": abs(int(pred.sum()) - int(truth.sum())) / int(truth.sum()),
    }


@pytest.mark.filterwarnings("ignore")
def test_a_thousand_pairs_equal_monai_and_the_definitions():
    met = set()
    for kind, pred, truth, tolerance in pairs():
        ours = {name: value[0] for name, value in case_metrics(pred[None], truth[None], tolerance).items()}
        said = f"{kind} {pred.shape} tolerance {tolerance}"
        for name, value in of_monai(pred, truth, tolerance).items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-6, atol=1e-6, err_msg=f"{name} of {said}")
        if pred.any() and truth.any():
            for name, value in of_definition(pred, truth, tolerance).items():
                np.testing.assert_allclose(ours[name], value, rtol=1e-12, atol=1e-12, err_msg=f"{name} of {said}")
            met.add(kind)
    assert met == {kind for kind in KINDS if "empty" not in kind}
