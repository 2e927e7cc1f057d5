#!/usr/bin/env bash
# methcomp 1.0.0: Deming, Passing-Bablok and linear regression of one reader's joint space widths on another's.
#
# Guess: the slopes are those of the papers named in the descriptions, with intervals of 95 %: about 1 for two readers who agree
#        but for noise, about 1.5 where one measures half as much again, and any for readers who have nothing in common.
# Seen:  none of the three. Deming's formula has the second reader's variance where the covariance belongs, so that the slope
#        is a function of the two variances: readers with nothing in common have a slope of 1, and so have readers who
#        contradict each other. Passing and Bablok's slope is right for 40 or 41 joints; for 42 or 43, where the number of
#        pairs is odd, it is one of the smallest slopes of all instead of their median, and negative. The
#        linear regression is that of the first reader on the second, and the line drawn is the lower end of its
#        interval of 5 %. Take the first principal axis for Deming's line with equal errors, and compute the others yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet methcomp==1.0.0 matplotlib==3.10.8 numpy==1.26.4 pandas==2.3.3 scipy==1.12.0 statsmodels==0.15.0
cat > slopes.py <<'PYTHON'
import sys
from importlib.metadata import version

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from methcomp import deming, linear, passingbablok
from statsmodels.api import OLS, add_constant


def slope(line):
    x, y = line.get_data()
    return (y[1] - y[0]) / (x[1] - x[0])


def drawn(method, first, second, **settings):
    """Slope of the line that the public function draws, and those of its interval where it draws them."""
    figure, axes = plt.subplots()
    method(first, second, ax=axes, line_reference=False, **settings)
    slopes = [slope(line) for line in axes.lines]
    plt.close(figure)
    return slopes


def demings(first, second):
    """For readers of equal precision: the first principal axis of the points."""
    x, y = np.linalg.svd(np.c_[first - first.mean(), second - second.mean()])[2][0]
    return y / x


def passing_and_bablok(first, second):
    """Median of the slopes of all pairs, shifted by the number of those below -1 (Passing and Bablok 1983)."""
    i, j = np.triu_indices(len(first), 1)
    slopes = np.sort((second[j] - second[i]) / (first[j] - first[i]))
    shift = (slopes < -1).sum()
    middle = slopes.size // 2
    return slopes[middle + shift] if slopes.size % 2 else (slopes[middle - 1 + shift] + slopes[middle + shift]) / 2


print("methcomp", version("methcomp"))
draw = np.random.default_rng(3)
width = draw.normal(1.6, 0.3, 60)
first = width + draw.normal(0, 0.05, 60)
pairs = {
    "agree": width + draw.normal(0, 0.05, 60),
    "half as much again": 1.5 * width + draw.normal(0, 0.05, 60),
    "nothing in common": draw.permutation(width) + draw.normal(0, 0.05, 60),
    "contradict": 3.2 - width + draw.normal(0, 0.05, 60),
}
same, seen = True, {}
for name, second in pairs.items():
    expected, seen[name] = demings(first, second), drawn(deming, first, second, bootstrap=None)[0]
    print(f"Deming, readers {name}: slope expected {expected:.2f}, seen {seen[name]:.2f}")
    ratio = second.var() / first.var()
    of_variances = (ratio - 1 + np.sqrt((ratio - 1) ** 2 + 4 * ratio**2)) / (2 * ratio)
    same &= bool(np.isclose(seen[name], of_variances))
same &= all(0.8 < seen[name] < 1.2 for name in ("agree", "nothing in common", "contradict"))
for joints in (40, 41, 42, 43):
    expected = passing_and_bablok(first[:joints], pairs["agree"][:joints])
    found = drawn(passingbablok, first[:joints], pairs["agree"][:joints])[0]
    print(f"Passing-Bablok, {joints} joints, readers agree: slope expected {expected:.2f}, seen {found:.2f}")
    same &= bool(abs(found - expected) < 0.1) if joints < 42 else bool(found < 0)
again = pairs["half as much again"]
expected = np.polyfit(first, again, 1)[0]
found = drawn(linear, first, again, line_CI=True)
exchanged = OLS(first, add_constant(again)).fit()
narrow = exchanged.conf_int(0.95)[1]
print(f"linear, readers half as much again: slope expected {expected:.2f}, seen {found[0]:.3f} (first reader on second: "
      f"{exchanged.params[1]:.3f}, interval of 95 % {exchanged.conf_int()[1].round(3)}, of 5 % {narrow.round(3)})")
same &= bool(np.allclose(found, [narrow[0], exchanged.params[1], narrow[1]]) and abs(expected - 1.5) < 0.1)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore slopes.py
