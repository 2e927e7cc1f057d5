"""Polygons and run lengths of other tools become the pixels that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from jointwrist.data.shapes.fill import decode_run_lengths, fill_polygon

ARRAY_WARNING = pytest.mark.filterwarnings("ignore:__array__ implementation")


def test_polygons_are_filled_as_matplotlib_tests_pixel_centres():
    rng = np.random.default_rng(1)
    height, width = 40, 57
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1).reshape(-1, 2)
    for _ in range(50):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 30)))
        radius = rng.uniform(2, 30, len(angle))  # a star, which may reach beyond the frame
        corners = np.array([30.0, 20.0]) + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        expected = Outline(corners).contains_points(centres).reshape(height, width)
        assert (fill_polygon(corners, (height, width)) == expected).all()


@ARRAY_WARNING
def test_polygons_are_those_of_pycocotools_but_for_pixels_on_the_outline():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle, radius = np.sort(rng.uniform(0, 2 * np.pi, 40)), rng.uniform(40, 60, 40)
        corners = np.array([100.0, 90.0]) + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        theirs = coco.decode(coco.merge(coco.frPyObjects([corners.ravel().tolist()], 200, 220))).astype(bool)
        ours = fill_polygon(corners, (200, 220))
        assert 2 * (ours & theirs).sum() > 0.995 * (ours.sum() + theirs.sum())


def test_a_polygon_covers_its_area_and_whole_numbers_are_pixel_edges():
    square = np.array([[2, 1], [5, 1], [5, 3], [2, 3]])
    mask = fill_polygon(square, (6, 8))
    assert mask.sum() == 6
    assert mask[1:3, 2:5].all()


@ARRAY_WARNING
def test_run_lengths_are_those_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(2)
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = rng.random((37, 53)) < share
        assert (decode_run_lengths(coco.encode(np.asfortranarray(mask))["counts"].decode(), mask.shape) == mask).all()
    big = np.zeros((700, 600), bool)
    big[300:400, 100:500] = True
    assert (decode_run_lengths(coco.encode(np.asfortranarray(big))["counts"].decode(), big.shape) == big).all()


@pytest.mark.parametrize("damage", ["P", "0" * 20, "~~~", [1, 2], [-1, 31], [30.0], ["a"], [[1]], "é"])
def test_damaged_run_lengths_are_refused(damage):
    with pytest.raises(ValueError, match=r"run length|does not occur"):
        decode_run_lengths(damage, (5, 6))
