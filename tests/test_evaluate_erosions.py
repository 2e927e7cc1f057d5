"""Scores of erosion probabilities that any tool wrote into a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jointwrist.cli import main
from jointwrist.engine.score_external_erosions import read_probabilities


def test_erosion_probabilities_give_the_rows_they_came_from(dataset, phantom_root, tmp_path, capsys):
    random, lines = np.random.default_rng(0), ["case,joint,probability,level,remark"]
    cases = dataset.erosion("test")
    for case in cases:
        for joint, score_ in zip(("MC1", "Trapzium", "Sc", "Lunate", "Radius", "DU"), case.scores, strict=True):
            if score_ >= 0:
                lines.append(f"{case.identifier},{joint},{random.random():.5f},{random.integers(4)},x")
    table, command = tmp_path / "t.csv", ["evaluate", "--predictions", str(tmp_path), "--data", str(phantom_root)]
    table.write_text("\n".join(lines))
    assert main([*command, "--erosions", str(table), "--threshold", "0.3", "-o", str(tmp_path / "a")]) == 0
    assert "AUROC" in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "a" / "erosion.csv")
    assert len(rows) == len(lines) - 1
    assert list(rows["predicted"]) == [int(p >= 0.3) for p in rows["probability"]]
    assert (
        main(
            [
                *command,
                "--erosions",
                str(tmp_path / "a" / "erosion.csv"),
                "--threshold",
                "0.3",
                "-o",
                str(tmp_path / "b"),
            ]
        )
        == 0
    )
    assert (tmp_path / "b" / "erosion.csv").read_text() == (tmp_path / "a" / "erosion.csv").read_text()
    table.write_text("\n".join(lines[:-1]))
    capsys.readouterr()
    assert main([*command, "--erosions", str(table), "-o", str(tmp_path / "a")]) == 2
    assert "no probability of" in capsys.readouterr().err
    table.write_text("\n".join([lines[0], lines[1].replace("0.", "7.")]))
    assert main([*command, "--erosions", str(table), "-o", str(tmp_path / "a")]) == 2
    assert "not a probability from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["50", "-0.1", "nan"])
def test_a_threshold_that_is_no_probability_is_refused(threshold, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--predictions", str(tmp_path), "--data", str(tmp_path), "--threshold", threshold])
    assert stopped.value.code == 2 and f"{threshold} is not a probability from 0 to 1" in capsys.readouterr().err


def test_a_table_of_probabilities_in_any_usual_form(tmp_path):
    """Capital columns, paths of Windows, semicolons with comma decimals."""
    table, known = tmp_path / "erosion.csv", {"0001_0001_L"}
    table.write_text(
        "Case;Joint;Probability\nC:\\radiographs\\0001_0001_L.png;lunate;0,25\nradiographs/0001_0001_L;MC1;1e-1\n"
    )
    found, extra = read_probabilities(table, known)
    assert extra == ()
    assert {key: value.probability for key, value in found.items()} == {
        ("0001_0001_L", 3): 0.25,
        ("0001_0001_L", 0): 0.1,
    }
