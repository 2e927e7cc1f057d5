#!/usr/bin/env bash
# ktch 0.11.1: the shape of bones by elliptic Fourier analysis (EllipticFourierAnalysis) and a principal component
# analysis, as in the package's quick start.
#
# Guess: the coefficients are registered by default, that is, free of the place, the size and the direction of the bone
#        on its film, as the inverse transform takes them to be: one outline that lies elsewhere, or is turned, has the
#        same coefficients, and the principal components of many bones tell how their shapes differ.
# Seen:  all coefficients are registered but the two constant ones, a_0 and c_0, twice the mean place of the bone in
#        pixels of the film. They stand among numbers that are mostly below one. The first two components of 60 bones
#        hold more than 99.9 % of the variance and give, with a correlation of 1, where each bone lies on its film;
#        wide and narrow bones, eight standard deviations apart without the two constants, are mixed. The inverse
#        transform drops the two, so that a drawing of the mean shape looks right. Leave out the columns 0 and 2 x
#        (n_harmonics + 1), or ask for registration="moment", which sets them to 0.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet ktch==0.11.1 scikit-learn==1.9.1 numpy==2.2.6 scipy==1.17.1 pandas==3.1.1
cat > shapes.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from ktch.harmonic import EllipticFourierAnalysis
from sklearn.decomposition import PCA

HARMONICS = 8
CONSTANT = [0, 2 * (HARMONICS + 1)]


def outline(width, place=(0, 0), degrees=30, scale=1):
    """Points of a bone 120 pixels long, in pixels of a film."""
    t = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radius = 1 + 0.15 * np.cos(3 * t + 0.4) + 0.1 * np.cos(2 * t)
    points = np.stack([60 * radius * np.cos(t), width / 2 * radius * np.sin(t)], axis=1)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * points @ np.array([[cosine, sine], [-sine, cosine]]) + place


def separation(scores, wide):
    """Distance of the two groups' means in standard deviations, along the first component."""
    one, other = scores[wide, 0], scores[~wide, 0]
    return abs(one.mean() - other.mean()) / np.sqrt((one.var() + other.var()) / 2)


print("ktch", version("ktch"))
analysis = EllipticFourierAnalysis(n_harmonics=HARMONICS)
variants = {"moved by 50 pixels": {"place": (50, 0)}, "twice as large": {"scale": 2},
            "turned by 45 degrees": {"degrees": 75}}
changed = [outline(50, **change) for change in variants.values()]
coefficients = np.asarray(analysis.fit_transform([outline(50), *changed]))
same = True
for name, change in zip(variants, np.abs(coefficients - coefficients[0])[1:], strict=True):
    others = np.delete(change, CONSTANT)
    print(f"the same bone, {name}: coefficients expected to change by 0, seen {change.max():.2f}, but for the constant "
          f"ones {others.max():.2f}")
    same &= bool(change.max() > 5 and others.max() < 1e-6)

generator = np.random.default_rng(0)
wide = np.arange(60) % 2 == 0
places = generator.uniform(100, 400, (60, 2))
bones = [outline(generator.normal(56 if w else 48, 1), place, generator.uniform(20, 40))
         for w, place in zip(wide, places, strict=True)]
coefficients = np.asarray(analysis.fit_transform(bones))
model = PCA(n_components=5)
scores = model.fit_transform(coefficients)
without = PCA(n_components=5).fit_transform(np.delete(coefficients, CONSTANT, axis=1))
moments = EllipticFourierAnalysis(n_harmonics=HARMONICS, registration="moment").fit_transform(bones)
moments = PCA(n_components=5).fit_transform(np.asarray(moments))
share = model.explained_variance_ratio_[:2].sum()
design = np.column_stack([scores[:, :2], np.ones(len(scores))])
rest = places - design @ np.linalg.lstsq(design, places, rcond=None)[0]
correlation = np.sqrt(1 - rest.var(axis=0) / places.var(axis=0))
print(f"60 bones anywhere on their films: the first two components hold {share:.2%} of the variance, and have a "
      f"correlation of {correlation.min():.4f} with the place")
print("distance of wide and narrow bones along the first component, in standard deviations:")
print(f"  expected, without the constant ones: {separation(without, wide):.1f}")
print(f"  with registration='moment':          {separation(moments, wide):.1f}")
print(f"  seen:                                {separation(scores, wide):.1f}")
same &= bool(share > 0.999 and correlation.min() > 0.999)
same &= bool(separation(without, wide) > 4 and separation(moments, wide) > 4 and separation(scores, wide) < 1)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore shapes.py
