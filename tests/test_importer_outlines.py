"""Outlines along pixel edges, through pixel centres and half way between: every convention comes back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from annotation_files import OUTLINES, small_coco, staircase
from PIL import Image
from scipy.ndimage import binary_fill_holes, label

from jointwrist.data.importers import read_coco
from jointwrist.data.shapes.fill import fill_through_centres
from jointwrist.data.shapes.outline_convention import Convention, runs_through_centres

SIZE = (48, 64)
SQUARE = [[5, 5], [20, 5], [20, 20], [5, 20]]


def traced(mask: np.ndarray, simple: bool) -> list[list[float]]:
    """The outlines that cv2.findContours finds: Moore's tracing of the border pixels of every 8-connected piece."""
    around = [(0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1)]  # clockwise from the left
    pieces, count = label(np.pad(mask, 1), np.ones((3, 3)))
    outlines = []
    for piece in range(1, count + 1):
        start = tuple(np.argwhere(pieces == piece)[0])
        place, came, steps = start, 0, []
        while True:
            for turn in range(8):
                step = (came + 1 + turn) % 8
                after = (place[0] + around[step][0], place[1] + around[step][1])
                if pieces[after] == piece:
                    break
            else:
                break
            if steps and place == start and step == steps[0]:
                break
            steps.append(step)
            place, came = after, (step + 4) % 8
        row, column = start[0] - 1, start[1] - 1
        points = []
        for step, before in zip(steps, [steps[-1:], *steps], strict=False):
            if not simple or step != before:
                points += [column, row]
            row, column = row + around[step][0], column + around[step][1]
        outlines.append([float(value) for value in points or (column, row)])
    return outlines


def blobs(seed: int, grain: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    mask = np.zeros(SIZE, bool)
    for _ in range(3):
        radius, row, column, width = rng.uniform(6, 12), *rng.uniform((0, 0), SIZE), rng.uniform(0.6, 1.6)
        mask |= (y - row) ** 2 + ((x - column) * width) ** 2 < radius**2
    mask |= rng.random(SIZE) < grain
    return binary_fill_holes(mask)


def crossings(mask: np.ndarray) -> list[list[float]]:
    """Marching squares as skimage.measure.find_contours gives them: half way between centres, counted from centres."""
    contourpy = pytest.importorskip("contourpy")
    lines = contourpy.contour_generator(z=np.pad(mask, 1).astype(float)).lines(0.5)
    return [(line - 1).ravel().tolist() for line in lines]


TRACES = {
    "cv2, all points": (lambda mask: traced(mask, False), True),
    "cv2, corners": (lambda mask: traced(mask, True), True),
    "marching squares from centres": (crossings, True),
    "marching squares from edges": (lambda mask: [[v + 0.5 for v in line] for line in crossings(mask)], False),
    "edges of runs": (staircase, False),
    "run lengths": (OUTLINES["runs"], False),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("form", TRACES)
def test_outlines_of_every_convention_come_back_bit_for_bit(form, seed, tmp_path):
    grain = 0.01 if form.startswith(("cv2", "edges", "run")) else 0.0
    mask = blobs(seed, grain)
    trace, through = TRACES[form]
    path = small_coco(tmp_path, ["a_L.png"], [trace(mask)], SIZE[1])
    Image.new("L", SIZE[::-1]).save(tmp_path / "a_L.png")
    (radiograph,) = read_coco(path)
    np.testing.assert_array_equal(radiograph.bones(SIZE) == 1, mask)
    sure = [outline.through_centres for outline in radiograph.outlines if len(outline.points) > 20]
    assert set(sure) <= {through}
    if form != "run lengths":
        stated = read_coco(path, outline="centres" if through else "edges")[0]
        np.testing.assert_array_equal(stated.bones(SIZE) == 1, mask)


def test_what_outlines_through_centres_lose_where_they_are_taken_for_edges(tmp_path):
    y, x = np.ogrid[:64, :64]
    mask = ((y - 32) / 12.5) ** 2 + ((x - 30) / 17.5) ** 2 < 1
    path = small_coco(tmp_path, ["a_L.png"], [traced(mask, False)])
    lost = read_coco(path, outline="edges")[0].bones((64, 64)) == 1
    assert 0.9 < lost.sum() / mask.sum() < 0.96
    assert ((read_coco(path)[0].bones((64, 64)) == 1) == mask).all()


def test_hand_drawn_outlines_are_edges_and_rectangles_follow_the_others():
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    star = 50 + rng.uniform(20, 40, (24, 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert runs_through_centres(star) is runs_through_centres(np.round(star)) is False
    assert runs_through_centres(np.array(SQUARE)) is None
    assert runs_through_centres(np.array([[0, 0], [9, 0], [9, 4], [4, 4], [4, 9], [0, 9]])) is False  # a concave corner
    trace = np.reshape(traced(blobs(1), True)[0], (-1, 2))
    for others, through in (([], False), ([trace], True), ([star], False), ([trace, star, star], False)):
        convention = Convention()
        for outline in [np.array(SQUARE), *others]:
            convention.count(outline)
        assert convention.through_centres(np.array(SQUARE)) is through
    assert fill_through_centres(np.array([[3.0, 2.0]]), (5, 6)).sum() == 1
    with pytest.raises(ValueError, match="choose one of"):
        Convention("pixels")
