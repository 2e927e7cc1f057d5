"""`jointwrist compare --pairs`: many comparisons in one run, each the same as alone, and their tables."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from PIL import Image

from jointwrist.cli import main
from jointwrist.commands.compare_pairs import read_pairs, summary
from jointwrist.errors import DataError, StorageError
from jointwrist.outputs.comparison_picture import NAMES, save_comparison
from jointwrist.phantom import make_wrist


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """A folder with two visits of a left and a right hand."""
    folder = tmp_path_factory.mktemp("visits")
    (folder / "first").mkdir()
    for index in (0, 1):
        sample = make_wrist(8, index)
        pixels = np.round(sample.image[0] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "first" / f"wrist{index}_{sample.side}.png")
        Image.fromarray(np.roll(pixels, 3, axis=1)).save(folder / f"later{index}_{sample.side}.png")
    return folder


def table(folder, *rows, header="baseline;followup", name="pairs.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def names(visits, index):
    return next(visits.glob(f"first/wrist{index}_*")), next(visits.glob(f"later{index}_*"))


@pytest.fixture(scope="module")
def compared(visits, tmp_path_factory):
    """Both pairs, compared by one command."""
    rows = [";".join(file.relative_to(visits).as_posix() for file in names(visits, index)) for index in (0, 1)]
    out = tmp_path_factory.mktemp("compared")
    assert main(["compare", "--pairs", str(table(visits, *rows)), "--out", str(out), "--spacing", "0.2"]) == 0
    return out


def test_a_pair_is_compared_as_it_is_alone(visits, compared, tmp_path):
    for index in (0, 1):
        before, after = names(visits, index)
        assert main(["compare", str(before), str(after), "--out", str(tmp_path), "--spacing", "0.2"]) == 0
        together = compared / f"{before.stem}_to_{after.stem}" / "comparison.json"
        assert json.loads(together.read_text()) == json.loads((tmp_path / "comparison.json").read_text())
        assert together.with_suffix(".png").is_file()


def test_tables_of_comparisons_hold_their_figures(compared, tmp_path):
    assert main(["table", str(compared), "--out", str(tmp_path)]) == 0
    tables = {path.stem: pd.read_csv(path) for path in tmp_path.iterdir()}
    assert set(tables) == {"comparisons", "joint_changes", "bone_changes", "joint_space_changes", "codebook"}
    for file in compared.glob("*/comparison.json"):
        change = json.loads(file.read_text())

        def rows(name, file=file):
            return tables[name][tables[name].file == file.relative_to(compared).as_posix()]

        joints = rows("joint_changes").set_index("joint")
        for joint in change["joints"]:
            assert joints.loc[joint["name"], "followup_probability"] == joint["followup_probability"]
            assert joints.loc[joint["name"], "level_change"] == joint["level_change"]
        bones = rows("bone_changes")
        assert bones["baseline_area"].tolist() == [bone["baseline"] for bone in change["bone_areas"]]
        spaces = rows("joint_space_changes")
        for figure in ("mean_change", "baseline_minimum", "displacement_error"):
            expected = [np.nan if space[figure] is None else space[figure] for space in change["joint_spaces"]]
            np.testing.assert_allclose(spaces[figure], expected, rtol=1e-5)
        assert rows("comparisons")["joints_scored_twice"].item() == 6
        assert rows("comparisons")["unit"].item() == "mm"
    explained = tables["codebook"].set_index(["table", "column"])["meaning"]
    assert list(explained.index) == [(name, column) for name in explained.index.unique(0) for column in tables[name]]
    assert explained.str.len().min() > 3


def test_pairs_that_cannot_be_compared_are_named_and_the_others_done(visits, tmp_path, capsys):
    before, after = (file.relative_to(visits).as_posix() for file in names(visits, 0))
    other = names(visits, 1)[1].name
    (visits / "text_L.png").write_text("no picture")
    rows = [f"absent.png,{after},a", f"{before},text_L.png,b", f"{before},{after},good", f"{before},{other},d"]
    pairs = table(visits, *rows, header="baseline,followup,name", name="some.csv")
    assert main(["compare", "--pairs", str(pairs), "--out", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "1 of 4 pairs compared" in printed.out and "good: 6 joint surfaces scored at both" in printed.out
    assert "a: " in printed.err and "absent.png" in printed.err and "text_L.png: not a" in printed.err
    change = json.loads((tmp_path / "good" / "comparison.json").read_text())
    mean = np.mean([space["mean_change"] for space in change["joint_spaces"] if space["mean_change"] is not None])
    assert f"joint spaces changed by {mean:+.2f} px on average" in printed.out
    assert "d: " in printed.err and "is a left hand and" in printed.err
    assert (tmp_path / "good" / "comparison.json").is_file() and not (tmp_path / "a").exists()


def test_a_warning_and_the_summary_are_separated_by_one_mark():
    class Doubtful:
        def to_dict(self):
            warning = "They fit poorly. Look at the picture."
            return {"warnings": [warning], "joints": [], "joint_spaces": [], "unit": "px"}

    text = "WARNING: They fit poorly. Look at the picture; 0 joint surfaces scored at both visits, 0 higher and 0 lower"
    assert summary(Doubtful()) == text


def test_the_earlier_comparison_of_a_pair_that_fails_is_not_taken_for_a_new_one(visits, compared, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(compared, out)
    before, after = (file.relative_to(visits).as_posix() for file in names(visits, 0))
    other = (file.relative_to(visits).as_posix() for file in names(visits, 1))
    first = f"{Path(before).stem}_to_{Path(after).stem}"
    content = (out / first / "comparison.json").read_bytes()
    pairs = table(visits, f"absent_L.png;{after};{first}", ";".join([*other, "b"]), header="baseline;followup;name")
    assert main(["compare", "--pairs", str(pairs), "--out", str(out)]) == 2
    assert "1 comparison of an earlier run, of pairs that failed now, kept as comparison.json.earlier" in (
        capsys.readouterr().out
    )
    assert (out / first / "comparison.json.earlier").read_bytes() == content
    assert sorted(path.name for path in (out / first).iterdir()) == [
        "comparison.json.earlier",
        "comparison.png.earlier",
    ]
    assert main(["table", str(out), "--out", str(tmp_path / "tables")]) == 0
    assert first not in (tmp_path / "tables" / "comparisons.csv").read_text()
    (out / first / "comparison.json").write_text("of somebody else")
    assert main(["compare", "--pairs", str(pairs), "--out", str(out)]) == 2
    assert (out / first / "comparison.json").read_text() == "of somebody else"


def test_two_visits_that_fail_leave_no_comparison_of_others(visits, compared, tmp_path, capsys):
    out = tmp_path / "out"
    before, after = names(visits, 0)
    shutil.copytree(compared / f"{before.stem}_to_{after.stem}", out)
    (visits / "damaged_L.png").write_text("no picture")
    assert main(["compare", str(before), str(visits / "damaged_L.png"), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert f"the comparison of an earlier run is kept as {out / 'comparison.json.earlier'}" in said.err
    assert "damaged_L.png: not a" in said.err and not said.out
    assert sorted(path.name for path in out.iterdir()) == ["comparison.json.earlier", "comparison.png.earlier"]


def test_a_comparison_that_cannot_be_written_leaves_the_earlier_one_whole(tmp_path, monkeypatch):
    class Later:
        def to_dict(self):
            return {"baseline": "later"}

    def full(comparison):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in NAMES:
        (tmp_path / name).write_text(f"earlier {name}")
    monkeypatch.setattr("jointwrist.outputs.comparison_picture.draw_comparison", full)
    with pytest.raises(StorageError, match=r"comparison\.png: cannot be written \(No space left"):
        save_comparison(Later(), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: f"earlier {name}" for name in NAMES}
    (tmp_path / "comparison.png").unlink()
    (tmp_path / "comparison.png").mkdir()
    with pytest.raises(StorageError, match=r"comparison\.png: is a folder"):
        save_comparison(Later(), tmp_path)


def test_one_line_of_json_a_pair(visits, tmp_path, capsys):
    before, after = names(visits, 0)
    pairs = table(visits, f"{before.relative_to(visits).as_posix()};{after.name}", name="one.csv")
    assert main(["compare", "--pairs", str(pairs), "--out", str(tmp_path), "--json", "--deidentify"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said, written = json.loads(line), json.loads((tmp_path / "pair_0001" / "comparison.json").read_text())
    assert (said["baseline"], said["followup"]) == ("baseline", "followup") and said == {"name": "pair_0001"} | written


def test_weights_that_cannot_be_read_are_named_once(visits, tmp_path, capsys):
    before, after = (file.relative_to(visits).as_posix() for file in names(visits, 0))
    pairs = table(visits, f"{before};{after};a", f"{before};{after};b", header="baseline;followup;name", name="w.csv")
    weights = str(tmp_path / "absent.safetensors")
    assert main(["compare", "--pairs", str(pairs), "--out", str(tmp_path / "out"), "--weights", weights]) == 2
    printed = capsys.readouterr()
    assert printed.err.count(weights) == 1 and "pairs compared" not in printed.out


def test_the_side_of_the_table_takes_precedence(visits, tmp_path):
    before, after = (file.relative_to(visits).as_posix() for file in names(visits, 0))
    side = Path(before).stem[-1]
    rows = [f"{before};{after};{side};stated"]
    pairs = table(visits, *rows, header="baseline;followup;side;name", name="side.csv")
    other = {"L": "R", "R": "L"}[side]
    assert main(["compare", "--pairs", str(pairs), "--out", str(tmp_path), "--side", other, "--field", "whole"]) == 0
    assert json.loads((tmp_path / "stated" / "comparison.json").read_text())["side"] == side


def test_a_table_whose_encoding_is_a_guess_is_named(tmp_path, capsys):
    (tmp_path / "pairs.csv").write_bytes("baseline;followup\né.png;b.png\n".encode("cp1252"))
    (pair,) = read_pairs(tmp_path / "pairs.csv")
    assert (
        pair.baseline == tmp_path / "é.png" and "pairs.csv: is not UTF-8; taken for cp1252" in capsys.readouterr().err
    )


def test_tables_of_pairs_are_read_as_spreadsheets_save_them(tmp_path):
    first = (tmp_path / "a b.png", tmp_path / "sub" / "c.png", "L", "a b_to_c")
    expected = [first, (tmp_path / "d.png", tmp_path / "e.png", None, "two")]
    rows = ["a b.png;sub\\c.png;l;", "d.png;e.png;;two"]
    found = read_pairs(table(tmp_path, *rows, header="Baseline;FollowUp;Side;Name"))
    assert [tuple(pair) for pair in found] == expected
    book = openpyxl.Workbook()
    for row in (["baseline", "followup", "side", "name"], *(row.replace("\\", "/").split(";") for row in rows)):
        book.active.append(row)
    book.save(tmp_path / "pairs.xlsx")
    assert [tuple(pair) for pair in read_pairs(tmp_path / "pairs.xlsx")] == expected


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("before;after", ["a.png;b.png"], "has no column `baseline`"),
        ("baseline;later", ["a.png;b.png"], "has no column `followup`"),
        ("baseline;followup", [], "lists no pair of radiographs"),
        ("baseline;followup", ["a.png;"], "line 2 names only one radiograph"),
        ("baseline;followup;side", ["a.png;b.png;left"], "line 2: side 'left' is neither L nor R"),
        ("baseline;followup;name", ["a.png;b.png;../x"], "'../x' is not the name of a folder"),
        ("baseline;followup;name", ["a.png;b.png;x\\y"], "is not the name of a folder; use no slashes"),
        ("baseline;followup;name", ['a.png;b.png;"x\ny"'], "use no slashes or line breaks"),
        ("baseline;followup", [f"{'é' * 64}.png;{'é' * 63}.png"], "is too long for a folder; shorten it in a"),
        ("baseline;followup", ["a.png;b.png", "sub/a.png;b.png"], "2 pairs would be written to a_to_b"),
    ],
)
def test_other_tables_are_refused_before_the_work(header, rows, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_pairs(table(tmp_path, *rows, header=header))


@pytest.mark.parametrize("given", [["--pairs", "pairs.csv", "a.png"], [], ["a.png"]])
def test_either_two_radiographs_or_a_table(given, capsys):
    assert main(["compare", *given]) == 2
    assert "BASELINE and FOLLOWUP" in capsys.readouterr().err


def test_a_radiograph_is_not_replaced_by_a_comparison(visits, tmp_path, capsys):
    before, after = names(visits, 0)
    (visits / "out" / "x").mkdir(parents=True)
    picture = visits / "out" / "x" / "comparison.png"
    picture.write_bytes(after.read_bytes())
    pairs = table(
        visits, f"{before.relative_to(visits).as_posix()};out/x/comparison.png;x", header="baseline;followup;name"
    )
    assert main(["compare", "--pairs", str(pairs), "--out", str(visits / "out")]) == 2
    assert "is read here, and would be replaced" in capsys.readouterr().err
    assert picture.read_bytes() == after.read_bytes()
