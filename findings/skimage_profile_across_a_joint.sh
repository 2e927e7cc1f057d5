#!/usr/bin/env bash
# scikit-image 0.26.0: the width of a joint space from the grey values along a line across it (measure.profile_line).
#
# Guess: the values lie one pixel apart, so that the distance of the two bone margins in values is that in pixels, and a
#        line of the same length in another direction gives the same width.
# Seen:  the line is divided into equal steps, which are shorter than a pixel unless its length is a whole number. A line of
#        18 pixels gives 19 values along a row, and 20 when it is turned by 23 degrees, as rounding makes it longer by
#        4e-15: a space of 10 pixels is 10.0 wide, and 10.5 when the wrist is turned. With pixels of 0.15 mm that is
#        0.08 mm, nearly what a joint loses in a year (0.1 mm). The step is not told, and the number of values that the
#        description tells is one too few. Multiply by the length of the line over the number of values less one, or
#        sample with scipy.ndimage.map_coordinates at places of your own.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet scikit-image==0.26.0 numpy==2.2.6 scipy==1.17.1
cat > joint.py <<'PYTHON'
import sys

import numpy as np
import skimage
from scipy.ndimage import map_coordinates
from scipy.special import ndtr
from skimage.measure import profile_line

MM, SPACE, SIDE = 0.15, 10.0, 200
CENTRE = np.array([100.0, 100.0])


def film(degrees):
    """Two bones with a joint space of SPACE pixels between margins blurred by 0.8 pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] - 100.0
    across = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    return 1000 - 700 * (ndtr((across + SPACE / 2) / 0.8) - ndtr((across - SPACE / 2) / 0.8))


def width(values):
    """Distance, in values, of the two places where the profile passes the mean of bone and space."""
    low = np.flatnonzero(values < 650)
    first, last = low[0], low[-1]
    left = first - 1 + (values[first - 1] - 650) / (values[first - 1] - values[first])
    return last + (650 - values[last]) / (values[last + 1] - values[last]) - left


print("scikit-image", skimage.__version__)
same, seen = True, {}
for length in (18.0, 20.1, 20.9, 24.1):
    for degrees in (0, 23, 60):
        half = length / 2 * np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])
        values = profile_line(film(degrees), CENTRE - half, CENTRE + half, order=3)
        places = np.arange(-np.floor(length / 2), np.floor(length / 2) + 1)
        own = map_coordinates(film(degrees), (CENTRE[:, None] + 2 * half[:, None] / length * places), order=3)
        step = length / (len(values) - 1)
        seen[length, degrees] = width(values)
        print(f"line of {length} pixels at {degrees} degrees: {len(values)} values; width expected {SPACE:.2f} pixels, one "
              f"pixel apart {width(own):.2f}, seen {width(values):.2f} ({(width(values) - SPACE) * MM:+.3f} mm), times "
              f"{step:.3f} {width(values) * step:.2f}")
        same &= bool(abs(width(own) - SPACE) < 0.05 and abs(width(values) * step - SPACE) < 0.05)
        same &= len(values) in (np.ceil(length) + 1, np.ceil(length) + 2)
same &= bool(abs(seen[18.0, 0] - SPACE) < 0.05 and max(seen[18.0, 23], seen[18.0, 60]) > SPACE + 0.4)
same &= bool(min(seen[20.1, degrees] for degrees in (0, 23, 60)) > SPACE + 0.35)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore joint.py
