#!/usr/bin/env bash
# torchmetrics 1.9.0: HausdorffDistance of bones on radiographs that are not square.
#
# Guess: the largest distance between the outlines of two masks is the same wherever they lie, and on whatever film: that of
#        SciPy's distance transform.
# Seen:  on a film that is wider than high it depends on the columns beside the bones. The distances to one outline are
#        computed for each pixel and stored at row x height + column, where the width belongs, so that they are read at
#        other pixels. Two masks one pixel apart have a Hausdorff distance of 70 pixels here, without a
#        warning; the same masks on a square film are right. Films that are higher than wide mostly raise an
#        IndexError, which upstream has known since October 2025; the wrong numbers of wide films it counts as working.
#        Pad the masks to a square first, or use MONAI's or SciPy's distances.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6 scipy==1.17.1
cat > hausdorff.py <<'PYTHON'
import sys

import numpy as np
import torch
import torchmetrics
from scipy.ndimage import binary_erosion, distance_transform_edt
from torchmetrics.segmentation import HausdorffDistance

HEIGHT = 96


def by_scipy(first, second):
    edges = [mask & ~binary_erosion(mask) for mask in (first, second)]
    return max(distance_transform_edt(~edges[1])[edges[0]].max(), distance_transform_edt(~edges[0])[edges[1]].max())


def by_torchmetrics(first, second):
    metric = HausdorffDistance(num_classes=1, include_background=True)
    metric.update(*(torch.from_numpy(mask.astype(np.int64))[None, None] for mask in (first, second)))
    return float(metric.compute())


def bone(width, column, row, radius):
    y, x = np.mgrid[:HEIGHT, :width]
    return (x - column) ** 2 + (y - row) ** 2 < radius**2


print("torchmetrics", torchmetrics.__version__)
same = True
for width in (96, 128, 160):
    wrong = 0
    for what, one, other in (
        ("one pixel apart", (40, 40, 15), (41, 40, 15)),
        ("of different size", (40, 50, 15), (40, 50, 24)),
        ("20 pixels apart", (35, 40, 12), (55, 40, 12)),
    ):
        masks = bone(width, *one), bone(width, *other)
        expected, seen = by_scipy(*masks), by_torchmetrics(*masks)
        wrong += abs(seen - expected) > 0.5
        print(f"film of {HEIGHT} x {width} pixels, bones {what}: expected {expected:.2f}, seen {seen:.2f}")
        if width > HEIGHT:
            squares = [np.pad(mask, ((0, width - HEIGHT), (0, 0))) for mask in masks]
            assert abs(by_torchmetrics(*squares) - expected) < 1e-4, "right on a square film"
    same &= wrong == 0 if width == HEIGHT else wrong > 1
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
OMP_NUM_THREADS=2 env/bin/python -W ignore hausdorff.py
