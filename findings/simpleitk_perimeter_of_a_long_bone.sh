#!/usr/bin/env bash
# SimpleITK 2.5.7: the perimeter of a label whose pixels are not square.
#
# Guess: perimeter and roundness of a bone in mm do not depend on the pixels that it was drawn on, and a circle as the
#        test of that would show it if they did.
# Seen:  a circle is right on every grid. A long bone on pixels of 0.2 x 0.1 mm has a perimeter 11 % too large or 15 % too
#        small, depending on whether it lies along the short or the long side of the pixels, and on longer pixels it may
#        be rounder than a circle (roundness above 1). Area and axes are right. The perimeter is counted along four
#        directions, which weigh the same although the diagonals of such pixels do not lie midway between the sides.
#        Densitometers and old film digitisers write such pixels; resample to square ones before you measure a perimeter.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet simpleitk==2.5.7 numpy==2.4.6
env/bin/python - <<'PYTHON'
import sys

import numpy as np
import SimpleITK as sitk

SIDE = 40.0  # mm, of the square film


def bone(along_columns, along_rows, spacing):
    """Ellipse of the given half axes in mm, drawn on pixels of the given height and width."""
    rows, columns = (round(SIDE / step) for step in spacing)
    y, x = np.mgrid[:rows, :columns] + 0.5
    y, x = y * spacing[0] - SIDE / 2, x * spacing[1] - SIDE / 2
    return (x / along_columns) ** 2 + (y / along_rows) ** 2 < 1


def measure(mask, spacing):
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing((spacing[1], spacing[0]))
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputePerimeterOn()
    shape.Execute(image)
    return shape.GetPerimeter(1), shape.GetPhysicalSize(1), shape.GetRoundness(1)


def true_perimeter(a, b):
    angle = np.linspace(0, 2 * np.pi, 100_001)
    return np.hypot(np.diff(a * np.cos(angle)), np.diff(b * np.sin(angle))).sum()


print("SimpleITK", sitk.Version.VersionString())
off, roundest = {}, 0.0
for spacing in ((0.1, 0.1), (0.2, 0.1), (0.4, 0.1)):
    for name, axes in {"circle": (15, 15), "long along rows": (18, 6), "long along columns": (6, 18)}.items():
        mask = bone(*axes, spacing)
        expected = true_perimeter(*axes)
        perimeter, area, roundness = measure(mask, spacing)
        off[spacing, name] = perimeter / expected - 1
        roundest = max(roundest, roundness)
        assert abs(area / (np.pi * axes[0] * axes[1]) - 1) < 0.005, "the area is right"
        print(f"pixels {spacing[0]} x {spacing[1]} mm, {name}: expected {expected:.1f} mm, seen {perimeter:.1f} mm")
        print(f"  off by {off[spacing, name]:+.1%}; roundness {roundness:.2f}")
right = all(abs(share) < 0.02 for (spacing, name), share in off.items() if name == "circle" or spacing == (0.1, 0.1))
wrong = off[(0.2, 0.1), "long along rows"] > 0.08 and off[(0.2, 0.1), "long along columns"] < -0.12
same = right and wrong and roundest > 1.05
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
