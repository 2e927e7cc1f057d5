#!/usr/bin/env bash
# pymia 0.3.4: the average distance between a network's bone and the reader's (AverageDistance).
#
# Guess: it is what its description states, the larger of the two directed means (of the distance from a pixel of one
#        mask to the nearest of the other); and of two networks the one with the smaller value is nearer by it.
# Seen:  it is their mean. If a network draws every bone too large, or too small, one of the two is 0, and half of the
#        documented distance is returned; bones that lie beside their place have the full one. Networks that err in
#        different ways change places: a bone that is 3 pixels too large all around has 0.17 pixels, and one that is 8
#        pixels beside its place 0.29, while by the description the first has 0.34 and is the worse one. Values cannot
#        be compared with those of other implementations of the same formula. Nothing warns. Take the larger of the
#        two means of scipy.ndimage.distance_transform_edt.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile pymia==0.3.4 SimpleITK==2.5.7 scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cat > distances.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pymia.evaluation.metric import AverageDistance
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

print("pymia", version("pymia"))
print("its description:", next(line.strip() for line in AverageDistance.__init__.__doc__.splitlines() if "AVD" in line))
same = "AVD(A,B) = max(d(A,B), d(B,A))" in AverageDistance.__init__.__doc__

y, x = np.mgrid[:160, :200]
reader = ((x - 100) / 50) ** 2 + ((y - 80) / 20) ** 2 <= 1
disk = np.hypot(*np.mgrid[-3:4, -3:4]) <= 3
masks = {
    "3 pixels too large": binary_dilation(reader, disk),
    "3 pixels too small": binary_erosion(reader, disk),
    "8 pixels to the right": np.roll(reader, 8, axis=1),
    "too long at one end": reader | (((x - 120) / 50) ** 2 + ((y - 80) / 20) ** 2 <= 1),
}
for pixel in [(1.0, 1.0), (0.2, 0.1)]:
    found = {}
    for name, mask in masks.items():
        metric = AverageDistance()
        metric.reference, metric.prediction, metric.spacing = reader.astype(np.uint8), mask.astype(np.uint8), pixel
        seen = metric.calculate()
        there = distance_transform_edt(~reader, sampling=pixel)[mask].mean()
        back = distance_transform_edt(~mask, sampling=pixel)[reader].mean()
        found[name] = max(there, back), seen
        print(f"pixels of {pixel}, bone {name}: directed means {there:.4f} and {back:.4f}, expected "
              f"{max(there, back):.4f}, seen {seen:.4f}")
        same &= bool(np.isclose(seen, (there + back) / 2, rtol=1e-3))
        if "right" in name:
            same &= bool(np.isclose(seen, max(there, back), rtol=0.02))
        else:
            same &= bool(min(there, back) == 0)
    if pixel == (1.0, 1.0):
        large, beside = found["3 pixels too large"], found["8 pixels to the right"]
        same &= bool(large[0] > beside[0] and large[1] < 0.7 * beside[1])
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore distances.py
