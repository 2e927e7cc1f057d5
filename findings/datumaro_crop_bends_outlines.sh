#!/usr/bin/env bash
# datumaro 1.13.12: the transform "crop" on outlines and landmarks.
#
# Guess: a bone cropped from a radiograph has the same part of its outline whether it was stored as a mask or as a polygon, and a
#        landmark outside the crop is dropped, or marked as absent.
# Seen:  the mask is cut at the border. Every point of the polygon that lies outside is instead moved to the nearest point
#        of the border, which bends the edges that lead to it: the outline changes within the crop as well, and here a
#        sixth of the bone's visible area is lost. Landmarks outside are moved to the border too and stay "visible". Turn
#        polygons into masks first (transform "polygons_to_masks"), and drop landmarks that lie outside.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet datumaro==1.13.12 pycocotools==2.0.11
cat > crop.py <<'PYTHON'
import sys
from importlib.metadata import version

import datumaro as dm
import numpy as np
from pycocotools import mask as coco

HEIGHT, WIDTH, SIDE = 240, 320, 160
OUTLINE = [40, 30, 150, 20, 290, 110, 250, 200, 120, 220]  # x, y of a bone that reaches beyond the crop
LANDMARKS = [60, 60, 280, 110, 100, 200]


def fill(points, height, width):
    return coco.decode(coco.merge(coco.frPyObjects([[float(x) for x in points]], height, width))).astype(bool)


bone = fill(OUTLINE, HEIGHT, WIDTH)
annotations = [
    dm.Mask(bone.astype(np.uint8), label=0, id=1, group=1),
    dm.Polygon(OUTLINE, label=0, id=2, group=2),
    dm.Points(LANDMARKS, label=0, id=3, group=3),
]
film = dm.Image.from_numpy(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
dataset = dm.Dataset.from_iterable([dm.DatasetItem("film", media=film, annotations=annotations)], categories=["radius"])
dataset.transform("crop", x=0, y=0, width=SIDE, height=SIDE)
(item,) = dataset
mask, polygon, points = item.annotations

expected = bone[:SIDE, :SIDE]
by_mask, by_polygon = np.asarray(mask.image, bool), fill(polygon.points, SIDE, SIDE)
lost = int((expected & ~by_polygon).sum())
print("datumaro", version("datumaro"))
print(f"bone within the crop: expected {expected.sum()} pixels")
print(f"  seen {by_mask.sum()} as a mask, {by_polygon.sum()} as a polygon")
print(f"pixels within the crop that the polygon lost: {lost}")
print("landmarks: expected one at 60, 60; seen", points.points, [one.name for one in points.visibility])
same = (
    np.array_equal(by_mask, expected)
    and lost > 1500
    and points.points == [60, 60, SIDE, 110, 100, SIDE]
    and len({one.name for one in points.visibility}) == 1
    and points.visibility[0].name == "visible"
)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore crop.py
