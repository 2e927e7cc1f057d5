#!/usr/bin/env bash
# MedPy 0.5.2: a radiograph smoothed, and its edges measured, on pixels that are not square (voxelspacing).
#
# Guess: with the sides of a pixel given, anisotropic_diffusion and gaussian_gradient_magnitude do on the patient what
#        they do on square pixels: what is smoothed alike everywhere (kappa far above all contrasts) becomes round in
#        mm, with the variance 2 x gamma x niter of the heat equation; and grey values that rise by 100 per mm have a
#        gradient of 100, or at least the same along rows and columns.
# Seen:  the diffusion divides by the side of a pixel once, where a second derivative needs it twice. On pixels of 0.2 x
#        0.1 mm a point becomes 1.41 times as wide along the long side as across it, on 0.3 x 0.1 mm 1.73 times; on
#        square pixels of 0.1 mm it has 0.32 of the width in mm, on those of 0.2 mm 0.45, so that two digitisers
#        smooth the same bone differently. The gradient is one per pixel: the same bone margin has twice the edge
#        strength if it lies across the long side of the pixels, and a threshold finds one margin and not the other.
#        Only its Gaussian heeds the spacing. Neither warns, and pixels of 1 x 1 are right. Resample to square pixels,
#        leave voxelspacing out, and divide the gradient by the side of a pixel.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet medpy==0.5.2 scipy==1.17.1 numpy==2.4.6 SimpleITK==2.5.7
cat > smooth.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from medpy.features.intensity import gaussian_gradient_magnitude
from medpy.filter.smoothing import anisotropic_diffusion
from scipy.ndimage import gaussian_filter

STEPS = 40


def widths(film, pixel):
    """Standard deviations of the grey values' places along rows and columns in mm."""
    result = []
    for axis, side in enumerate(pixel):
        profile = film.sum(axis=1 - axis) / film.sum()
        places = side * np.arange(len(profile))
        result.append(np.sqrt(profile @ places**2 - (profile @ places) ** 2))
    return np.array(result)


def heated(film, gamma, pixel):
    """The heat equation in mm, by the same explicit steps."""
    for _ in range(STEPS):
        change = np.zeros_like(film)
        for axis, side in enumerate(pixel):
            edges = [(0, 0), (0, 0)]
            edges[axis] = (1, 1)
            change += np.diff(np.pad(film, edges, mode="edge"), 2, axis=axis) / side**2
        film = film + gamma * change
    return film


print("medpy", version("medpy"))
same = True
point = np.zeros((101, 101))
point[50, 50] = 1
for pixel in [(1, 1), (0.1, 0.1), (0.2, 0.2), (0.2, 0.1), (0.1, 0.2), (0.3, 0.1)]:
    gamma = 0.2 * min(pixel) ** 2
    expected = np.sqrt(2 * gamma * STEPS)
    right = widths(heated(point, gamma, pixel), pixel)
    seen = widths(anisotropic_diffusion(point, niter=STEPS, kappa=1e6, gamma=gamma, voxelspacing=pixel), pixel)
    print(f"pixels of {pixel} mm: width of a smoothed point expected {expected:.3f} mm, seen {seen.round(3)}, "
          f"{seen[0] / seen[1]:.2f} to 1")
    same &= bool(np.allclose(right, expected, rtol=1e-3))
    same &= bool(np.allclose(seen, expected * np.sqrt(pixel), rtol=1e-2))

for pixel in [(1, 1), (0.2, 0.1), (0.1, 0.2)]:
    ramps = np.meshgrid(*(100 * side * np.arange(200.0) for side in pixel), indexing="ij")
    sigma = [2 * max(pixel) / side for side in pixel]
    for direction, ramp in zip(("down the film", "across it"), ramps, strict=True):
        smooth = gaussian_filter(ramp, sigma)
        expected = np.hypot(*np.gradient(smooth, *pixel))[100, 100]
        seen = gaussian_gradient_magnitude(ramp, sigma=2 * max(pixel), voxelspacing=pixel).reshape(ramp.shape)[100, 100]
        print(f"pixels of {pixel} mm: grey values that rise by 100 per mm {direction}: gradient expected "
              f"{expected:.1f}, seen {seen:.1f}")
        side = pixel[0] if direction == "down the film" else pixel[1]
        same &= bool(np.isclose(expected, 100) and np.isclose(seen, 100 * side, rtol=0.02))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore smooth.py
