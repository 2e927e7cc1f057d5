#!/usr/bin/env bash
# albumentations 2.0.8: PiecewiseAffine, a local distortion for radiographs and their masks.
#
# Guess: a grid of points is moved at random and the film between them follows, so that with moves of a millionth of a
#        pixel the film stays as it is, and with the default moves no bone goes further than its neighbouring points.
# Seen:  without moves to speak of, bones are displaced by 17 pixels of a film 300 wide, and some grow to twice the area of
#        others of the same size: each pixel is given the mean of the positions of all points of the grid, weighted by
#        the inverse square of their distances. Such a mean does not even reproduce the positions themselves: it draws
#        everything to the middle, and is flat around each point of the grid. What the parameter "scale" adds is small
#        beside it. Masks go with the film, so a picture of the pair shows nothing wrong. scikit-image's transform of the
#        same grid leaves the film as it is. AlbumentationsX 2.5.1 does the same. Use ElasticTransform or Affine.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet albumentations==2.0.8 opencv-python-headless==5.0.0.93 numpy==2.4.6 scikit-image==0.26.0
cat > distort.py <<'PYTHON'
import sys
import warnings

import albumentations as A
import numpy as np
from skimage.transform import PiecewiseAffineTransform, warp

warnings.simplefilter("ignore")
HEIGHT, WIDTH, RADIUS = 200, 300, 12
CENTRES = [(x, y) for y in (45, 100, 155) for x in (50, 100, 150, 200, 250)]
y, x = np.mgrid[:HEIGHT, :WIDTH]
BONES = np.stack([(x - column) ** 2 + (y - row) ** 2 < RADIUS**2 for column, row in CENTRES]).astype(np.uint8)


def changes(masks):
    """Displacement in pixels and area relative to the original, for every bone that is whole."""
    moved, grown = [], []
    for centre, before, after in zip(CENTRES, BONES, masks):
        rows, columns = np.nonzero(after)
        if len(rows) and rows.min() > 0 and columns.min() > 0 and rows.max() < HEIGHT - 1 and columns.max() < WIDTH - 1:
            moved.append(np.hypot(columns.mean() - centre[0], rows.mean() - centre[1]))
            grown.append(after.sum() / before.sum())
    return np.array(moved), np.array(grown)


def by_albumentations(transform):
    masks = A.Compose([transform], seed=1)(image=BONES.max(0) * 200, masks=list(BONES))["masks"]
    return changes([np.asarray(mask) for mask in masks])


print("albumentations", A.__version__)
nothing = by_albumentations(A.PiecewiseAffine(scale=(1e-6, 1e-6), p=1))
usual = by_albumentations(A.PiecewiseAffine(p=1))
affine = by_albumentations(A.Affine(scale=(1, 1), translate_px={"x": (7, 7), "y": (0, 0)}, p=1))
grid = np.stack(np.meshgrid(np.linspace(0, WIDTH - 1, 4), np.linspace(0, HEIGHT - 1, 4)), -1).reshape(-1, 2)
same_grid = PiecewiseAffineTransform.from_estimate(grid, grid)
skimage = changes([warp(mask.astype(float), same_grid, order=0) for mask in BONES])
for name, (moved, grown) in {
    "PiecewiseAffine, moves of a millionth of a pixel": nothing,
    "PiecewiseAffine, default moves": usual,
    "scikit-image, the same grid, no moves": skimage,
    "Affine, a move of 7 pixels": affine,
}.items():
    print(f"{name}: displaced by {np.median(moved):.1f} pixels in the median, {moved.max():.1f} at most;")
    print(f"  areas {grown.min():.2f} to {grown.max():.2f} of the original")
print("expected of the first: displaced by 0.0 pixels, areas 1.00 to 1.00")
right = skimage[0].max() < 0.1 and np.allclose(skimage[1], 1) and np.allclose(affine[0], 7, atol=0.1)
wrong = np.median(nothing[0]) > 10 and np.ptp(nothing[1]) > 0.5
print("as described" if right and wrong else "changed")
sys.exit(not (right and wrong))
PYTHON
NO_ALBUMENTATIONS_UPDATE=1 env/bin/python distort.py
