#!/usr/bin/env bash
# scikit-image 0.26.0: normalised moments of a bone whose pixels are not square.
#
# Guess: regionprops(spacing=...) raises for what it cannot do on oblong pixels, as it does for the perimeter and for Hu's
#        moments; what it returns is that of the bone, whatever pixels the bone was drawn on.
# Seen:  area, axes and orientation are right. Normalised central moments, which by definition do not change with scale,
#        double on pixels of 0.2 x 0.1 mm and grow fourfold on 0.4 x 0.1 mm: the sums leave out the pixel's area, and the
#        scaling that follows makes up for it with the shorter side alone. Third moments grow more still, so that shape
#        descriptors (Hu's too, when computed from these) tell two digitisers apart rather than two bones. Resample to
#        square pixels first, or multiply each moment by (shorter / longer side) to the power of half its order.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet scikit-image==0.26.0 numpy==2.4.6
cat > moments.py <<'PYTHON'
import sys

import numpy as np
import skimage
from skimage.measure import moments_hu, regionprops

SIDE, LONG, SHORT, HEAD = 40.0, 15.0, 5.0, 6.0  # mm


def bone(spacing):
    """Long bone with a head at one end, on pixels of the given height and width in mm."""
    rows, columns = (round(SIDE / step) for step in spacing)
    y, x = np.mgrid[:rows, :columns] + 0.5
    y, x = y * spacing[0] - SIDE / 2, x * spacing[1] - SIDE / 2
    along, across = 0.9 * x + np.sqrt(0.19) * y, -np.sqrt(0.19) * x + 0.9 * y
    return (along / LONG) ** 2 + (across / SHORT) ** 2 < 1, (along - 8) ** 2 + across**2 < HEAD**2


def truth():
    """Moments of second and third order by the definition, on a grid of 0.02 mm."""
    step = 0.02
    shaft, head = bone((step, step))
    y, x = (np.argwhere(shaft | head).T + 0.5) * step
    y, x, area = y - y.mean(), x - x.mean(), len(x) * step**2
    return {(i, j): (y**i * x**j).sum() * step**2 / area ** (1 + (i + j) / 2) for i, j in ((2, 0), (0, 2), (0, 3))}


print("scikit-image", skimage.__version__)
expected = truth()
factors, areas = {}, {}
for spacing in ((0.1, 0.1), (0.2, 0.1), (0.4, 0.1)):
    shaft, head = bone(spacing)
    (region,) = regionprops((shaft | head).astype(int), spacing=spacing)
    seen = {order: float(region.moments_normalized[order]) for order in expected}
    factors[spacing] = [seen[order] / expected[order] for order in expected]
    areas[spacing] = float(region.area), float(region.axis_major_length)
    print(f"pixels {spacing[0]} x {spacing[1]} mm: area {areas[spacing][0]:.1f} mm2, axis {areas[spacing][1]:.1f} mm")
    for order in expected:
        print(f"  normalised moment {order}: expected {expected[order]:.4f}, seen {seen[order]:.4f}")
    print(f"  Hu's first moment from these: {moments_hu(region.moments_normalized)[0]:.4f}")
assert np.ptp(list(areas.values()), axis=0).max() < 1, "area and axis are right"
half_orders = np.array([sum(order) / 2 for order in expected])
same = all(np.allclose(seen, (high / wide) ** half_orders, rtol=0.05) for (high, wide), seen in factors.items())
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python moments.py
