#!/usr/bin/env bash
# lifelines 0.30.3: the share of joints free of erosion when joints are read at visits (interval-censored times).
#
# Guess: KaplanMeierFitter.fit_interval_censoring gives Kaplan and Meier's curve where all times are known exactly, and the
#        plain share of joints that are still free where every joint is read at every yearly visit.
# Seen:  with exact times the curve of `survival_function_` and `predict` is one event late: at each time it tells the share
#        before the events of that time, and it never comes down to the last value. With visits the intervals of two
#        successive years share their end, and events are put on that end as if both years held it: the intervals are
#        closed, which the function's description says, while a joint that was free at a visit cannot have eroded at
#        it. Both make joints look healthier. With the lower bound moved up by a little, the column ..._lower at a visit
#        is the share after it and ..._upper that before it, and the two never meet there. Take ..._lower then.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet lifelines==0.30.3 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
cat > visits.py <<'PYTHON'
import sys

import lifelines
import numpy as np
from lifelines import KaplanMeierFitter


def fitted(low, high, times):
    return KaplanMeierFitter().fit_interval_censoring(low, high).predict(times).to_numpy().T  # upper and lower


def show(name, values):
    print(f"  {name}: {np.round(values, 3)}")


print("lifelines", lifelines.__version__)
times = np.array([1, 2, 2, 3, 5, 6, 6, 8, 9, 10.0])
at = np.array([1, 2, 3, 5, 6, 8, 9])
expected = KaplanMeierFitter().fit(times).predict(at).to_numpy()
assert np.allclose(expected, [(times > time).mean() for time in at])
upper, lower = fitted(times, times, at)
print("exact years of erosion of ten joints, share free of erosion at", at)
show("expected, Kaplan and Meier", expected)
show("seen, lower and upper bound the same", lower)
late = np.allclose(upper, lower) and np.allclose(lower, [(times >= time).mean() for time in at])

onset = 5 * np.random.default_rng(0).weibull(1.5, 2000)
last, years = 8, np.arange(1, 8)
low, high = np.minimum(np.floor(onset), last), np.where(onset > last, np.inf, np.ceil(onset))
share = np.array([(onset > year).mean() for year in years])
_, closed = fitted(low, high, years)
before, after = fitted(low + 1e-6, high, years)
print("2,000 joints read every year for eight years, share free of erosion at the visits", years)
show("expected, joints that are still free", share)
show("seen", closed)
show("seen with the lower bound moved up, upper", before)
show("seen with the lower bound moved up, lower", after)
wrong = np.abs(closed - share).max() > 0.03
same = late and wrong and np.allclose(after, share, atol=1e-3) and np.allclose(before[1:], share[:-1], atol=1e-3)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore visits.py
