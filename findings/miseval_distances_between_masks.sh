#!/usr/bin/env bash
# miseval 1.3.0: the three distances between masks, "HD", "AHD" and "BD".
#
# Guess: the Hausdorff distance, the average Hausdorff distance and the mean distance of the two outlines, in pixels: 20 and less
#        for a bone that is found 20 pixels from its place, and 0 for one that is found exactly.
# Seen:  none of them. "HD" takes every row of the film as one point in a space of as many dimensions as the film has columns.
#        A bone that is found 20 pixels too low has a distance of 0, for all its rows are there; 20 pixels too far to the
#        right, of 6.2. The class asked for is left out, so that with labels of many bones each has the same distance. "AHD"
#        is the largest distance, not a mean: one stray pixel makes it 124 pixels instead of 0.3. "BD" is the mean over all
#        pairs of points of the two outlines: a bone that is found exactly has a distance of 45 pixels, more than one that
#        is found as a dot in its middle. Take MONAI's or SciPy's distances.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet miseval==1.3.0 hausdorff==0.2.6 dictances==1.5.3 numba==0.68.1 numpy==2.2.6 \
  scikit-image==0.26.0 scikit-learn==1.9.1 scipy==1.17.1
cat > distances.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from miseval import evaluate
from scipy.spatial.distance import cdist

HEIGHT, WIDTH = 300, 240


def bone(row, column, scale=1.0):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (((y - row) / 50) ** 2 + ((x - column) / 20) ** 2 < scale**2).astype(int)


def edge(mask):
    """Pixels of the mask that have a neighbour outside it."""
    inside = np.pad(mask, 1).astype(bool)
    inner = inside[2:, 1:-1] & inside[:-2, 1:-1] & inside[1:-1, 2:] & inside[1:-1, :-2]
    return np.argwhere(mask.astype(bool) & ~inner)


def by_definition(truth, found):
    """Hausdorff distance of the masks, and the mean of the distances from each outline to the nearest point of the other."""
    between = cdist(edge(truth), edge(found))
    points = cdist(np.argwhere(truth), np.argwhere(found))
    largest = max(points.min(0).max(), points.min(1).max())
    return largest, (between.min(0).mean() + between.min(1).mean()) / 2


print("miseval", version("miseval"))
truth = bone(120, 100)
stray = truth.copy()
stray[20, 220] = 1
findings = {"as it is": truth, "20 pixels too low": bone(140, 100), "20 pixels too far right": bone(120, 120),
            "with a stray pixel": stray, "as a dot": bone(120, 100, 0.1)}
seen, exact = {}, {}
for name, found in findings.items():
    exact[name] = by_definition(truth, found)
    seen[name] = [float(evaluate(truth, found, metric=metric)) for metric in ("HD", "AHD", "BD")]
    print(f"bone found {name}: Hausdorff distance expected {exact[name][0]:.1f}, mean {exact[name][1]:.2f}; seen HD "
          f"{seen[name][0]:.1f}, AHD {seen[name][1]:.1f}, BD {seen[name][2]:.1f}")
rows = {name: cdist(truth, found) for name, found in findings.items()}
same = all(np.isclose(seen[name][0], max(d.min(0).max(), d.min(1).max()), atol=1e-6) for name, d in rows.items())
same &= seen["20 pixels too low"][0] == 0 and exact["20 pixels too low"][0] == 20
same &= all(np.isclose(values[1], exact[name][0]) for name, values in seen.items())
same &= seen["with a stray pixel"][1] > 100 * exact["with a stray pixel"][1]
same &= seen["as it is"][2] > seen["as a dot"][2] > 10
both = truth + 2 * bone(120, 160)
per_class = evaluate(both, truth + 2 * bone(120, 190), metric="HD", multi_class=True, n_classes=3)
print(f"two bones, the second 30 pixels too far right: HD of background and bones {per_class.round(1)}")
same &= bool(np.ptp(per_class) == 0 and per_class[1] > 0)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore distances.py
