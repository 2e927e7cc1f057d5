#!/usr/bin/env bash
# statsmodels 0.15.0: GEE with weights and the covariance for few patients, cov_type="bias_reduced".
#
# Two wrists of a patient are a cluster, few patients call for Mancl and DeRouen's correction, and a film that is missing
# at random calls for a weight.
#
# Guess: the correction is that of the weighted model, as the covariance "robust" is; or weights are refused, as they are
#        with cov_type="naive".
# Seen:  the leverages leave the weights out, and the weights of a patient's films multiply the coefficients' sums
#        instead of the films' residuals: with two films a patient and two coefficients the first film's weight goes to
#        the intercept and the second's to the slope. The standard errors depend on the order of the films, and are
#        wrong by up to a quarter here. Without weights they are right, and so are the estimates and "robust". Multiply
#        outcome and covariates of a linear model by the root of the weight, and leave the weights out.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1
cat > gee.py <<'PYTHON'
import sys

import numpy as np
import statsmodels
import statsmodels.api as sm


def errors(score, table, patient, weights, kind):
    model = sm.GEE(score, table, groups=patient, cov_struct=sm.cov_struct.Independence(), weights=weights)
    fit = model.fit(cov_type="bias_reduced")
    return fit.params, fit.standard_errors(kind)


def mancl_derouen(score, table, patient, weights):
    """Standard errors by the formula: residuals of a patient times the inverse of one minus the leverage."""
    bread = np.linalg.inv(table.T * weights @ table)
    residual = score - table @ (bread @ (table.T @ (weights * score)))
    meat = 0
    for one in np.unique(patient):
        rows = patient == one
        leverage = table[rows] @ bread @ (table[rows].T * weights[rows])
        sums = (table[rows].T * weights[rows]) @ np.linalg.solve(np.eye(rows.sum()) - leverage, residual[rows])
        meat = meat + np.outer(sums, sums)
    return np.sqrt(np.diag(bread @ meat @ bread))


print("statsmodels", statsmodels.__version__)
draw = np.random.default_rng(3)
PATIENTS = 16
same = True
for films in (1, 2):
    patient = np.repeat(np.arange(PATIENTS), films)
    years = draw.normal(size=len(patient))
    table = np.column_stack([np.ones(len(patient)), years])
    score = 2 + 0.5 * years + draw.normal(size=PATIENTS)[patient] + draw.normal(size=len(patient))
    weights = draw.integers(1, 6, len(patient)).astype(float)
    root = np.sqrt(weights)

    expected = mancl_derouen(score, table, patient, weights)
    scaled = score * root, table * root[:, None], patient, None
    if films == 1:  # then the correction is HC3 of weighted least squares
        assert np.allclose(expected, sm.WLS(score, table, weights=weights).fit(cov_type="HC3").bse)
    assert np.allclose(expected, errors(*scaled, "bias_reduced")[1]), "right without weights"
    assert np.allclose(errors(*scaled, "robust")[1], errors(score, table, patient, weights, "robust")[1])
    assert np.allclose(errors(*scaled, "robust")[0], errors(score, table, patient, weights, "robust")[0])
    seen = errors(score, table, patient, weights, "bias_reduced")[1]
    turned = np.lexsort((-np.arange(len(patient)), patient))  # the films of each patient in the other order
    again = errors(score[turned], table[turned], patient[turned], weights[turned], "bias_reduced")[1]
    print(f"films a patient: {films}; standard errors of intercept and slope")
    print(f"  expected {expected.round(4)}, seen {seen.round(4)}, films in the other order {again.round(4)}")
    print(f"  off by {100 * (seen / expected - 1).round(3)} %")
    same &= bool(np.abs(seen / expected - 1).max() > (0.02 if films == 1 else 0.1))
    same &= films == 1 or not np.allclose(seen, again, rtol=0.02)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore gee.py
