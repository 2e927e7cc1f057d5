#!/usr/bin/env bash
# PyCM 4.6: Krippendorff's alpha with weights, for two readers of ordinal scores.
#
# Guess: weighted_alpha takes the same weights as weighted_kappa, is Krippendorff's alpha of interval data for quadratic
#        weights, and is the property Alpha where any disagreement weighs the same.
# Seen:  only the second holds. With quadratic weights, readers who agree well have an alpha of -1.6 instead of 0.7, and
#        readers who guess one of 2.2, although alpha is at most 1. The expected agreement of the grades i and j is not
#        the product of their shares, but the square of the mean of one reader's share of i and the other's of j. Over
#        all pairs these do not sum to 1; where i and j are the same they are right, and no others count when all
#        disagreements weigh the same. weighted_kappa, with the same weights, is right. Take the package krippendorff.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pycm==4.6 krippendorff==0.9.0 scikit-learn==1.9.1 numpy==2.4.6
cat > alpha.py <<'PYTHON'
import sys

import krippendorff
import numpy as np
import pycm
from pycm import ConfusionMatrix
from sklearn.metrics import cohen_kappa_score

GRADES, JOINTS = range(5), 300


def by_definition(first, second, distance):
    """One minus observed over expected disagreement, from the pairs of values that the joints and all values give."""
    pairs = np.zeros((len(GRADES), len(GRADES)))
    np.add.at(pairs, (np.r_[first, second], np.r_[second, first]), 1)
    share = pairs.sum(1)
    chance = (np.outer(share, share) - np.diag(share)) / (share.sum() - 1)
    return 1 - (pairs * distance).sum() / (chance * distance).sum()


print("PyCM", pycm.__version__)
draw = np.random.default_rng(0)
shares = [0.6, 0.15, 0.1, 0.1, 0.05]
truth = draw.choice(GRADES, JOINTS, p=shares)
readers = {
    "who agree well": [np.where(draw.random(JOINTS) < 0.8, truth, draw.choice(GRADES, JOINTS, p=shares)) for _ in range(2)],
    "who guess": [draw.choice(GRADES, JOINTS, p=shares) for _ in range(2)],
}
difference = np.subtract.outer(GRADES, GRADES)
right, seen = True, {}
for who, (first, second) in readers.items():
    matrix = ConfusionMatrix(actual_vector=first.tolist(), predict_vector=second.tolist())
    for name, level, distance in (("quadratic", "interval", difference**2), ("equal", "nominal", difference != 0)):
        weights = {i: {j: int(distance[i, j]) for j in GRADES} for i in GRADES}
        expected = by_definition(first, second, distance)
        right &= np.isclose(expected, krippendorff.alpha(np.stack([first, second]), level_of_measurement=level))
        kappa = cohen_kappa_score(first, second, weights="quadratic" if name == "quadratic" else None)
        right &= np.isclose(kappa, matrix.weighted_kappa(weight=weights))
        seen[who, name] = matrix.weighted_alpha(weight=weights) - expected
        print(f"readers {who}, {name} weights: alpha expected {expected:.3f}, seen {expected + seen[who, name]:.3f}")
        print(f"  kappa expected {kappa:.3f}, seen {matrix.weighted_kappa(weight=weights):.3f}")
    right &= np.isclose(expected, matrix.Alpha, atol=0.002)
    print(f"readers {who}, the property Alpha: expected {expected:.3f}, seen {matrix.Alpha:.3f}")
right &= max(abs(off) for (_, name), off in seen.items() if name == "equal") < 0.002
same = bool(right) and seen["who agree well", "quadratic"] < -1 and seen["who guess", "quadratic"] > 1
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python alpha.py
