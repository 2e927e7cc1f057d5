#!/usr/bin/env bash
# pauc 0.2.2: how sure the area under a part of the ROC curve is (ci_auc), and whether two networks differ in it
# (compare).
#
# Guess: both are about the area of the ROC object that they are given, as the readme says of partial areas: the two
#        methods for the interval agree roughly, and where DeLong's variance, that of the whole area, does not apply,
#        it is refused.
# Seen:  "delong", which is used unless another is asked for, takes the partial area and the standard error of the
#        whole one. For specificities above 0.9 the interval is nearly three times too wide and begins below 0, and of
#        two networks of which the better one should be found in nearly all studies, it is found in 1 %. "bootstrap"
#        keeps the range but neither the focus nor the standardisation: the interval of a standardised area of 0.735 is
#        0.037 to 0.064, and that of an area at high sensitivities is the one at high specificities; neither contains
#        its estimate. Whole areas are right. Take percentiles of ROC objects that are built with all options from
#        resampled joints.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pauc==0.2.2 numpy==2.4.6 scipy==1.17.1
cat > areas.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pauc import ROC, ci_auc, compare

STUDIES = 300
SPECIFIC = {"partial_auc": (0.9, 1)}
LABELS = np.repeat([1, 0], [60, 300])
np.random.seed(0)  # ci_auc draws from NumPy's global generator
generator = np.random.default_rng(0)


def network(eroded):
    """Scores of 60 eroded and 300 sound joints, the eroded ones more variable."""
    return np.where(LABELS, generator.normal(eroded, 1.6, LABELS.size), generator.normal(0, 1, LABELS.size))


def resampled(scores, options):
    """Percentiles of the same area of resampled joints."""
    areas = []
    for _ in range(1000):
        chosen = np.concatenate([generator.choice(np.flatnonzero(LABELS == label), (LABELS == label).sum())
                                 for label in (1, 0)])
        areas.append(ROC(LABELS[chosen], scores[chosen], **options).auc)
    return np.percentile(areas, [2.5, 97.5])


def shown(interval):
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


print("pauc", version("pauc"))
same = True
scores = network(1.5)
sensitive = {"partial_auc": (0.9, 1), "partial_auc_focus": "sensitivity"}
kinds = {"the whole area": {}, "specificity above 0.9": SPECIFIC,
         "the same, standardised": {**SPECIFIC, "standardize_pauc": True}, "sensitivity above 0.9": sensitive}
for name, options in kinds.items():
    curve = ROC(LABELS, scores, **options)
    expected = resampled(scores, options)
    delong, bootstrap = ci_auc(curve), ci_auc(curve, method="bootstrap", n_boot=1000)
    print(f"{name}: area {curve.auc:.3f}, interval expected {shown(expected)}, seen {shown(delong)} (delong), "
          f"{shown(bootstrap)} (bootstrap)")
    if not options:
        same &= bool(np.allclose(delong, expected, atol=0.01) and np.allclose(bootstrap, expected, atol=0.01))
    elif name == "specificity above 0.9":
        same &= bool(np.diff(delong)[0] > 2.5 * np.diff(expected)[0] and np.allclose(bootstrap, expected, atol=0.005))
    else:
        same &= bool(not bootstrap[0] < curve.auc < bootstrap[1])

areas, widths, found, differences = [], [], [], []
for _ in range(STUDIES):
    common = generator.normal(0, 0.8, LABELS.size)
    good, poor = (np.where(LABELS, shift, 0) + common + generator.normal(0, 0.6, LABELS.size) for shift in (1.9, 1.2))
    curves = [ROC(LABELS, scores, **SPECIFIC) for scores in (good, poor)]
    areas.append(curves[0].auc)
    widths.append(np.diff(ci_auc(curves[0]))[0])
    found.append([compare(*curves).p_value < 0.05, compare(ROC(LABELS, good), ROC(LABELS, poor)).p_value < 0.05])
    differences.append(curves[0].auc - curves[1].auc)
expected = 2 * 1.96 * np.std(areas)
print(f"specificity above 0.9, {STUDIES} studies: width of the interval expected {expected:.3f}, "
      f"seen {np.mean(widths):.3f}")
ratio = np.mean(differences) / np.std(differences)
found = np.mean(found, axis=0)
print(f"a better and a poorer network, {STUDIES} studies: the difference is {ratio:.1f} of its standard deviations "
      f"between studies; p below 0.05 in {found[0]:.0%}; with the whole area in {found[1]:.0%}")
same &= bool(np.mean(widths) > 2.5 * expected and ratio > 3 and found[0] < 0.1 and found[1] > 0.9)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python areas.py
