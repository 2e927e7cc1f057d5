#!/usr/bin/env bash
# torchmetrics 1.9.0: KendallRankCorrCoef and SpearmanCorrCoef of many equal scores.
#
# Most joint surfaces of a cohort have the score 0: of the 3,600 of 600 wrists, 2,700 or so.
#
# Guess: the test of Kendall's tau (t_test=True) has SciPy's p, and Spearman's rho of two radiographs, pixel by pixel, is
#        SciPy's, as both are for a few hundred values.
# Seen:  Kendall's correction for ties multiplies two counts that grow with the cube of the number of equal scores. From
#        about 1,450 equal scores of both readers on, the product does not fit 64-bit integers and wraps: tau is right,
#        but z is half as large again, and p 1e-4 instead of 0.008. Spearman's sums of ranks are 32-bit integers: from
#        65,536 equal values on, a corner of 256 x 256 black pixels, they wrap to negative ranks, and rho is wrong itself.
#        Neither warns. Use scipy.stats.kendalltau and spearmanr.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6 scipy==1.17.1
cat > ties.py <<'PYTHON'
import sys

import numpy as np
import torch
import torchmetrics
from scipy.stats import kendalltau, norm, spearmanr
from torchmetrics.regression import KendallRankCorrCoef, SpearmanCorrCoef

print("torchmetrics", torchmetrics.__version__)
draw = np.random.default_rng(1)
same = True
for joints in (400, 1200, 2400, 3600):
    score = draw.choice(6, joints, p=[0.75, 0.1, 0.06, 0.04, 0.03, 0.02])
    reading = np.where(draw.random(joints) < 0.06, score, draw.permutation(score))
    tau, p = kendalltau(score, reading)
    metric = KendallRankCorrCoef(t_test=True, alternative="two-sided")
    seen_tau, seen_p = (float(value) for value in metric(torch.from_numpy(reading), torch.from_numpy(score)))
    z, seen_z = norm.isf(p / 2), norm.isf(seen_p / 2)
    print(f"{joints} joints, {(score == 0).sum()} of them 0: tau expected {tau:.4f}, seen {seen_tau:.4f}; "
          f"p expected {p:.1e}, seen {seen_p:.1e}; z expected {z:.2f}, seen {seen_z:.2f}")
    same &= bool(np.isclose(tau, seen_tau, atol=1e-4))
    same &= bool(np.isclose(z, seen_z, rtol=1e-3)) if joints < 1400 else bool(seen_z > 1.2 * z)
for side in (200, 400, 800):
    y, x = np.mgrid[:side, :side] / side
    bone = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.09
    films = [np.where(bone, 100 + draw.normal(0, 20, bone.shape), 0).round().clip(0).ravel() for _ in range(2)]
    expected = spearmanr(*films).statistic
    seen = float(SpearmanCorrCoef()(*(torch.from_numpy(film).float() for film in films)))
    zeros = (films[0] == 0).sum()
    print(f"two films of {side} x {side} pixels, {zeros} of them black: rho expected {expected:.4f}, seen {seen:.4f}")
    same &= bool(abs(seen - expected) < 1e-4) == (zeros < 65_000)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
OMP_NUM_THREADS=2 env/bin/python -W ignore ties.py
