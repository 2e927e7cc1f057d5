#!/usr/bin/env bash
# interlace-lme 0.3.2: clmm, the mixed model of ordinal scores, for grades that are an ordered categorical.
#
# Guess: grades "none" < "mild" < "moderate" < "severe", declared as an ordered categorical of pandas, give the model of
#        the codes 0 to 3, as ordinal::clmm in R does with an ordered factor, which this function follows.
# Seen:  the declared order is dropped and the grades are sorted as text: mild, moderate, none, severe. The fit converges.
#        A progression of 0.46 a year (log odds) becomes one of -0.17, one of 0.77 vanishes, and with them most of the
#        variance between patients. The names of the thresholds ("mild|moderate", "moderate|none") are the only sign.
#        statsmodels' OrderedModel, on the same column, follows the order. Hand over the codes: data["grade"].cat.codes.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet interlace-lme==0.3.2 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 statsmodels==0.15.0
cat > grades.py <<'PYTHON'
import sys
from importlib.metadata import version

import interlace
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from statsmodels.miscmodels.ordinal_model import OrderedModel

PATIENTS, VISITS = 30, 5
GRADES = ["none", "mild", "moderate", "severe"]
NODES, WEIGHTS = np.polynomial.hermite.hermgauss(30)


def progression_by_quadrature(data):
    """Slope and variance of the random-intercept model, with the likelihood integrated by Gauss and Hermite."""
    code, years = (data[name].to_numpy().reshape(PATIENTS, VISITS, 1) for name in ("code", "years"))

    def loss(parameters):
        cuts = np.concatenate([[-np.inf], np.cumsum([parameters[0], *np.exp(parameters[1:3])]), [np.inf]])
        predictor = parameters[3] * years + np.sqrt(2) * np.exp(parameters[4]) * NODES
        chance = expit(cuts[code + 1] - predictor) - expit(cuts[code] - predictor)
        return -np.log(chance.prod(1) @ WEIGHTS).sum()

    best = minimize(loss, [0.5, 0, 0, 0.3, 0], method="BFGS").x
    return best[3], np.exp(2 * best[4])


print("interlace-lme", version("interlace-lme"))
same = True
for seed in (2, 3):
    draw = np.random.default_rng(seed)
    patient, years = np.repeat(np.arange(PATIENTS), VISITS), np.tile(np.arange(float(VISITS)), PATIENTS)
    burden = 0.5 * years + draw.normal(size=PATIENTS)[patient] + draw.logistic(size=len(years))
    code = np.digitize(burden, [0.5, 2, 3.5])
    data = pd.DataFrame({"patient": patient, "years": years, "code": code,
                         "grade": pd.Categorical.from_codes(code, GRADES, ordered=True)})
    slope, variance = progression_by_quadrature(data)
    fits = {column: interlace.clmm(f"{column} ~ years", data, groups="patient") for column in ("code", "grade")}
    ordered = OrderedModel(data["grade"], data[["years"]], distr="logit").fit(method="bfgs", disp=False)
    print(f"progression a year and variance between patients: expected {slope:.3f}, {variance:.3f}")
    for column, fit in fits.items():
        print(f"  clmm of the {column}: {fit.fe_params['years']:.3f}, {fit.variance_components['patient']:.3f}; "
              f"converged {fit.converged}, thresholds {', '.join(fit.thresholds)}")
    print(f"  OrderedModel of the grade, which has no patients: {ordered.params['years']:.3f}")
    assert abs(fits["code"].fe_params["years"] - slope) < 0.03
    same &= bool(fits["grade"].converged and ordered.params["years"] > 0.6 * slope)
    same &= bool(abs(fits["grade"].fe_params["years"]) < 0.5 * slope)
    same &= list(fits["grade"].thresholds) == [f"{lower}|{upper}" for lower, upper in zip(sorted(GRADES), sorted(GRADES)[1:])]
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
OMP_NUM_THREADS=1 env/bin/python -W ignore grades.py
