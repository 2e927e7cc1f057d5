#!/usr/bin/env bash
# torchsurv 0.2.0: how sure the concordance of a network's risks of erosion is, and whether its Brier score beats
# chance.
#
# Guess: ConcordanceIndex.confidence_interval(), by Noether's method unless another is asked for, is one of 95 %,
#        and its test has p below 0.05 in 5 % of studies whose risks are drawn at random; BrierScore.p_value() is
#        two-sided unless another is asked for: small for a network that is far better than the value under the
#        null, and for one that is far worse.
# Seen:  the standard error is twice the standard deviation of the concordance: the interval is twice too wide, and
#        random risks almost never have p below 0.05. A network with a concordance of 0.59 is found better than
#        chance in 12 % of studies instead of 73 %, and four times as many patients are needed. Of the pairs of a
#        patient only those are counted in which this patient erodes first; the method counts all, with which the same
#        formula is right. The p value of a Brier score is doubled on the side of 1/2 and not on that of the null: a
#        network whose score is 0.43 where no information gives 0.25 has p = 1, by the normal approximation and by
#        permutation, and only alternative="greater" shows it. Take the bootstrap's interval, and the two one-sided
#        p values of a Brier score.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torchsurv==0.2.0 torch==2.14.1 torchmetrics==1.9.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > risks.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torch
from scipy.stats import norm
from torchsurv.metrics.brier_score import BrierScore
from torchsurv.metrics.cindex import ConcordanceIndex

PATIENTS, STUDIES = 100, 150


def study(draw, effect):
    """Risks, whether an erosion was seen, and time of the erosion or of the last film in years."""
    risks = draw.normal(size=PATIENTS)
    erosion, last = draw.exponential(np.exp(-effect * risks)), draw.exponential(3, PATIENTS)
    return risks, erosion <= last, np.minimum(erosion, last)


def tensors(risks, eroded, times):
    return torch.tensor(risks, dtype=torch.float32), torch.tensor(eroded), torch.tensor(times, dtype=torch.float32)


def by_hand(risks, eroded, times):
    """Concordance, and Noether's standard error from all comparable pairs of each patient."""
    first = eroded[:, None] & (times[:, None] < times)
    right = first & (risks[:, None] > risks)
    wrong = first & (risks[:, None] < risks)
    right, wrong = (pairs.sum(axis=1) + pairs.sum(axis=0) for pairs in (right, wrong))
    n = len(risks)
    c, d = right.sum() / (n * (n - 1)), wrong.sum() / (n * (n - 1))
    triples = n * (n - 1) * (n - 2)
    cc, dd, cd = (right * (right - 1)).sum(), (wrong * (wrong - 1)).sum(), (right * wrong).sum()
    variance = 4 / (c + d) ** 4 * (d**2 * cc - 2 * c * d * cd + c**2 * dd) / triples
    return c / (c + d), np.sqrt(variance / n)


print("torchsurv", version("torchsurv"))
draw = np.random.default_rng(0)
same = True
for effect in (0, 0.35, 1):
    expected, seen, found, seen_found, widths = [], [], [], [], []
    for _ in range(STUDIES):
        data = study(draw, effect)
        concordance, error = by_hand(*data)
        expected.append((concordance, error))
        found.append(2 * norm.sf(abs(concordance - 0.5) / error) < 0.05)
        index = ConcordanceIndex()
        value = float(index(*tensors(*data)))
        lower, upper = index.confidence_interval().tolist()
        same &= abs(value - concordance) < 1e-5
        seen.append(lower <= np.mean(concordance) <= upper)
        widths.append(upper - lower)
        seen_found.append(float(index.p_value()) < 0.05)
    values, errors = np.array(expected).T
    deviation, width = values.std(), np.mean(widths) / (2 * norm.ppf(0.975))
    print(f"mean concordance {values.mean():.3f}, standard deviation {deviation:.4f}; standard error expected "
          f"{errors.mean():.4f}, seen {width:.4f}; studies with p < 0.05: expected {np.mean(found):.0%}, "
          f"seen {np.mean(seen_found):.0%}")
    same &= bool(0.8 < errors.mean() / deviation < 1.25 and 1.6 < width / deviation < 2.4)
    if effect < 1:
        same &= bool(np.mean(seen_found) < 0.25 * np.mean(found))

for seed in (1, 2):
    draw = np.random.default_rng(seed)
    risks = draw.normal(size=400)
    times = draw.exponential(np.exp(-risks))
    free = np.exp(-0.7 * np.exp(risks))
    share = (times > 0.7).mean()
    null = share * (1 - share)
    for name, estimate in {"right risks": free, "no information": np.full(400, share), "reversed": 1 - free}.items():
        score = BrierScore()
        data = torch.tensor(estimate, dtype=torch.float32)[:, None], torch.ones(400, dtype=torch.bool)
        value = float(score(*data, torch.tensor(times, dtype=torch.float32), new_time=torch.tensor([0.7])))
        residuals = np.where(times > 0.7, 1 - estimate, estimate) ** 2
        error = residuals.std(ddof=1) / 20
        same &= bool(abs(value - residuals.mean()) < 1e-5)
        z = (value - null) / error
        p = [float(score.p_value("parametric", which, null_value=null)) for which in ("two_sided", "greater")]
        torch.manual_seed(0)
        p.append(float(score.p_value("bootstrap", "two_sided", n_bootstraps=499)))
        print(f"Brier score of {name}: {value:.3f}, null {null:.3f}, z = {z:.1f}: two-sided p expected "
              f"{2 * norm.sf(abs(z)):.2g}, seen {p[0]:.2g} and {p[2]:.2g} by permutation; greater {p[1]:.2g}")
        if name == "right risks":
            same &= bool(z < -3 and p[0] < 0.01 and p[2] < 0.01)
        if name == "reversed":
            same &= bool(z > 5 and value < 0.5 and p[0] == 1 and p[2] == 1 and p[1] < 1e-6)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore risks.py
