#!/usr/bin/env bash
# autorank 1.3.0: two networks compared on the same radiographs, by medians (Wilcoxon's signed rank test and its intervals).
#
# Guess: the p value is that of the test of no difference, two-sided as the paired t-test that is taken for normal data, and
#        below 0.05 in 5 % of comparisons of networks that are equal; the interval of each median is one of 97.5 %, as the
#        two are adjusted for their number.
# Seen:  the network with the larger median is looked for first, and the test then asks whether that one is better: p is
#        half of the two-sided one or so, and 10 % of comparisons of equal networks have one below 0.05. Neither the result
#        nor the report made of it says so, only the messages of verbose=True do. With normal data p is two-sided. The
#        intervals of medians are 1.4 times too wide, and hold the median in more than 99 % of samples: the root of n / 2
#        stands where the standard deviation of the count below a median belongs, which is half the root of n. Take
#        scipy.stats.wilcoxon, and the order statistics that the binomial distribution gives.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet autorank==1.3.0 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
cat > networks.py <<'PYTHON'
import contextlib
import io
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
from autorank import autorank
from scipy.stats import binom, gamma, ttest_rel, wilcoxon

FILMS, REPEATS = 100, 200


def compare(first, second, mode=None):
    with contextlib.redirect_stdout(io.StringIO()):
        return autorank(pd.DataFrame({"first": first, "second": second}), force_mode=mode)


def exact_ranks(confidence):
    """The order statistics whose interval holds the median with at least that probability."""
    low = int(binom.ppf((1 - confidence) / 2, FILMS, 0.5))
    return low - 1, FILMS - low


print("autorank", version("autorank"))
draw = np.random.default_rng(0)
MEDIAN = 0.96 - 0.02 * gamma(2).median()
one_sided, wrong, wrong_two_sided, held, held_exact, wider = 0, 0, 0, 0, 0, []
for _ in range(REPEATS):
    film = draw.exponential(size=FILMS)
    first, second = (0.96 - 0.02 * (film + draw.exponential(size=FILMS)) for _ in range(2))
    result = compare(first, second)
    assert result.omnibus == "wilcoxon"
    p = wilcoxon(first, second).pvalue
    better = (first, second) if np.median(first) >= np.median(second) else (second, first)
    one_sided += np.isclose(result.pvalue, wilcoxon(*better, alternative="greater").pvalue)
    wrong, wrong_two_sided = wrong + (result.pvalue < 0.05), wrong_two_sided + (p < 0.05)
    row = result.rankdf.loc["first"]
    low, high = np.sort(first)[list(exact_ranks(0.975))]
    held += row.ci_lower <= MEDIAN <= row.ci_upper
    held_exact += low <= MEDIAN <= high
    wider.append((row.ci_upper - row.ci_lower) / (high - low))
parametric = compare(first, second, "parametric").pvalue
print(f"p is that of the one-sided test for the network with the larger median: {one_sided} of {REPEATS}")
print(f"equal networks, p < 0.05: expected {wrong_two_sided / REPEATS:.1%}, seen {wrong / REPEATS:.1%}")
print(f"intervals of 97.5 % that hold the median: by the binomial distribution {held_exact / REPEATS:.1%}, seen "
      f"{held / REPEATS:.1%}; {np.median(wider):.2f} times as wide")
same = one_sided == REPEATS and wrong > 1.3 * wrong_two_sided and 1.25 < np.median(wider) < 1.6 and held > held_exact
same &= bool(np.isclose(parametric, ttest_rel(first, second).pvalue))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore networks.py
