#!/usr/bin/env bash
# pyefd 1.8.0: elliptic Fourier descriptors of bones, normalised (elliptic_fourier_descriptors with normalize=True).
#
# Guess: as the readme says, normalised descriptors begin with 1, 0, 0, so that these three can be left out; the next
#        is the ratio of the axes of the first ellipse. One bone has the same descriptors whichever way it lies and
#        wherever its outline begins, or two kinds that differ in the even harmonics, since the first ellipse has two
#        ends.
# Seen:  they begin with 1 or with -1, in equal parts: which of them depends on the direction of the bone and on the
#        point at which its outline begins. The odd harmonics change their sign with it, the ratio of the axes (0.42 or
#        -0.42) among them. By the readme's features, which leave out the first three numbers, a bone is 20 times
#        further from itself turned by 180 degrees than from one that is 10 % wider; the scale of return_transformation
#        is negative; and the mean shape of 60 bones, which is the outline of their mean descriptors, shrinks to a
#        tenth of their length. The rotation is looked for in half a turn, which is too little; 1.6.0, which takes a
#        whole one, begins with 1 throughout. Divide all descriptors of a bone by the first number.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pyefd==1.8.0 numpy==2.2.6
cat > descriptors.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pyefd import elliptic_fourier_descriptors, reconstruct_contour

ORDER = 8


def outline(width=50, degrees=30, start=0):
    """Closed outline of a bone about 120 pixels long."""
    t = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radius = 1 + 0.15 * np.cos(3 * t + 0.4) + 0.1 * np.cos(2 * t)
    points = np.stack([60 * radius * np.cos(t), width / 2 * radius * np.sin(t)], axis=1)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    points = np.roll(points @ np.array([[cosine, sine], [-sine, cosine]]), start, axis=0)
    return np.vstack([points, points[:1]])


def described(**bone):
    return elliptic_fourier_descriptors(outline(**bone), order=ORDER, normalize=True)


def mended(descriptors):
    return descriptors / descriptors[0, 0]


def length(descriptors):
    return np.ptp(reconstruct_contour(descriptors, num_points=300)[:, 0])


print("pyefd", version("pyefd"))
same = True
sets = {"300 points at which its outline begins": [described(start=start) for start in range(300)],
        "72 directions": [described(degrees=degrees) for degrees in range(0, 360, 5)]}
for name, descriptors in sets.items():
    first = np.array([d[0, 0] for d in descriptors])
    ratio = np.array([d[0, 3] for d in descriptors])
    right = np.array([mended(d) for d in descriptors])
    right = right[:, ::2]  # the odd harmonics; the sign of the even ones depends on the end of the ellipse
    print(f"one bone, {name}: first number expected 1, seen 1 in {np.mean(first > 0):.0%} and -1 in "
          f"{np.mean(first < 0):.0%}; ratio of axes {ratio.min():.3f} and {ratio.max():.3f}; divided by the first "
          f"number, the odd harmonics differ by {np.ptp(right, axis=0).max():.0e}")
    same &= bool(np.allclose(np.abs(first), 1) and 0.4 < np.mean(first < 0) < 0.6)
    same &= bool(np.allclose(ratio * first, ratio[0] * first[0]) and np.ptp(right, axis=0).max() < 1e-6)

one = described()
features = [described(degrees=210), described(width=55)]
itself, wider = (np.linalg.norm((one - other).ravel()[3:]) for other in features)
print(f"distance of a bone's features from those of the bone turned by 180 degrees: expected 0, seen {itself:.2f}; "
      f"from those of a bone 10 % wider: {wider:.2f}")
turned = outline(degrees=210)
_, (scale, *_) = elliptic_fourier_descriptors(turned, order=ORDER, normalize=True, return_transformation=True)
print(f"scale of the turned bone: expected above 0, seen {scale:.1f}")

generator = np.random.default_rng(0)
bones = [described(width=generator.normal(50, 2), degrees=generator.uniform(0, 360), start=generator.integers(300))
         for _ in range(60)]
expected, seen = length(np.mean([mended(bone) for bone in bones], axis=0)), length(np.mean(bones, axis=0))
each = np.mean([length(bone) for bone in bones])
print(f"length of 60 bones {each:.2f}; of their mean shape, divided by the first number {expected:.2f}, "
      f"seen {seen:.2f}")
same &= bool(itself > 20 * wider and scale < 0 and abs(expected - each) < 0.1 and seen < each / 5)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python descriptors.py
