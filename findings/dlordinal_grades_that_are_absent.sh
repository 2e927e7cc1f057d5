#!/usr/bin/env bash
# dlordinal 2.7.0: accuracy_off1, amae and mmae of erosion scores among which a grade does not occur.
#
# Erosions of grade 3 or 4 are rare, and a test set of one joint surface often has none.
#
# Guess: a joint of grade 1 that is read as 5 is off by 4, whichever other grades the test set has; the share of readings
#        that are off by at most 1 is that of the absolute differences.
# Seen:  grades are counted among those that occur. If the joints have the grades 0, 1, 2 and 5, a 5 for a 2 is off by 1 and
#        counts as right in accuracy_off1, and joints that were read as 3 or 4 are left out of it. amae and mmae count in
#        the same way where neither joints nor readings have a grade: a network that tells 0 from 5 alone has a fifth of
#        its mean error. One joint more for each absent grade, read correctly, brings all that back: the 1-off accuracy
#        falls although nothing but right readings was added. Pass labels= to accuracy_off1. The other two take no such
#        argument; skordinal, of the same authors, has labels= for all three and is right.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet scikit-learn==1.9.1 numpy==2.4.6 skordinal==0.2.0
# the metrics alone, which do without torch
env/bin/pip install --quiet --no-deps dlordinal==2.7.0
cat > absent.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import skordinal.metrics
from dlordinal.metrics import accuracy_off1, amae, mmae

GRADES = list(range(6))


def by_definition(truth, read):
    off = np.abs(truth - read)
    means = [off[truth == grade].mean() for grade in np.unique(truth)]
    return np.mean(off <= 1), np.mean(means), np.max(means)


print("dlordinal", version("dlordinal"))
draw = np.random.default_rng(3)
four = draw.choice([0, 1, 2, 5], 120, p=[0.4, 0.2, 0.2, 0.2])
two = draw.choice([0, 5], 120)
mixed = draw.random(120) < 0.6
cases = [  # and whether the mean errors are right, which they are as long as every grade is read somewhere
    ("grades 0, 1, 2 and 5, read as 0 to 5", four, np.clip(four + draw.integers(-3, 4, 120), 0, 5), True),
    ("grades 0, 1, 2 and 5, read as these", four, np.where(mixed, draw.permutation(four), four), False),
    ("grades 0 and 5, read as these", two, np.where(mixed, draw.permutation(two), two), False),
]
same = True
for what, truth, read, errors_right in cases:
    for added in ([], sorted(set(GRADES) - set(truth))):
        joints, given = np.append(truth, added).astype(int), np.append(read, added).astype(int)
        expected = by_definition(joints, given)
        seen = accuracy_off1(joints, given), amae(joints, given), mmae(joints, given)
        print(f"{what}{'; and a joint of each other grade' if added else ''}")
        for name, right, value in zip(("1-off accuracy", "mean error by grade", "largest of a grade"), expected, seen):
            print(f"  {name}: expected {right:.3f}, seen {value:.3f}")
        labelled = {"labels": GRADES}
        assert np.isclose(skordinal.metrics.accuracy_off1_score(joints, given, **labelled), expected[0])
        assert np.isclose(skordinal.metrics.average_mean_absolute_error(joints, given, **labelled), expected[1])
        assert np.isclose(accuracy_off1(joints, given, **labelled), expected[0])
        same &= bool(np.isclose(seen[0], expected[0]) if added else seen[0] > expected[0] + 1e-6)
        same &= bool(np.allclose(seen[1:], expected[1:]) == bool(added or errors_right))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore absent.py
