"""Tables of per-case results: what is written is read again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jointwrist.engine.results.case_results import read_case_results
from jointwrist.errors import DataError
from jointwrist.files import write_frame


def test_names_that_look_like_numbers_or_missing_values_stay_text(tmp_path):
    rows = pd.DataFrame(
        {
            "case": ["0007_0001_L", "NA_0001_R", "None_0001_L"],
            "patient": ["0007", "NA", "None"],
            "dsc": [0.5, np.nan, 1.0],
            "msd": [np.inf, 2.0, np.nan],
        }
    )
    write_frame(tmp_path / "segmentation.csv", rows)
    pd.testing.assert_frame_equal(read_case_results(tmp_path / "segmentation.csv"), rows, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no results (is empty (0 bytes)"),
        ("{", "no results, as it has no column case"),
        ("case,kind,region,dsc\na,bone,Lunate,1\nb,bone,Luna", "is cut short in its last line"),
        ("case,kind,region,dsc\na,bone,Lunate,1\nb,bo", "is cut short in its last line"),
        ('case,kind,region\na,bone,"Lun', "no results ("),
        ("case,kind,region\n\xe9,bone,Lunate\n", "no results ("),
    ],
)
def test_damaged_tables_are_named(tmp_path, content, message):
    path = tmp_path / "segmentation.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError) as refused:
        read_case_results(path)
    assert str(refused.value).startswith(f"{path}: {message}")
