#!/usr/bin/env bash
# NLTK 3.10.4: AnnotationTask.weighted_kappa of two readers, with the largest distance of two grades.
#
# Guess: max_distance scales the distances to 0 to 1, for observed and expected disagreement alike, as it does in Do_Kw.
#        Kappa is the ratio of the two, so it is the same for any max_distance, and that of scikit-learn.
# Seen:  only the expected disagreement is divided. The ratio grows by max_distance, and readers whose quadratic kappa
#        is 0.94 have one of -0.47 when the largest distance of the grades 0 to 5, which is 25, is stated. The value that
#        is used when it is left out (1) is right, and so are distances that are divided before they are handed over. The
#        shorter the scale, the less it shows: with three grades and linear weights 0.75 becomes 0.51.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet nltk==3.10.4 scikit-learn==1.9.1 numpy==2.4.6
cat > kappa.py <<'PYTHON'
import sys

import nltk
import numpy as np
from nltk.metrics.agreement import AnnotationTask
from sklearn.metrics import cohen_kappa_score

POWERS = {"linear": 1, "quadratic": 2}


def kappa_by_formula(first, second, power):
    observed = np.mean(np.abs(first - second) ** power)
    return 1 - observed / np.mean(np.abs(first[:, None] - second) ** power)


print("nltk", nltk.__version__)
draw = np.random.default_rng(5)
same = True
for grades in (3, 4, 6):
    first = draw.integers(0, grades, 200)
    second = np.clip(first + draw.choice([-1, 0, 0, 0, 1], 200), 0, grades - 1)
    data = [(reader, joint, int(grade)) for reader, scores in (("A", first), ("B", second))
            for joint, grade in enumerate(scores)]
    for weights, power in POWERS.items():
        largest = float((grades - 1) ** power)
        task = AnnotationTask(data, distance=lambda one, other: float(abs(one - other) ** power))
        scaled = AnnotationTask(data, distance=lambda one, other: abs(one - other) ** power / largest)
        expected = cohen_kappa_score(first, second, weights=weights)
        seen = task.weighted_kappa(max_distance=largest)
        print(f"grades 0 to {grades - 1}, {weights} weights: expected {expected:.3f}, seen {seen:.3f}")
        assert np.isclose(expected, kappa_by_formula(first, second, power))
        assert np.isclose(task.Do_Kw(largest), scaled.Do_Kw()), "the observed disagreement is scaled"
        same &= bool(np.isclose(task.weighted_kappa(), expected) and np.isclose(scaled.weighted_kappa(), expected))
        same &= bool(np.isclose(seen, 1 - largest * (1 - expected)))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python kappa.py
