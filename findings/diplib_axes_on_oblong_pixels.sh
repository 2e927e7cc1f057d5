#!/usr/bin/env bash
# DIPlib 3.6.1: length and width of a bone by its moments, on pixels that are not square.
#
# Guess: measures that carry a unit are those of the bone: DimensionsEllipsoid gives its axes in mm, whatever pixels it
#        was drawn on, as Size gives its area and CartesianBox its extent. What assumes square pixels says so by its
#        unit: perimeter and Feret diameters are returned in px then.
# Seen:  a bone of 16 x 6 mm on pixels of 0.1 x 0.2 mm is 32 x 3 mm if it lies and 12 x 8 mm if it stands, all marked as
#        mm. Standing, its length points across; oblique, it points 8 degrees up instead of 34. The eccentricity
#        follows. Each moment of inertia is scaled by the pixel along its own axis, while it is made of distances across
#        that axis. In a volume, where it is made of two directions, it cannot be set right afterwards: a bone of 16 x
#        10 x 8 mm in slices of 0.4 mm has axes of 52, 50 and nan. Square pixels and cubic voxels are right. Resample to
#        those first.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet diplib==3.6.1 numpy==2.4.6
cat > axes.py <<'PYTHON'
import sys

import diplib
import numpy as np

SEMI = 8.0, 3.0


def bone(pixel, angle):
    """Filled ellipse of 16 x 6 mm; angle between its length and the rows. pixel is (x, y) in mm."""
    x = (np.arange(-120, 120) + 0.5) * pixel[0]
    y = (np.arange(-120, 120) + 0.5)[:, None] * pixel[1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (along / SEMI[0]) ** 2 + (across / SEMI[1]) ** 2 <= 1


def measured(mask, pixel, features):
    labels = diplib.Label(diplib.Image(mask))
    labels.SetPixelSize(diplib.PixelSize([diplib.PhysicalQuantity(size, "mm") for size in pixel]))
    table = diplib.MeasurementTool.Measure(labels, features=features)
    return {name: np.array(table[name]).ravel() for name in features}, str(table)


def by_hand(mask, pixel):
    """Central second moments in mm**2, axes of the ellipse that has them in mm, direction of the length in degrees."""
    index = [axis - axis.mean() for axis in np.nonzero(mask)[::-1]]
    places = np.stack([axis * size for axis, size in zip(index, pixel, strict=True)])
    moments = places @ places.T / mask.sum()
    values, vectors = np.linalg.eigh(moments)
    return moments, np.sort(4 * np.sqrt(values))[::-1], np.degrees(np.arctan2(*vectors[::-1, 1])) % 180


print("diplib", diplib.__version__)
same = True
for name, pixel, angle in [
    ("lying, square", (0.1, 0.1), 0), ("standing, square", (0.1, 0.1), np.pi / 2), ("oblique, square", (0.1, 0.1), 0.6),
    ("lying", (0.1, 0.2), 0), ("standing", (0.1, 0.2), np.pi / 2), ("oblique", (0.1, 0.2), 0.6),
]:
    mask = bone(pixel, angle)
    seen, table = measured(mask, pixel, ["Size", "DimensionsEllipsoid", "MajorAxes", "Mu", "Eccentricity", "Feret"])
    moments, axes, direction = by_hand(mask, pixel)
    seen_direction = np.degrees(np.arctan2(seen["MajorAxes"][3], seen["MajorAxes"][2])) % 180
    print(f"{name}, pixels of {pixel[0]} x {pixel[1]} mm; area {seen['Size'][0]:.1f} mm2")
    print(f"  axes: expected {axes.round(2)}, seen {seen['DimensionsEllipsoid'].round(2)} mm; direction expected "
          f"{direction:.0f}, seen {seen_direction:.0f} degrees; eccentricity expected "
          f"{np.sqrt(1 - (axes[1] / axes[0]) ** 2):.3f}, seen {seen['Eccentricity'][0]:.3f}")
    square = pixel[0] == pixel[1]
    same &= bool(np.isclose(seen["Size"][0], mask.sum() * pixel[0] * pixel[1]) and np.isclose(axes[0], 16, rtol=0.01))
    same &= bool(np.allclose(seen["DimensionsEllipsoid"], axes, rtol=0.01)) == square
    same &= bool(np.allclose(seen["Mu"][:2], [moments[1, 1], moments[0, 0]], rtol=0.01)) == square
    swapped = np.array([moments[1, 1] * (pixel[0] / pixel[1]) ** 2, moments[0, 0] * (pixel[1] / pixel[0]) ** 2])
    same &= bool(np.allclose(seen["Mu"][:2], swapped, rtol=0.01))
    same &= ("(px)" in table) != square
for spacing in [(0.2, 0.2, 0.2), (0.1, 0.1, 0.4)]:
    counts = [int(np.ceil(1.1 * semi / size)) for semi, size in zip((8, 4, 5), spacing, strict=True)]
    z, y, x = np.mgrid[tuple(slice(-count, count) for count in counts[::-1])] + 0.5
    volume = (x * spacing[0] / 8) ** 2 + (y * spacing[1] / 4) ** 2 + (z * spacing[2] / 5) ** 2 <= 1
    seen, _ = measured(volume, spacing, ["CartesianBox", "DimensionsEllipsoid"])
    print(f"ellipsoid of 16 x 8 x 10 mm, voxels of {spacing} mm: extent {seen['CartesianBox'].round(1)}, axes "
          f"{seen['DimensionsEllipsoid'].round(1)} mm")
    same &= bool(np.allclose(seen["CartesianBox"], [16, 8, 10], atol=0.4))
    right = np.allclose(seen["DimensionsEllipsoid"], [16, 10, 8], rtol=0.02)
    same &= bool(right if spacing[0] == spacing[2] else not right and seen["DimensionsEllipsoid"][0] > 50)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore axes.py
