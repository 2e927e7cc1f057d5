#!/usr/bin/env bash
# torchmetrics 1.9.0: agreement of readers where some joints lack a reading (FleissKappa, fleiss_kappa).
#
# It takes, for each joint, how many readers chose each grade. Readers skip joints, and some joints are read again.
#
# Guess: the agreement of a joint is that of the readings it has, or an error asks for equal numbers. Readers who always
#        agree have a kappa of 1. The rows of the example in the documentation have unequal sums.
# Seen:  every joint is taken to have as many readings as the one with most. Three readers who agree on each joint have
#        0.70 if one of them skipped a fifth of the joints, and 0.92 for 5 %. One joint of 300 that was read a fourth
#        time makes it 0.19. Of other readers, the joints with all readings have 0.79, as they should, and all joints
#        0.56 instead of 0.78. Nothing warns. Leave out joints that lack a reading, or compute the agreement of each
#        joint from its own number.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
cat > readings.py <<'PYTHON'
import sys

import numpy as np
import torch
import torchmetrics
from torchmetrics.functional.nominal import fleiss_kappa
from torchmetrics.nominal import FleissKappa

JOINTS, GRADES, SHARES = 300, 4, [0.7, 0.15, 0.1, 0.05]
draw = np.random.default_rng(0)


def readings(agreement, skipped):
    """Grades by three readers, (JOINTS, 3), -1 where the third skipped a joint; each reader errs on his own."""
    truth = draw.choice(GRADES, JOINTS, p=SHARES)
    guesses = draw.choice(GRADES, (JOINTS, 3), p=SHARES)
    grades = np.where(draw.random((JOINTS, 3)) < agreement, truth[:, None], guesses)
    grades[draw.permutation(JOINTS)[: round(skipped * JOINTS)], 2] = -1
    return grades


def count(grades):
    """How many readers chose each grade: (JOINTS, GRADES)."""
    return np.stack([(grades == grade).sum(axis=1) for grade in range(GRADES)], axis=1)


def expected(counts):
    """Fleiss' kappa, the agreement of each joint from its own number of readings."""
    numbers = counts.sum(axis=1)
    agreed = ((counts * (counts - 1)).sum(axis=1) / (numbers * (numbers - 1))).mean()
    chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return (agreed - chance) / (1 - chance)


def metric(counts):
    instance = FleissKappa(mode="counts")
    for part in np.array_split(counts, 3):
        instance.update(torch.tensor(part))
    return instance.compute().item()


print("torchmetrics", torchmetrics.__version__)
same = True
for agreement in (1, 0.85):
    for skipped in (0, 0.05, 0.1, 0.2):
        counts = count(readings(agreement, skipped))
        complete = counts[counts.sum(axis=1) == 3]
        truth, seen, part = expected(counts), metric(counts), metric(complete)
        print(f"agreement {agreement:.0%}, third reader skipped {skipped:.0%}: kappa expected {truth:.2f}, seen "
              f"{seen:.2f}; of the complete joints expected {expected(complete):.2f}, seen {part:.2f}")
        same &= bool(abs(part - expected(complete)) < 0.001 and abs(truth - part) < 0.03)
        same &= truth - seen > skipped if skipped else abs(truth - seen) < 0.001

counts = count(readings(1, 0))
before = metric(counts)
counts[0, counts[0].argmax()] += 1
after = fleiss_kappa(torch.tensor(counts)).item()
print(f"one joint of {JOINTS} read a fourth time, all agree: expected {expected(counts):.2f}, seen {before:.2f} before "
      f"and {after:.2f} after it")
same &= bool(before > 0.999 and after < 0.5 and expected(counts) > 0.999 and abs(after - metric(counts)) < 1e-6)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore readings.py
