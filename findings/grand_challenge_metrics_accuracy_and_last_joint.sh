#!/usr/bin/env bash
# grand-challenge-metrics 0.6.0 (before: evalutils): the accuracy of each bone, and the interval of an area under the curve.
#
# Guess: accuracies_from_confusion_matrix gives the share of pixels that are rightly within or outside each bone; and the bootstrap
#        interval of the area under the ROC curve is the same whatever the order of the joints.
# Seen:  accuracies are divided without remainder: 0.996 becomes 0, and only a bone that is found to the last pixel has
#        an accuracy, 1. The bootstrap never draws the last joint. Where few joints are eroded it may be one that
#        decides: a missed erosion, one of four, gives an interval from 0.28 to 1 if it is first in the list, and one from 1 to
#        1 if it is last, with an area of 0.80 for both. get_bootstrapped_ci_point_error draws in the same way. Take Dice,
#        which is right, and compute the accuracy from the matrix yourself; put a copy of any joint at the end of the list.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet grand-challenge-metrics==0.6.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
cat > metrics.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from grand_challenge_metrics.roc import get_bootstrapped_roc_ci_curves
from grand_challenge_metrics.stats import (
    accuracies_from_confusion_matrix,
    calculate_confusion_matrix,
    dice_from_confusion_matrix,
)
from sklearn.metrics import roc_auc_score

print("grand-challenge-metrics", version("grand-challenge-metrics"))
rows, columns = np.mgrid[:120, :160]
truth, found = np.zeros((120, 160), int), np.zeros((120, 160), int)
for bone, (row, column) in enumerate([(40, 40), (45, 110), (85, 70)], start=1):
    truth[(rows - row) ** 2 + (columns - column) ** 2 < 18**2] = bone
    found[(rows - row) ** 2 + (columns - column - 1) ** 2 < 18**2] = bone
perfect = found.copy()
perfect[(truth == 3) | (found == 3)] = 0
perfect[truth == 3] = 3
same = True
for name, prediction in {"each bone a pixel too far to the right": found, "the third bone found exactly": perfect}.items():
    matrix = calculate_confusion_matrix(truth, prediction, [0, 1, 2, 3])
    expected = np.array([((truth == label) == (prediction == label)).mean() for label in range(4)])
    seen = accuracies_from_confusion_matrix(matrix)
    print(f"{name}; Dice {dice_from_confusion_matrix(matrix).round(3)}")
    print(f"  accuracies of background and bones: expected {expected.round(3)}, seen {seen}")
    same &= bool(np.array_equal(seen, expected == 1) and expected.min() > 0.97)

draw = np.random.default_rng(5)
eroded = np.r_[np.ones(4), np.zeros(36)].astype(int)
score = np.r_[0.1, 0.8, 0.85, 0.9, draw.uniform(0, 0.7, 36)].round(3)


def own_interval(eroded, score, samples=2000):
    """Percentile interval of the area; samples of one class are drawn again, as they are there."""
    draw, areas = np.random.default_rng(0), []
    while len(areas) < samples:
        chosen = draw.integers(0, len(eroded), len(eroded))
        if 0 < eroded[chosen].sum() < len(eroded):
            areas.append(roc_auc_score(eroded[chosen], score[chosen]))
    return np.percentile(areas, [2.5, 97.5])


print(f"40 joints, one of 4 erosions missed; area under the curve {roc_auc_score(eroded, score):.3f}")
lower = {}
for place, shift in {"first": 0, "last": -1}.items():
    y, p = np.roll(eroded, shift), np.roll(score, shift)
    curves = get_bootstrapped_roc_ci_curves(p, y, num_bootstraps=2000)
    expected, lower[place] = own_interval(y, p), curves.low_az_val
    print(f"  the missed erosion {place} in the list: interval expected {expected.round(2)}, "
          f"seen {np.round([curves.low_az_val, curves.high_az_val], 2)}")
    same &= bool(abs(lower[place] - expected[0]) < 0.05) == (place == "first")
same &= bool(lower["last"] > roc_auc_score(eroded, score))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore metrics.py
