#!/usr/bin/env bash
# kaplanmeier 0.2.0: the band around the curves of joints free of erosion (plot, cii_alpha=0.05).
#
# Guess: the shaded band is the confidence interval of 95 %, the complement of cii_alpha, as it is with alpha=0.05 in
#        lifelines, by which the package computes it; a smaller cii_alpha makes it wider.
# Seen:  the complement is taken twice. lifelines is given 1 - 0.05 and draws the interval of 5 %, a thirtieth of the
#        width of that of 95 %: in 40 groups of joints from one population, the band holds the true share of joints
#        free of erosion in few, and two groups that differ by chance look clearly apart. A smaller cii_alpha makes the
#        band narrower. Curves and the p value in the title are right. Give cii_alpha=0.95 for a band of 95 %.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1 MPLBACKEND=Agg
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet kaplanmeier==0.2.0 lifelines==0.30.3 matplotlib==3.11.2 numpy==2.4.6 pandas==2.3.3 \
	scipy==1.17.1
cat > bands.py <<'PYTHON'
import sys
from importlib.metadata import version

import kaplanmeier
import numpy as np
from lifelines import KaplanMeierFitter
from matplotlib.collections import PolyCollection

GROUPS, JOINTS, YEAR = 40, 80, 4.0
SHARES = np.linspace(0, 1, 2001)


def drawn(results, **options):
    """Shaded bands of the plot, as paths."""
    _, axes = kaplanmeier.plot(results, visible=False, **options)
    return [band.get_paths()[0] for band in axes.collections if isinstance(band, PolyCollection)]


def width(band):
    inside = band.contains_points(np.stack([np.full_like(SHARES, YEAR), SHARES], axis=1))
    return np.ptp(SHARES[inside])


print("kaplanmeier", version("kaplanmeier"), "lifelines", version("lifelines"))
generator = np.random.default_rng(0)
onset = generator.exponential(5, GROUPS * JOINTS)
years, eroded, group = np.minimum(onset, 8), (onset < 8).astype(int), np.repeat(np.arange(GROUPS), JOINTS)
truth = np.exp(-YEAR / 5)

intervals = []
for number in range(GROUPS):
    fitted = KaplanMeierFitter().fit(years[group == number], eroded[group == number], alpha=0.05)
    intervals.append(fitted.confidence_interval_.loc[:YEAR].iloc[-1].to_numpy())
intervals = np.array(intervals)
results = kaplanmeier.fit(years, eroded, group)
covered = ((intervals[:, 0] < truth) & (truth < intervals[:, 1])).mean()
expected = np.diff(intervals).mean()
print(f"{GROUPS} groups of {JOINTS} joints, of which {truth:.1%} are free of erosion at year {YEAR:.0f} in truth")
print(f"  expected, intervals of 95 % by lifelines:  width {expected:.3f}, {covered:.0%} hold the truth")
widths = {}
for name, options in {"": {}, ", cii_alpha=0.01": {"cii_alpha": 0.01}, ", cii_alpha=0.95": {"cii_alpha": 0.95}}.items():
    paths = drawn(results, **options)
    assert len(paths) == GROUPS
    widths[name] = np.mean([width(path) for path in paths])
    share = np.mean([path.contains_point((YEAR, truth)) for path in paths])
    print(f"  {f'seen{name}:':41}  width {widths[name]:.3f}, {share:.0%} hold the truth")
    if not name:
        seen = share

pair = np.isin(group, [0, 1])
results = kaplanmeier.fit(years[pair], eroded[pair], group[pair])
one, other = (band.contains_points(np.stack([np.full_like(SHARES, YEAR), SHARES], axis=1)) for band in drawn(results))
print(f"  two of the groups: p of the log-rank test {results['logrank_P']:.2f}; bands at year {YEAR:.0f} "
      f"{SHARES[one].min():.3f} to {SHARES[one].max():.3f} and {SHARES[other].min():.3f} to {SHARES[other].max():.3f}")
same = covered > 0.85 and seen < 0.25 and widths[""] < 0.06 * expected and widths[", cii_alpha=0.01"] < widths[""]
same = same and abs(widths[", cii_alpha=0.95"] / expected - 1) < 0.02 and results["logrank_P"] > 0.05
same = same and not (one & other).any()
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore bands.py
