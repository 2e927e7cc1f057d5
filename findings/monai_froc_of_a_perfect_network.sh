#!/usr/bin/env bash
# MONAI 1.6.1: the FROC score of a network that marks erosions on films (compute_froc_curve_data, compute_froc_score).
#
# Guess: a network that marks every erosion and nothing else has a score of 1, whatever its probabilities are; marks
#        that all have the same probability give the sensitivity of all of them; and a false alarm never raises the
#        score.
# Seen:  the lowest probability of all marks is never used as a threshold, and the marks that have it never count. Of
#        three erosions, all found without a false alarm, two count: 0.67. With one erosion the score is 0, and so it
#        is whenever all marks have the same probability, as those of a network that gives masks do. Fifteen of twenty
#        with the same low probability are lost at once: 0.25. A false alarm on top, if it is the least certain mark,
#        puts all of it right (1.00). Erosions that are missed enter as probability 0 and take the place of the lowest
#        mark, so that only good networks lose: missing a fourth erosion raises 0.67 to 0.75. Nothing warns. Append one
#        false alarm of probability 0 to what compute_fp_tp_probs returns, and the score is right.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile monai==1.6.1 torch==2.14.1 numpy==2.4.6
cat > froc.py <<'PYTHON'
import sys

import monai
import numpy as np
from monai.metrics import compute_fp_tp_probs, compute_froc_curve_data, compute_froc_score

RATES = 0.25, 0.5, 1, 2, 4, 8  # false alarms a film at which MONAI takes the sensitivity
FILMS = 10


def marks(found, missed, alarms):
    """Probabilities of false and true marks on one film with its erosions, 8 pixels apart, as MONAI sorts them."""
    count = len(found) + missed
    erosions = np.zeros((8, 8 * max(count, 1) + 8), int)
    for number in range(count):
        erosions[1:5, 8 * number + 2 : 8 * number + 6] = number + 1
    rows = np.array([3] * len(found) + [7] * len(alarms))
    columns = np.array([8 * number + 4 for number in range(len(found))] + [8 * number for number in range(len(alarms))])
    false, true, total = compute_fp_tp_probs(np.array([*found, *alarms], float), rows, columns, erosions)
    assert total == count and sorted(true[true > 0]) == sorted(found) and list(false) == list(alarms)
    return np.array(false, float), np.array(true, float), total


def by_definition(false, true, total):
    """Mean over RATES of the largest share of erosions found with at most that many false alarms a film."""
    points = [((false >= each).sum() / FILMS, (true >= each).sum() / total) for each in [*false, *true[true > 0]]]
    return np.mean([max([found for rate, found in points if rate <= allowed], default=0) for allowed in RATES])


def by_monai(false, true, total):
    return compute_froc_score(*compute_froc_curve_data(false, true, total, FILMS), eval_thresholds=RATES)


print("MONAI", monai.__version__)
cases = {
    "3 of 3 erosions": ([0.9, 0.8, 0.7], 0, [], 2 / 3),
    "1 of 1 erosion": ([0.9], 0, [], 0),
    "20 of 20, all of probability 1": ([1] * 20, 0, [], 0),
    "20 of 20, 15 of them of 0.5": ([0.9] * 5 + [0.5] * 15, 0, [], 0.25),
    "3 of 3, and a false alarm of 0.1": ([0.9, 0.8, 0.7], 0, [0.1], None),
    "3 of 4": ([0.9, 0.8, 0.7], 1, [], None),
}
same = True
for name, (found, missed, alarms, described) in cases.items():
    sorted_marks = marks(found, missed, alarms)
    expected, seen = by_definition(*sorted_marks), by_monai(*sorted_marks)
    false, true, total = sorted_marks
    remedy = by_monai(np.append(false, 0), true, total)
    print(f"{name:34} expected {expected:.2f}, seen {seen:.2f}, with a false alarm of 0 appended {remedy:.2f}")
    same &= bool(np.isclose(seen, expected if described is None else described) and np.isclose(remedy, expected))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore froc.py
