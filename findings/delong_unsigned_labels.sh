#!/usr/bin/env bash
# rocauc-comparison 0.1.1: DeLong's variance and test for labels stored as unsigned integers.
#
# Guess: the labels are 0 and 1, so their type does not matter; one that does not fit would be refused, as other values are.
# Seen:  with np.uint8, the type of masks and of most label files, the area under the curve of a good reader falls below
#        one half, its interval is as narrow as ever, and the test finds no difference between two networks where there
#        is one. The cases are sorted by the negative of the label, which for an unsigned 1 is 255: healthy joints come
#        first and are counted as the eroded ones. All other values are those of int64. Convert labels to a signed type.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet numpy==2.2.6 scipy==1.15.3
env/bin/pip install --quiet --no-deps rocauc-comparison==0.1.1
cat > delong.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from rocauc_comparison import delong_roc_test, delong_roc_variance

generator = np.random.default_rng(0)
eroded = generator.random(200) < 0.25
better = 1.2 * eroded + generator.normal(size=200)
worse = 0.3 * eroded + generator.normal(size=200)


def by_pairs(scores):
    """Share of pairs in which the eroded joint has the higher score; no two scores are equal."""
    return float((scores[eroded][:, None] > scores[~eroded]).mean())


print("rocauc-comparison", version("rocauc-comparison"), "numpy", np.__version__)
area, p = {}, {}
for kind in (np.int64, np.float32, np.uint8):
    labels = eroded.astype(kind)
    area[kind], variance = delong_roc_variance(labels, better)
    p[kind] = float(np.squeeze(delong_roc_test(labels, better, worse).p_value))
    half = 1.96 * float(np.sqrt(variance))
    print(f"labels as {kind.__name__}: area expected {by_pairs(better):.3f}")
    print(f"  seen {area[kind]:.3f} ({area[kind] - half:.3f} to {area[kind] + half:.3f}); two networks: p = {p[kind]:.2g}")
same = (
    all(abs(area[kind] - by_pairs(better)) < 1e-9 and p[kind] < 0.01 for kind in (np.int64, np.float32))
    and area[np.uint8] < 0.5
    and p[np.uint8] > 0.05
)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore delong.py
