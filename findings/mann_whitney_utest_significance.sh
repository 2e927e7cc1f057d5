#!/usr/bin/env bash
# mann-whitney-utest 1.0.5 (npm): whether the scores of two groups of patients differ, by its function
# "significant".
#
# Guess: it tells whether U is small enough for p below 0.05, by the normal approximation with the correction for
#        ties: true for 5 % of pairs of groups that do not differ, and for nearly all that differ much.
# Seen:  U is compared with z, the standardised U itself, where a critical value belongs. U grows with the product
#        of the numbers of patients and z with the root of one, so that larger groups are found to differ only if
#        they do not overlap: of 1,000 pairs of groups of 40 whose scores are 2 and 4 of 10 on average none is,
#        while all have p below 0.05. Groups of 2 or 3 that hardly overlap are "significant", although p cannot be
#        below 0.05 there: a third and a fifth of the pairs of such groups that are drawn alike. U and z
#        (criticalValue) are right. Compare z with 1.96 for large groups, and take an exact test for small ones.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet scipy==1.17.1 numpy==2.4.6
npm install --silent --no-audit --no-fund mann-whitney-utest@1.0.5 > /dev/null
cat > test.js <<'JAVASCRIPT'
const fs = require("fs");
const mwu = require("mann-whitney-utest");
const results = JSON.parse(fs.readFileSync("groups.json")).map((groups) => {
  const u = mwu.test(groups);
  return [u, mwu.criticalValue(u, groups), mwu.significant(u, groups)];
});
fs.writeFileSync("results.json", JSON.stringify(results));
JAVASCRIPT
cat > scores.py <<'PYTHON'
import json
import subprocess
import sys

import numpy as np
from scipy.stats import mannwhitneyu, norm

print("mann-whitney-utest", json.load(open("node_modules/mann-whitney-utest/package.json"))["version"])
draw = np.random.default_rng(0)
same = True
# patients in each group, chances of a point of ten in either group; scores without ties have no upper end
for patients, chances, ties in [
    (2, (0.3, 0.3), False), (3, (0.3, 0.3), False), (10, (0.3, 0.3), True), (40, (0.3, 0.3), True),
    (20, (0.2, 0.4), True), (40, (0.2, 0.4), True), (100, (0.2, 0.4), True), (40, (0.2, 0.6), True),
]:
    groups = draw.binomial(10, np.array(chances)[:, None], (1000, 2, patients)).astype(float)
    if not ties:
        groups += draw.uniform(0, 0.5, groups.shape)
    json.dump(groups.tolist(), open("groups.json", "w"))
    subprocess.run(["node", "test.js"], check=True)
    u, z, seen = zip(*json.load(open("results.json")), strict=True)
    approximate = [mannwhitneyu(*pair, method="asymptotic", use_continuity=False) for pair in groups]
    same &= bool(np.allclose([pair[0] for pair in u], [result.statistic for result in approximate]))
    p = np.array([result.pvalue for result in approximate])
    same &= bool(np.allclose(z, norm.isf(p / 2), atol=1e-6))
    if not ties:
        p = np.array([mannwhitneyu(*pair, method="exact").pvalue for pair in groups])
    expected, seen = p < 0.05, np.array(seen)
    print(f"{patients} patients a group, chances {chances}: p below 0.05 in {expected.mean():.1%} of pairs, smallest p "
          f"{p.min():.2g}; called significant {seen.mean():.1%}")
    if patients < 4:
        same &= bool(not expected.any() and seen.mean() > (0.25 if patients == 2 else 0.07))
    elif chances[0] == chances[1]:
        same &= bool(0.02 < expected.mean() < 0.08 and not seen.any())
    else:
        same &= bool(expected.mean() > 0.9 and seen.mean() < 0.06)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore scores.py
