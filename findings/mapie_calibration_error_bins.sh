#!/usr/bin/env bash
# MAPIE 1.6.0: the expected calibration error of a network's probabilities of erosion (expected_calibration_error).
#
# Guess: probabilities are put into num_bins bins of equal width, or of equal numbers of joints with "quantile" and "array
#        split"; and the joints in another order have the same error.
# Seen:  with "array split" the list of joints is cut into groups as it stands, and the largest probability of each group
#        becomes a border between bins. Unless the list is sorted by probability, all borders lie at the upper end, nearly
#        all joints share one bin, and errors of opposite sign cancel: a network that is far too sure both ways has an
#        error of 0.0015 instead of 0.163. The other two make one bin less than they are asked for: 10 are 9, and 2 are
#        one, in which the same network has 0.0015 again. Sort the list before "array split", and ask for one bin more
#        in the other two.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet mapie==1.6.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > bins.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from mapie.metrics.calibration import expected_calibration_error

JOINTS = 3600


def by_definition(eroded, probability, groups):
    """Mean over the joints of the distance between share and mean probability of the group that a joint is in."""
    return sum(len(group) * abs(eroded[group].mean() - probability[group].mean()) for group in groups if len(group)) / JOINTS


def equal_widths(probability, bins):
    return [np.flatnonzero(np.minimum((probability * bins).astype(int), bins - 1) == place) for place in range(bins)]


def equal_numbers(probability, bins):
    return np.array_split(np.argsort(probability), bins)


print("MAPIE", version("mapie"))
draw = np.random.default_rng(0)
probability = draw.random(JOINTS)
eroded = (draw.random(JOINTS) < 0.3 + 0.4 * probability).astype(int)
orders = {"as it stands": np.arange(JOINTS), "in another order": draw.permutation(JOINTS), "sorted": np.argsort(probability)}
same = True
for strategy, groups in (("array split", equal_numbers), ("quantile", equal_numbers), ("uniform", equal_widths)):
    for bins in (2, 10):
        expected = by_definition(eroded, probability, groups(probability, bins))
        one_less = by_definition(eroded, probability, groups(probability, bins - 1))
        for name, order in orders.items():
            value = expected_calibration_error(
                eroded[order], probability[order], num_bins=bins, split_strategy=strategy)
            print(f"{strategy}, num_bins={bins}, list {name}: expected {expected:.4f}, seen {value:.4f}"
                  f" (with {bins - 1} bins {one_less:.4f})")
            if strategy != "array split":
                same &= bool(np.isclose(value, one_less, atol=1e-4) and abs(value - expected) > 0.002)
            elif name == "sorted":
                same &= bool(np.isclose(value, expected, atol=1e-4))
            else:
                same &= bool(expected > 0.16 and value < 0.01)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore bins.py
