#!/usr/bin/env bash
# pyfeats 1.0.1: texture of trabecular bone by its Hurst coefficients (fdta), and the size of a bone
# (shape_parameters).
#
# Guess: fdta fits the slope of log(mean difference of grey values) over log(distance), for distances of 1, 2 and 3
#        pixels: 1 for a film whose grey values rise evenly, and for fractal surfaces that of the differences
#        themselves. shape_parameters gives the extent of a mask, wherever it lies on the film.
# Seen:  the sums of differences are not set to 0 for each distance, so that the value for 3 pixels is the mean over
#        1, 2 and 3. An even rise has a coefficient of 0.62, and all others fall with it to about 60 %: a texture with
#        0.80 has 0.49. As a fractal dimension, 3 less the coefficient, that is 2.5 instead of 2.2, a much rougher bone,
#        and no value can be compared with another program's. The extent of a bone is 0 x 0 unless it touches the upper
#        and left border of the film: the first row and column that are empty are taken for those after its end. Area
#        and perimeter are right. Nothing warns. Compute the differences with numpy, and the extent with
#        scipy.ndimage.find_objects.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile pyfeats==1.0.1 numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2 mahotas==1.4.19 \
  scikit-image==0.26.0 opencv-python==5.0.0.93 PyWavelets==1.9.0
cat > texture.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pyfeats import fdta, shape_parameters
from scipy.ndimage import binary_erosion

DISTANCES = np.array([1, 2, 3])


def fractal(side, hurst, seed):
    """Fractal surface, the corner of a periodic one with the power spectrum of the Hurst coefficient."""
    frequency = np.fft.fftfreq(4 * side)
    radius = np.hypot(frequency[:, None], frequency)
    radius[0, 0] = np.inf
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=radius.shape))
    return np.fft.ifft2(noise * radius ** -(hurst + 1)).real[:side, :side]


def slopes(film):
    """Slope by the mean difference at each distance, and by the mean over all distances up to it."""
    sums, counts = [], []
    for distance in DISTANCES:
        differences = [film[distance:] - film[:-distance], film[:, distance:] - film[:, :-distance]]
        sums.append(sum(np.abs(difference).sum() for difference in differences))
        counts.append(sum(difference.size for difference in differences))
    means = np.array(sums) / counts, np.cumsum(sums) / np.cumsum(counts)
    return [np.polyfit(np.log(DISTANCES), np.log(mean), 1)[0] for mean in means]


print("pyfeats", version("pyfeats"))
same = True
films = {"even rise": [np.add.outer(np.arange(64.0), np.arange(64.0))]}
films |= {f"fractal surface, {hurst}": [fractal(64, hurst, seed) for seed in range(3)] for hurst in (0.2, 0.5, 0.8)}
for name, examples in films.items():
    expected, described = np.mean([slopes(film) for film in examples], axis=0)
    seen = np.mean([fdta(film, None, s=1)[0][0] for film in examples])
    print(f"{name}: Hurst coefficient expected {expected:.2f}, seen {seen:.2f}")
    same &= bool(np.isclose(seen, described, atol=1e-6) and 0.5 < seen / expected < 0.7)
    if name == "even rise":
        same &= bool(np.isclose(expected, 1))

for rows, columns, place in [(40, 80, (0, 0)), (40, 80, (30, 20)), (60, 25, (1, 0)), (60, 25, (0, 1))]:
    mask = np.zeros((100, 120))
    mask[place[0] : place[0] + rows, place[1] : place[1] + columns] = 1
    outline = mask - binary_erosion(mask)
    seen = shape_parameters(mask, mask, outline)[0]
    print(f"mask of {rows} x {columns} pixels from {place}: extent seen {seen[0]:.0f} x {seen[1]:.0f}, "
          f"area expected {rows * columns}, seen {seen[2]:.0f}")
    described = [size if start == 0 else 0 for size, start in zip((rows, columns), place, strict=True)]
    same &= bool(np.array_equal(seen[:2], described) and seen[2] == rows * columns and seen[3] == outline.sum())
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore texture.py
