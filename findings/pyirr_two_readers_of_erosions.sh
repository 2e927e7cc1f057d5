#!/usr/bin/env bash
# pyirr 0.84.1.2, the port of R's irr: two readers who score joints as eroded or not, or in a few grades.
#
# Guess: Krippendorff's alpha and the rater bias come from the table of the two readers, whatever its size; the number
#        of joints for a kappa does not depend on which reader is named first; and the interval of the mean of k readers
#        follows from that of one reader by Spearman and Brown's formula, as the coefficient does.
# Seen:  the part of the table above the diagonal is looked for at half the number of grades, which is right for four of
#        them. With two, the joints that both readers call healthy are alpha's disagreements: it is -2.5 instead of 0.65
#        where readers agree on 86 %, and no alpha is below -1. Three grades are as wrong; six, those of erosion, raise
#        an IndexError. The rater bias of two grades counts the agreements on both sides, so that none is found (p =
#        0.12) where one reader is the higher in 39 of 41 disagreements; that of six leaves out readings one grade
#        apart, as most disagreements are. For rates of 0.2 and 0.3 and kappas of 0.6 and 0.4 it asks for 155 joints in
#        one order of the readers and 144 in the other, where 147 are right. The interval of ICC(A,k) leaves out the
#        differences between readers: of 95 % in name, it holds the true value in half of the studies where they differ,
#        while that of ICC(A,1) holds it in most. Take the package krippendorff and McNemar's test, and transform the
#        interval of ICC(A,1).
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pyirr==0.84.1.2 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 statsmodels==0.15.0
cat > readers.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import pyirr
from scipy.stats import norm

print("pyirr", version("pyirr"))
draw = np.random.default_rng(0)


def alpha(ratings):
    """Krippendorff's alpha of nominal ratings without gaps, from the pairs of ratings."""
    values, readers = ratings.ravel(), ratings.shape[1]
    observed = (ratings[:, :, None] != ratings[:, None]).sum() / (len(values) * (readers - 1))
    expected = (values[:, None] != values).sum() / (len(values) * (len(values) - 1))
    return 1 - observed / expected


def bias(ratings):
    """Share of disagreements in which the second reader is higher, and McNemar's statistic."""
    higher, lower = (ratings[:, 0] < ratings[:, 1]).sum(), (ratings[:, 0] > ratings[:, 1]).sum()
    return higher / (higher + lower), (higher - lower) ** 2 / (higher + lower)


def joints(rates, kappa, other, power=0.8, level=0.05):
    """Number of joints for a one-sided test of a kappa of two readers (variance by Fleiss, Cohen and Everitt)."""
    first, second = (np.array([rate, 1 - rate]) for rate in rates)
    chance = first @ second

    def deviation(kappa):
        agreed = kappa * (1 - chance) + chance
        both = (agreed + first[0] - second[1]) / 2
        table = np.array([[both, first[0] - both], [second[0] - both, agreed - both]])
        sums = np.add.outer(first, second)
        unlike = (1 - agreed) ** 2 * sum(table[i, 1 - i] * sums[1 - i, i] ** 2 for i in range(2))
        alike = sum(table[i, i] * (1 - chance - sums[i, i] * (1 - agreed)) ** 2 for i in range(2))
        return np.sqrt(alike + unlike - (agreed * chance - 2 * chance + agreed) ** 2) / (1 - chance) ** 2

    z = norm.ppf(1 - level) * deviation(other) + norm.ppf(power) * deviation(kappa)
    return int(np.ceil((z / (kappa - other)) ** 2))


same = True
for grades, weights in {2: [0.85, 0.15], 3: [0.7, 0.2, 0.1], 4: [0.25] * 4, 6: [1 / 6] * 6}.items():
    truth = draw.choice(grades, 300, p=weights)
    second = np.clip(truth + draw.choice(3, 300, p=[0.83, 0.15, 0.02]), 0, grades - 1)
    second = np.clip(second - draw.choice(3, 300, p=[0.97, 0.02, 0.01]), 0, grades - 1)
    ratings = np.stack([truth, second], axis=1).astype(float)
    expected = alpha(ratings), *bias(ratings)
    try:
        found = pyirr.kripp_alpha(ratings).value
    except IndexError:
        found = np.nan
    result = pyirr.rater_bias(ratings)
    agreed = (truth == second).mean()
    print(f"{grades} grades, {agreed:.0%} the same: alpha expected {expected[0]:.3f}, seen {found:.3f}; rater bias "
          f"expected {expected[1]:.3f}, chi square {expected[2]:.1f}, seen {result.value:.3f}, {result.statistic:.1f}")
    right = bool(np.isclose(found, expected[0]) and np.isclose(result.statistic, expected[2]))
    same &= right == (grades == 4) and np.isnan(found) == (grades == 6)
    if grades == 2:
        healthy = (ratings == 0).sum()
        both = 2 * (ratings == 0).all(axis=1).sum()
        same &= bool(np.isclose(found, 1 - 599 * both / (healthy * (600 - healthy))) and found < -1)
        higher, lower = (truth <= second).sum(), (truth >= second).sum()
        same &= bool(np.isclose(result.statistic, (higher - lower) ** 2 / (higher + lower)) and result.pvalue > 0.05)
    if grades == 6:
        higher, lower = (second - truth >= 2).sum(), (truth - second >= 2).sum()
        same &= bool(np.isclose(result.statistic, (higher - lower) ** 2 / (higher + lower)))

seen = pyirr.N_cohen_kappa(0.2, 0.3, 0.6, 0.4), pyirr.N_cohen_kappa(0.3, 0.2, 0.6, 0.4)
right = pyirr.N_cohen_kappa(0.2, 0.2, 0.6, 0.4) == joints((0.2, 0.2), 0.6, 0.4)
print(f"joints for rates of 0.2 and 0.3: expected {joints((0.2, 0.3), 0.6, 0.4)}, seen {seen}; equal rates: {right}")
same &= bool(right and joints((0.2, 0.3), 0.6, 0.4) == joints((0.3, 0.2), 0.6, 0.4) and seen == (155, 144))

wrists, readers, patient, reader, error = 30, 3, 8.0, 4.0, 2.0
one = patient**2 / (patient**2 + reader**2 + error**2)
truths = {"single": one, "average": readers * one / (1 + (readers - 1) * one)}
held = dict.fromkeys(truths, 0)
for _ in range(600):
    scores = draw.normal(0, patient, (wrists, 1)) + draw.normal(0, reader, readers)
    scores += draw.normal(0, error, scores.shape)
    for unit, truth in truths.items():
        found = pyirr.intraclass_correlation(scores, "twoway", "agreement", unit)
        held[unit] += found.lower_bound <= truth <= found.upper_bound
print("intervals of 95 % that hold the true value: " + ", ".join(f"{unit} {n / 600:.0%}" for unit, n in held.items()))
same &= bool(held["single"] > 0.8 * 600 and held["average"] < 0.6 * 600)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore readers.py
