#!/usr/bin/env bash
# pingouin 0.7.0: F and p in the table of intraclass_corr, which the documentation calls a test of bias between readers.
#
# Guess: as stated there, a small p says that the readers' means differ; it is that of the readers in a two-way analysis of
#        variance, mean square of readers by residual mean square.
# Seen:  all six rows test whether the films differ: mean square of films by that of what is left, as the ICC tables of
#        other programs do, which call it so. The films of a study do differ, so that p is next to 0 for readers without
#        any bias, and who follows the advice takes unbiased readers for biased ones. Where the films are alike and one
#        reader scores a whole grade higher, p is large. Compare the readers by pingouin.rm_anova, or ICC(A,1) with
#        ICC(C,1): these are right.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pingouin==0.7.0 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1
cat > bias.py <<'PYTHON'
import re
import sys

import numpy as np
import pandas as pd
import pingouin
from scipy.stats import f

FILMS, READERS = 30, 3


def two_way(scores):
    """F and p of the readers and of the films in a two-way analysis of variance without repetition."""
    mean = scores.mean()
    films, readers = scores.mean(1) - mean, scores.mean(0) - mean
    degrees = (FILMS - 1) * (READERS - 1)
    residual = ((scores - mean - films[:, None] - readers) ** 2).sum() / degrees
    tests = []
    for effects, repeats in ((readers, FILMS), (films, READERS)):
        ratio = repeats * (effects**2).sum() / (len(effects) - 1) / residual
        tests += [ratio, f.sf(ratio, len(effects) - 1, degrees)]
    return tests


print("pingouin", pingouin.__version__)
promise = re.sub(r"\s+", " ", pingouin.intraclass_corr.__doc__)
promised = "rater means differ" in promise
print("the documentation calls it a test of the raters' means:", promised)
same = promised
draw = np.random.default_rng(4)
for what, spread, bias in (("films that differ, readers without bias", 3, 0), ("films alike, one reader a grade higher", 0, 1),
                           ("films that differ, one reader a grade higher", 3, 1)):
    scores = spread * draw.normal(size=(FILMS, 1)) + draw.normal(size=(FILMS, READERS)) + bias * np.array([0, 0, 1.0])
    film, reader = np.divmod(np.arange(scores.size), READERS)
    data = pd.DataFrame({"film": film, "reader": reader, "score": scores.ravel()})
    table = pingouin.intraclass_corr(data, targets="film", raters="reader", ratings="score").set_index("Type")
    reader_f, reader_p, film_f, film_p = two_way(scores)
    row = table.loc["ICC(A,1)"]
    print(f"{what}: for the readers F expected {reader_f:.2f}, p {reader_p:.4f}; seen F {row['F']:.2f}, p {row['pval']:.4f}"
          f" (films: F {film_f:.2f}, p {film_p:.4f})")
    anova = pingouin.rm_anova(data, dv="score", within="reader", subject="film").iloc[0]
    assert np.isclose(anova["F"], reader_f), "rm_anova tests the readers"
    same &= bool(np.isclose(row["F"], film_f) and np.isclose(row["pval"], film_p))
    same &= bool((row["pval"] < 0.05) == (spread > 0) and (reader_p < 0.05) == (bias > 0))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore bias.py
