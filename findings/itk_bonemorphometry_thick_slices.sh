#!/usr/bin/env bash
# itk-bonemorphometry 1.5.1: number, thickness and surface of trabeculae in volumes whose slices are thicker than
# their pixels (BoneMorphometryFeaturesFilter).
#
# Guess: the filter counts how often lines along the three axes cross the bone's surface, per mm of line, and derives
#        the rest from the mean of the three: balls have the surface per volume that geometry gives, whichever voxels
#        they are drawn on, and a specimen has the same values whichever of its axes comes first.
# Seen:  cubic voxels are right. Otherwise the crossings along x are divided by the voxel's size along z, and those
#        along z by its size along x. In slices of 0.3 mm with pixels of 0.1 mm, balls have a surface per volume
#        (BS/BV) 44 % too large and a thickness (Tb.Th) 31 % too small; rods across the slices have a BS/BV of 1.46
#        per mm instead of 1.80; plates that lie in the slices have a number (Tb.N) of 0.69 per mm instead of 0.26, and
#        upright ones of 0.14 instead of 0.25. If x and z differ in size, turning the specimen in the array changes it;
#        if y is the odd one, all is right. Nothing warns. The volume fraction (BV/TV) does not depend on it. Resample
#        to cubic voxels first.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
# of the six packages of ITK, the filter needs three
env/bin/pip install --quiet --no-deps --no-compile itk-bonemorphometry==1.5.1 itk-core==5.4.7 itk-numerics==5.4.7 \
  itk-filtering==5.4.7 numpy==2.4.6
cat > trabeculae.py <<'PYTHON'
import sys
from importlib.metadata import version

import itk
import numpy as np

SIDE, PERIOD = 12, 3  # mm


def drawn(shape, voxel):
    """Mask (z, y, x) of a periodic structure on voxels of the size (x, y, z) in mm."""
    x, y, z = ((np.arange(round(SIDE / size)) + 0.5) * size % PERIOD - PERIOD / 2 for size in voxel)
    x, y, z = x[None, None, :], y[None, :, None], z[:, None, None]
    inside = {
        "balls": x**2 + y**2 + z**2 <= 1,
        "rods along z": x**2 + y**2 + 0 * z <= 1,
        "plates across z": np.abs(z) + 0 * (x + y) <= 0.45,
        "plates across x": np.abs(x) + 0 * (y + z) <= 0.45,
    }
    return inside[shape]


def crossings(bone, voxel):
    """Crossings per mm of line along x, y and z; outside of the volume there is no bone."""
    result = []
    for axis, size in zip((2, 1, 0), voxel, strict=True):
        padded = np.pad(bone, [(1, 1) if i == axis else (0, 0) for i in range(3)])
        result.append(np.count_nonzero(np.diff(padded.astype(int), axis=axis)) / (bone.size * size))
    return np.array(result)


def measured(bone, voxel):
    image = itk.image_from_array(bone.astype(np.uint8))
    image.SetSpacing(voxel)
    features = itk.BoneMorphometryFeaturesFilter[type(image)].New()
    features.SetInput(image)
    features.SetThreshold(1)
    features.Update()
    return np.array([features.GetBVTV(), features.GetTbN(), features.GetTbTh(), features.GetBSBV()])


print("itk-bonemorphometry", version("itk-bonemorphometry"), "itk", version("itk-core"))
same = True
for voxel in [(0.1, 0.1, 0.1), (0.1, 0.1, 0.2), (0.1, 0.1, 0.3), (0.3, 0.1, 0.1), (0.1, 0.3, 0.1)]:
    for shape in ("balls", "rods along z", "plates across z", "plates across x"):
        bone = drawn(shape, voxel)
        volume = bone.mean()
        along = crossings(bone, voxel)
        expected = np.array([volume, along.mean(), volume / along.mean(), 2 * along.mean() / volume])
        exchanged = along * [voxel[0] / voxel[2], 1, voxel[2] / voxel[0]]
        described = np.array([volume, exchanged.mean(), volume / exchanged.mean(), 2 * exchanged.mean() / volume])
        seen = measured(bone, voxel)
        print(f"{shape}, voxels of {voxel} mm: Tb.N, Tb.Th and BS/BV expected {expected[1:].round(2)}, "
              f"seen {seen[1:].round(2)}")
        same &= bool(np.allclose(seen, described, rtol=0.03))
        same &= bool(np.allclose(seen, expected, rtol=0.03)) == (voxel[0] == voxel[2])
        if shape == "balls":
            same &= bool(np.isclose(expected[3], 3, rtol=0.05))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore trabeculae.py
