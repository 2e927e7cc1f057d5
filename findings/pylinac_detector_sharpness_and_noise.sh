#!/usr/bin/env bash
# pylinac 3.49.0: sharpness and noise of a flat-panel detector (EdgeSpreadFunctionMTF, noise_power_spectrum_2d, average_power).
#
# Guess: the modulation transfer of an edge with a Gaussian blur is the Gaussian that belongs to it; and average_power, the
#        average value of the noise power spectrum by its description, is the noise's variance times the area of a pixel
#        for white noise.
# Seen:  the edge is differentiated over two pixels, and the factor sin(x) / x by which that lowers the transfer is left in it.
#        From a profile with one value a pixel, a detector with pixels of 0.15 mm resolves 1.6 line pairs a mm (at half the
#        contrast) instead of 2.5, and has half its transfer at 2 line pairs. A blurrier detector loses less, so that two
#        look more alike than they are. Edges sampled eight times as finely are right. The spectrum of the noise is right as
#        well, but average_power of it is 0.51 for white noise of any strength at any pitch: it is the mean
#        place on an axis that ends with 1 at the corner of the spectrum. Average the spectrum itself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pylinac==3.49.0 numpy==2.2.6 scipy==1.17.1
cat > detector.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pylinac.core.mtf import EdgeSpreadFunctionMTF
from pylinac.core.nps import average_power, noise_power_spectrum_1d, noise_power_spectrum_2d
from scipy.special import ndtr

PITCH = 0.15


def line_pairs(blur, transfer):
    """Frequency at which exp(-2 (pi f blur)^2), the transfer of a Gaussian blur in mm, falls to the value given."""
    return np.sqrt(-np.log(transfer) / 2) / (np.pi * blur)


print("pylinac", version("pylinac"))
same = True
for blur in (0.075, 0.12, 0.18):
    for finer in (1, 8):
        place = np.arange(-64 * finer, 64 * finer) * PITCH / finer
        mtf = EdgeSpreadFunctionMTF([1000 * ndtr(place / blur)], sample_spacing=PITCH / finer)
        expected, seen = line_pairs(blur, 0.5), mtf.relative_resolution(50)
        at = np.searchsorted(mtf.freq, 2.0)
        angle = 2 * np.pi * mtf.freq[at] * PITCH / finer
        true = np.exp(-2 * (np.pi * mtf.freq[at] * blur) ** 2)
        print(f"blur of {blur} mm, {finer} values a pixel: half the contrast at {expected:.2f} line pairs a mm expected, "
              f"{seen:.2f} seen; transfer at 2 expected {true:.3f}, seen {mtf.mtf[at]:.3f}, "
              f"expected times the sine {true * np.sin(angle) / angle:.3f}")
        same &= bool(np.isclose(mtf.mtf[at], true * np.sin(angle) / angle, atol=0.03))
        same &= bool(seen < 0.91 * expected) if finer == 1 else bool(seen > 0.98 * expected)
draw = np.random.default_rng(0)
for noise in (1, 10):
    for pitch in (0.1, 0.2):
        spectrum = noise_power_spectrum_2d(pitch, [draw.normal(0, noise, (64, 64)) for _ in range(40)])
        expected, seen = noise**2 * pitch**2, average_power(noise_power_spectrum_1d(spectrum))
        print(f"noise of {noise}, pitch of {pitch} mm: power expected {expected:.2f}, mean of the spectrum "
              f"{spectrum.mean():.2f}, average_power {seen:.2f}")
        same &= bool(np.isclose(spectrum.mean(), expected, rtol=0.05) and abs(seen - 0.51) < 0.02)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore detector.py
