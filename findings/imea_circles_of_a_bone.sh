#!/usr/bin/env bash
# imea 0.3.5: circles around and within a bone, and the sides of its bounding rectangle (shape_measurements_2d).
#
# Guess: the circles are centred on the bone's centre of mass, one through its furthest and one through its nearest margin; they and the
#        rectangle are the same wherever the bone lies on the film, and the length is the longer side.
# Seen:  the centre is that on the film, the margin that of the bone cut out of the film: the distances between them grow
#        with the distance of the bone from the corner of the film. A round bone of 8 mm has an inscribed circle of 3 to
#        20 mm, the same bone in a corner one of 8 mm, so that a test with a mask that is cut out does not show it.
#        length_min_bb is the shorter side and width_min_bb the longer one: the two are returned in the other order.
#        Feret diameters, axes and the enclosing circle are right. Hand over each bone cut out without a margin, and exchange the two.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet imea==0.3.5 numpy==2.4.6
cat > circles.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from imea import shape_measurements_2d
from scipy.ndimage import binary_erosion

PIXEL = 0.1  # mm
names = ["diameter_circumscribing_circle", "diameter_inscribing_circle", "length_min_bb", "width_min_bb", "feret_max", "feret_min"]


def bone(half_width, half_height, margin):
    """Filled ellipse that touches no border of the film unless the margin, in pixels, is 0."""
    y, x = np.mgrid[-half_height - margin : half_height + margin + 1, -half_width - margin : half_width + margin + 1]
    return (x / half_width) ** 2 + (y / half_height) ** 2 <= 1


def diameters(mask):
    """Twice the largest and the smallest distance of the margin from the centre of mass, mm."""
    y, x = np.nonzero(mask & ~binary_erosion(mask))
    distances = np.hypot(y - np.nonzero(mask)[0].mean(), x - np.nonzero(mask)[1].mean())
    return 2 * PIXEL * distances.max(), 2 * PIXEL * distances.min()


print("imea", version("imea"))
same = True
for name, half in {"round": (40, 40), "lying": (80, 30), "standing": (30, 80)}.items():
    for margin in (0, 20, 100):
        mask = bone(*half, margin)
        found = shape_measurements_2d(mask, PIXEL)
        seen = (found[0] if isinstance(found, tuple) else found)[names].iloc[0]
        largest, smallest = diameters(mask)
        expected = dict(zip(names, [largest, smallest, largest, smallest, largest, smallest]))
        print(f"{name}, {margin} pixels from the border:")
        for key in names:
            print(f"  {key}: expected {expected[key]:.1f} mm, seen {seen[key]:.1f} mm")
        close = {key: abs(seen[key] - expected[key]) < 0.35 for key in names}
        same &= close["feret_max"] and close["feret_min"]
        same &= close["diameter_circumscribing_circle"] == close["diameter_inscribing_circle"] == (margin == 0)
        same &= bool(abs(seen["length_min_bb"] - smallest) < 0.35 and abs(seen["width_min_bb"] - largest) < 0.35)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore circles.py
