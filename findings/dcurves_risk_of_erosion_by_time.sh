#!/usr/bin/env bash
# dcurves 1.1.7: the decision curve of a marker that predicts when a joint erodes (models_to_prob, with times).
#
# Guess: dca() turns the marker into the risk of an erosion by the time asked for, by a Cox model, and gives the net benefit
#        of treating those whose risk exceeds the threshold: that of the same risks computed beforehand.
# Seen:  the marker becomes the probability to stay free of erosion, and that is then used as the risk. Those who are least
#        likely to erode are treated first: a marker with a concordance of 0.74 is worse than treating all at every threshold
#        here, and worse than treating none at most, where it should beat both. Nothing warns. Outcomes without times
#        are right, and so are risks that are handed over as they are. Compute them yourself: one minus lifelines'
#        predict_survival_function, without models_to_prob.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet dcurves==1.1.7 lifelines==0.30.3 pandas==2.3.3 numpy==2.4.6
cat > curve.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
from dcurves import dca
from lifelines import CoxPHFitter

JOINTS, YEARS = 800, 2.0
THRESHOLDS = [0.2, 0.3, 0.4, 0.5, 0.6]


def free_of_erosion(time, eroded):
    """Kaplan and Meier's share that is free of erosion after YEARS."""
    events = np.unique(time[eroded & (time <= YEARS)])
    return np.prod([1 - (eroded & (time == event)).sum() / (time >= event).sum() for event in events])


def net_benefit(treated, time, eroded, threshold):
    """True positives less false positives at the odds of the threshold, as shares of all joints."""
    if not treated.any():
        return 0.0
    free = free_of_erosion(time[treated], eroded[treated])
    return treated.mean() * ((1 - free) - threshold / (1 - threshold) * free)


print("dcurves", version("dcurves"))
draw = np.random.default_rng(0)
marker = draw.normal(size=JOINTS)
erodes, leaves = draw.exponential(5 * np.exp(-marker)), draw.uniform(3, 10, JOINTS)
time, eroded = np.minimum(erodes, leaves), erodes <= leaves
joints = pd.DataFrame({"time": time, "eroded": eroded.astype(int), "marker": marker})
cox = CoxPHFitter().fit(joints, "time", "eroded")
free = cox.predict_survival_function(joints[["marker"]], times=[YEARS]).to_numpy()[0]
settings = dict(outcome="eroded", thresholds=THRESHOLDS, time=YEARS, time_to_outcome_col="time")
turned = dca(data=joints, modelnames=["marker"], models_to_prob=["marker"], **settings)
handed = dca(data=joints.assign(risk=1 - free)[["time", "eroded", "risk"]], modelnames=["risk"], **settings)
curve = {name: table[table.model == name].net_benefit.to_numpy() for table, name in
         ((turned, "marker"), (turned, "all"), (handed, "risk"))}
same = bool(cox.concordance_index_ > 0.7)
print(f"concordance of the marker: {cox.concordance_index_:.2f}")
for place, threshold in enumerate(THRESHOLDS):
    expected = net_benefit(1 - free >= threshold, time, eroded, threshold)
    reverse = net_benefit(free >= threshold, time, eroded, threshold)
    print(f"threshold {threshold}: net benefit expected {expected:.3f}, seen {curve['marker'][place]:.3f} (treat all "
          f"{curve['all'][place]:.3f}, none 0; by the probability to stay free {reverse:.3f}; risks handed over "
          f"{curve['risk'][place]:.3f})")
    same &= bool(np.isclose(curve["risk"][place], expected) and np.isclose(curve["marker"][place], reverse))
    same &= bool(expected > max(curve["all"][place], 0) and curve["marker"][place] < expected - 0.05)
same &= bool((curve["marker"] < curve["all"]).all() and (curve["marker"] < 0).sum() > len(THRESHOLDS) / 2)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore curve.py
