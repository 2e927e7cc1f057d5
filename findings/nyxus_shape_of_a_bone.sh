#!/usr/bin/env bash
# nyxus 0.11.0: the shape of a bone from its mask, and the robust mean of its grey values.
#
# Guess: areas, diameters and radii are in pixels and those of the mask, as in scikit-image: a convex bone fills its convex
#        hull (solidity 1 or nearly so), whichever way it lies, and a bone without holes has the Euler number 1.
# Seen:  area, axes and perimeter are. The diameter of the circle of equal area is its square, 9,581 pixels for a bone 160
#        long. The radii, distances of the bone's pixels from its margin, have the size of squares too: the largest is 1,024
#        and more instead of 30. The aspect ratio is cut to a whole number, 0 for a bone that stands. The convex hull of the
#        standing bone is larger than the rectangle around it, and its solidity 0.75, as if it had a deep bay; lying it has
#        0.95. A bone without holes, with one and with two has the Euler number -1, -2 and -3 instead of 1, 0 and -1. The
#        robust mean is always 0. Take these from scikit-image, or from area and axes.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet nyxus==0.11.0 numpy==2.4.6 scikit-image==0.26.0 scipy==1.17.1
cat > shape.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from nyxus import Nyxus
from scipy.ndimage import distance_transform_edt
from skimage.measure import regionprops


def bone(half_width, half_height, angle=0.0):
    """Filled ellipse on a film of 260 x 300 pixels."""
    y, x = np.mgrid[-130:130, -150:150]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (along / half_width) ** 2 + (across / half_height) ** 2 <= 1


def with_holes(mask, columns):
    mask = mask.copy()
    for column in columns:
        mask[125:135, column : column + 10] = False
    return mask


names = {
    "AREA_PIXELS_COUNT": "area",
    "MAJOR_AXIS_LENGTH": "major axis",
    "PERIMETER": "perimeter",
    "DIAMETER_EQUAL_AREA": "diameter of equal area",
    "ROI_RADIUS_MAX": "largest radius",
    "ASPECT_RATIO": "aspect ratio",
    "CONVEX_HULL_AREA": "area of the hull",
    "SOLIDITY": "solidity",
    "EULER_NUMBER": "Euler number",
    "ROBUST_MEAN": "robust mean",
}
bones = {
    "round": bone(60, 60),
    "lying": bone(80, 30),
    "standing": bone(30, 80),
    "oblique": bone(80, 30, 0.6),
    "lying, a hole": with_holes(bone(80, 30), [150]),
    "lying, two holes": with_holes(bone(80, 30), [120, 170]),
}
print("nyxus", version("nyxus"))
draw = np.random.default_rng(0)
same, hulls = True, {}
for name, mask in bones.items():
    film = draw.normal(1000, 100, mask.shape).clip(1).astype(np.uint16)
    found = Nyxus(["*ALL_MORPHOLOGY*", "*ALL_INTENSITY*"]).featurize(film, mask.astype(np.uint32))
    seen = {key: float(found[key].iloc[0]) for key in names}
    region = regionprops(mask.astype(np.uint8), spacing=1.0)[0]
    grey = film[mask].astype(float)
    rows, columns = (np.ptp(index) + 1 for index in np.nonzero(mask))
    expected = {
        "AREA_PIXELS_COUNT": mask.sum(),
        "MAJOR_AXIS_LENGTH": region.axis_major_length,
        "PERIMETER": region.perimeter,
        "DIAMETER_EQUAL_AREA": np.sqrt(4 * mask.sum() / np.pi),
        "ROI_RADIUS_MAX": distance_transform_edt(mask).max(),
        "ASPECT_RATIO": columns / rows,
        "CONVEX_HULL_AREA": region.area_convex,
        "SOLIDITY": region.solidity,
        "EULER_NUMBER": region.euler_number,
        "ROBUST_MEAN": grey[(grey >= np.percentile(grey, 10)) & (grey <= np.percentile(grey, 90))].mean(),
    }
    print(f"{name}; rectangle around it {columns} x {rows} = {columns * rows}")
    for key, text in names.items():
        print(f"  {text}: expected {expected[key]:.2f}, seen {seen[key]:.2f}")
    holes = name.count("hole") + name.count("two")
    hulls[name] = seen["CONVEX_HULL_AREA"], seen["SOLIDITY"], columns * rows
    same &= bool(
        seen["AREA_PIXELS_COUNT"] == mask.sum()
        and np.isclose(seen["MAJOR_AXIS_LENGTH"], region.axis_major_length, rtol=0.01)
        and np.isclose(seen["DIAMETER_EQUAL_AREA"], expected["DIAMETER_EQUAL_AREA"] ** 2)
        and seen["ROI_RADIUS_MAX"] > 0.9 * expected["ROI_RADIUS_MAX"] ** 2
        and seen["ASPECT_RATIO"] == columns // rows
        and (seen["EULER_NUMBER"], expected["EULER_NUMBER"]) == (-1 - holes, 1 - holes)
        and seen["ROBUST_MEAN"] == 0
    )
area, solidity, rectangle = hulls["standing"]
same &= bool(area > rectangle and solidity < 0.8 < 0.9 < hulls["lying"][1])
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore shape.py
