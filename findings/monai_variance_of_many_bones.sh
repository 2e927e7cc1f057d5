#!/usr/bin/env bash
# MONAI 1.6.1: how far the repeated predictions of a network disagree (VarianceMetric, compute_variance).
#
# Repeats come from dropout, augmentation or an ensemble, and films with the largest variance are annotated next.
#
# Guess: the variance is that of the repeats, in each pixel and channel, averaged over both. Repeats that are equal have
#        none, and the map of variances shows where repeats differ. The predictions themselves are left as they are.
# Seen:  repeats and channels are one list, over which the variance is computed. Ten equal predictions of 14 bones have
#        a variance, and the map is a picture of all bones, bright inside and dark outside, whether or not repeats
#        differ. Of two films, the one with the larger area of bone, predicted equally ten times, ranks before one whose
#        repeats differ by half of the range. One channel alone is right. Besides, values of zero or less are replaced
#        by 0.0005 in the caller's own tensor: most logits of a film, the background, become a probability of 0.50, and
#        logits that differ between repeats are made equal. Take torch.var(dim=0) of the repeats.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile monai==1.6.1 torch==2.14.1 numpy==2.4.6
cat > variance.py <<'PYTHON'
import sys

import monai
import torch
from monai.metrics import VarianceMetric

BONES, REPEATS, SIZE = 14, 10, 120


def film(width):
    """Probabilities of bones, each a bar of 100 pixels of length, beside one another."""
    probabilities = torch.full((BONES, SIZE, SIZE), 0.02)
    for bone in range(BONES):
        probabilities[bone, 10:110, 4 + 8 * bone : 4 + 8 * bone + width] = 0.98
    return probabilities


def metric(repeats, **options):
    return VarianceMetric(scalar_reduction="mean", **options)(repeats.clone())


def expected(repeats):
    return repeats.var(dim=0, unbiased=False)


print("MONAI", monai.__version__)
same = True
sure = film(8).expand(REPEATS, -1, -1, -1).clone()
unsure = film(2).expand(REPEATS, -1, -1, -1).clone()
doubtful = unsure > 0.5
doubtful[::2] = False
unsure[doubtful] = 0.48  # every other repeat doubts all bones
for name, repeats in (("wide bones, equal repeats", sure), ("narrow bones, repeats 0.98 and 0.48", unsure)):
    print(f"{name}: variance expected {expected(repeats).mean():.5f}, seen {metric(repeats):.5f}; of the first bone "
          f"alone {metric(repeats[:, :1]):.5f}, expected {expected(repeats[:, :1]).mean():.5f}")
    same &= bool(torch.isclose(metric(repeats[:, :1]), expected(repeats[:, :1]).mean(), atol=1e-7))
same &= bool(expected(sure).mean() == 0 and metric(sure) > 0.01)
same &= bool(metric(sure) > 2 * metric(unsure) and expected(unsure).mean() > 0.0005)

picture = metric(sure, spatial_map=True)
bone = (film(8) > 0.5).any(dim=0)
print(f"map of equal repeats: expected 0 everywhere, seen {picture[bone].mean():.4f} within bones and "
      f"{picture[~bone].mean():.4f} outside")
same &= bool(picture[bone].min() > 0.05 and picture[~bone].max() < 1e-6)

logits = torch.logit(sure)
before = logits.clone()
VarianceMetric()(logits)
changed = logits != before
print(f"the caller's logits: expected 0 % changed, seen {changed.float().mean():.0%}; background {before.min():.2f} "
      f"becomes {logits.min():.4f}, a probability of {torch.sigmoid(logits.min()):.2f}")
same &= bool(torch.equal(changed, before <= 0) and changed.float().mean() > 0.9)
same &= bool(torch.isclose(logits.min(), torch.tensor(0.0005)))
background = torch.linspace(-8, -1, REPEATS).view(-1, 1, 1, 1).expand(-1, 1, 5, 5).clone()
print(f"one channel of logits from -8 to -1: variance expected {expected(background).mean():.2f}, seen "
      f"{metric(background):.2f}")
same &= bool(metric(background) == 0 and expected(background).mean() > 4)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore variance.py
