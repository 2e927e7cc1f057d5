#!/usr/bin/env bash
# polars 2.1.0 and DuckDB 2.0.1: worst grade of each patient, from a Parquet or Feather file that pandas 3.1.1 wrote.
#
# Readers grade joints as none, mild, moderate or severe, in pandas an ordered category. The files state the order.
#
# Guess: the order comes back: the worst of none and moderate is moderate, and moderate is above none. A tool that does
#        not know it refuses.
# Seen:  pandas and pyarrow give the order back. polars reads a category without order and compares by the alphabet,
#        mild, moderate, none, severe: a joint without a change is worse than a moderate one. Of 200 patients with six
#        joints each, 138 have another worst grade, and all of these are said to have no change. A table sorted by grade
#        and the comparison with a grade follow the alphabet as well, while to_physical() of the same column has the
#        right order. DuckDB reads text from the Parquet file and from pyarrow's table, with the same result, and yet is
#        right if it is given the table of pandas itself. Nothing warns. Cast to pl.Enum of the grades in polars, or to
#        an ENUM in DuckDB, after reading; or store numbers.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile polars==2.1.0 duckdb==2.0.1 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cat > grades.py <<'PYTHON'
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet

GRADES = ["none", "mild", "moderate", "severe"]
SHARES = [0.75, 0.12, 0.1, 0.03]
PATIENTS, JOINTS = 200, 6
DUCKDB = "select max(grade) from {} group by patient order by patient"

draw = np.random.default_rng(0)
frame = pd.DataFrame({"patient": np.repeat(np.arange(PATIENTS), JOINTS)})
frame["grade"] = pd.Categorical(draw.choice(GRADES, len(frame), p=SHARES), categories=GRADES, ordered=True)
frame.to_parquet("grades.parquet")
frame.to_feather("grades.feather")


def by_pandas(frame):
    assert frame["grade"].dtype.ordered
    return [GRADES[code] for code in frame["grade"].cat.codes.groupby(frame["patient"]).max()]


def by_polars(frame):
    worst = frame.group_by("patient").agg(pl.col("grade").max()).sort("patient")
    return worst["grade"].cast(pl.String).to_list()


def by_duckdb(source):
    return [str(row[0]) for row in duckdb.sql(DUCKDB.format(source)).fetchall()]


arrow = pyarrow.parquet.read_table("grades.parquet")
polars = pl.read_parquet("grades.parquet")
print("polars", pl.__version__, "DuckDB", duckdb.__version__, "pandas", pd.__version__, "pyarrow", pyarrow.__version__)
print("order in the file, by pyarrow:", arrow.schema.field("grade").type.ordered)
expected = by_pandas(frame)
results = {
    "pandas, Parquet": by_pandas(pd.read_parquet("grades.parquet")),
    "polars, Parquet": by_polars(polars),
    "polars, Feather": by_polars(pl.read_ipc("grades.feather")),
    "polars, from pandas": by_polars(pl.from_pandas(frame)),
    "polars, cast to Enum": by_polars(polars.with_columns(pl.col("grade").cast(pl.Enum(GRADES)))),
    "DuckDB, Parquet": by_duckdb("'grades.parquet'"),
    "DuckDB, from pandas": by_duckdb("frame"),
    "DuckDB, from pyarrow": by_duckdb("arrow"),
}
print("patients by worst grade, expected:", {grade: expected.count(grade) for grade in GRADES})
same = bool(arrow.schema.field("grade").type.ordered)
for name, worst in results.items():
    other = [(one, two) for one, two in zip(expected, worst, strict=True) if one != two]
    healthy = sum(two == "none" for _, two in other)
    print(f"{name}: {({grade: worst.count(grade) for grade in GRADES})}; {len(other)} of {PATIENTS} patients differ, "
          f"{healthy} of them now without a change")
    right = name in ("pandas, Parquet", "polars, cast to Enum", "DuckDB, from pandas")
    same &= not other if right else len(other) > PATIENTS / 2 and healthy == len(other)

above = (polars["grade"] > "none").to_numpy()
print(f"polars: moderate joints above none: {above[frame['grade'] == 'moderate'].mean():.0%}, of all changed joints "
      f"{above[frame['grade'] != 'none'].mean():.0%}")
same &= not above[frame["grade"].isin(["mild", "moderate"])].any() and above[frame["grade"] == "severe"].all()
same &= bool((polars["grade"].to_physical().to_numpy() == frame["grade"].cat.codes).all())
same &= polars.sort("grade")["grade"].unique(maintain_order=True).to_list() == sorted(GRADES)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python grades.py
