"""`jointwrist table`: the tables hold what the JSON files of the results hold, and explain their columns."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from jointwrist.cli import main
from jointwrist.commands.table import cautions
from jointwrist.errors import DataError
from jointwrist.outputs.tables import files, find_results, make_tables, write_tables

NAMES = ("wrists", "joints", "bones", "joint_spaces", "codebook")


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """Results of four phantoms with a stated pixel spacing."""
    folder = tmp_path_factory.mktemp("predicted")
    assert not main(["data", "phantom", str(folder / "data"), "--wrists", "6", "--seed", "11", "--size", "320"])
    images = folder / "data" / "BoneSegmentation" / "images"
    assert not main(["predict", str(images), "--out", str(folder / "out"), "--spacing", "0.2", "--no-overlay"])
    return folder / "out"


@pytest.fixture
def results(predictions):
    return {file.name: json.loads(file.read_text()) for file in sorted(predictions.glob("*.json"))}


def test_every_figure_of_a_result_is_in_the_tables(results):
    tables = {name: table.set_index("file") for name, table in make_tables(results).items() if name != "codebook"}
    for file, result in results.items():
        wrist = tables["wrists"].loc[file]
        assert (wrist["source"], wrist["side"]) == (result["source"], result["side"])
        assert [wrist["height"], wrist["width"]] == result["size"]
        assert wrist["pixel_width_mm"] == wrist["pixel_height_mm"] == 0.2
        assert wrist["joints_eroded"] == sum(joint["eroded"] for joint in result["joints"])
        joints = tables["joints"].loc[file].set_index("joint")
        for joint in result["joints"]:
            row = joints.loc[joint["name"]]
            assert row[["probability", "eroded", "level"]].tolist() == [
                joint["probability"], int(joint["eroded"]), joint["score"],
            ]  # fmt: skip
            assert row[["x0", "y0", "x1", "y1"]].tolist() == joint["box"]
            for figure in ("probability", "eroded", "level"):
                assert wrist[f"{figure}_{joint['name']}"] == row[figure]
        bones = tables["bones"].loc[file].set_index("bone")
        assert {bone["name"]: bone["area_mm2"] for bone in result["bones"]} == bones["area_mm2"].to_dict()
        spaces = tables["joint_spaces"].loc[[file]]
        assert spaces["minimum"].tolist() == [space["minimum"] for space in result["joint_spaces"]]
        assert (spaces["unit"] == "mm").all()


def test_the_codebook_explains_every_column(results):
    tables = make_tables(results)
    explained = tables["codebook"].set_index(["table", "column"])["meaning"]
    columns = [(name, column) for name, table in tables.items() if name != "codebook" for column in table]
    assert list(explained.index) == columns and explained.str.len().min() > 3


def test_tables_are_the_same_in_both_kinds_of_files(results, tmp_path):
    tables = make_tables(results)
    assert [path.name for path in write_tables(tables, tmp_path / "csv")] == [f"{name}.csv" for name in NAMES]
    (book,) = write_tables(tables, tmp_path / "tables.xlsx")
    sheets = pd.read_excel(book, sheet_name=None)
    assert tuple(sheets) == NAMES
    for name in NAMES:
        table = pd.read_csv(tmp_path / "csv" / f"{name}.csv")
        assert list(table) == list(sheets[name]) and len(table) == len(tables[name])
        pd.testing.assert_frame_equal(table, sheets[name], check_dtype=False, rtol=1e-4)


def test_further_scores_and_withheld_ones_have_rows(results):
    result = copy.deepcopy(next(iter(results.values())))
    result["scores"] = {
        "narrowing": [
            {"name": "CMC-R", "found": True, "probability": 0.7, "score": 2, "score_label": "2"},
            {"name": "STT", "found": False},
        ]
    }
    limit = {"status": "outside the weights' scope", "reason": "cast"}
    result["joints"][0] = {"name": "Metacarpal1st", "found": False, "withheld": True, "scope": [limit, limit]}
    result["joints"][1] |= {"score": 3, "score_label": "3-5", "extent": {"contour_share": 0.2, "depth_mm": 1.5}}
    result["scope"] = {"findings": ["cast"]}
    result["pixel_spacing_mm"] = [0.2, 0.1]
    tables = make_tables({"a.json": result})
    joints = tables["joints"].set_index(["score", "joint"])
    assert joints.loc[("narrowing", "CMC-R"), "level"] == 2 and joints.loc[("narrowing", "STT"), "found"] == 0
    first = joints.loc[("erosion", "Metacarpal1st")]
    assert (first["found"], first["withheld"]) == (0, 1) and pd.isna(first["probability"])
    assert first["limits"] == "outside the weights' scope: cast | outside the weights' scope: cast"
    second = joints.loc[("erosion", result["joints"][1]["name"])]
    assert (second["score_range"], second["contour_share"], second["depth_mm"]) == ("3 to 5", 0.2, 1.5)
    wrist = tables["wrists"].loc[0]
    assert (wrist["joints_withheld"], wrist["findings"]) == (1, "cast")
    assert (wrist["pixel_height_mm"], wrist["pixel_width_mm"]) == (0.2, 0.1)
    assert tables["codebook"]["meaning"].str.len().min() > 3


def test_results_of_earlier_versions_leave_cells_empty(results):
    bones, joints = [{"name": "Capitate", "found": True}], [{"name": "Lunate", "found": False}]
    old = {"source": "old.png", "bones": bones, "joints": joints}
    tables = make_tables({"old.json": old, **results})
    assert len(tables["wrists"]) == len(results) + 1
    assert pd.isna(tables["wrists"].loc[0, "erosion_threshold"]) and pd.isna(tables["joints"].loc[0, "withheld"])


def test_names_that_look_like_formulas_stay_text(results, tmp_path):
    result = next(iter(results.values())) | {"source": "=1+1\x07.png"}
    tables = make_tables({"=a.json": result})
    write_tables(tables, tmp_path / "tables.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "tables.xlsx")["wrists"]
    assert [(cell.value, cell.data_type) for cell in sheet[2][:2]] == [("=a.json", "s"), ("=1+1.png", "s")]


def test_results_are_found_in_subfolders_and_other_files_are_left_out(results, predictions, tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    content = [json.dumps(result) for result in results.values()]
    places = (one / "a.json", one / "deeper" / "b.json", two / "a.json", one / ".hidden" / "c.json")
    for path, text in zip(places, content, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (one / "instances.json").write_text('{"images": []}')
    assert list(find_results([one]).results) == ["a.json", "deeper/b.json"]
    assert list(find_results([one, two]).results) == [path.as_posix() for path in places[:3]]
    (two / "cut.json").write_text(content[0][:100])
    assert main(["table", str(one), str(two), "--out", str(tmp_path / "tables")]) == 2
    printed = capsys.readouterr()
    assert "3 wrists, 1 other JSON file left out" in printed.out and "cut.json: holds no JSON" in printed.err
    assert len(pd.read_csv(tmp_path / "tables" / "wrists.csv")) == 3


@pytest.mark.parametrize(
    ("place", "out", "message"),
    [
        ("absent", "tables", "no such file or folder; give a folder that `jointwrist predict` wrote"),
        ("empty", "tables", "no result of `jointwrist predict`"),
        ("full", "tables.csv", "give a folder, for a CSV file of each table, or a file that ends in .xlsx"),
        ("full", "full/tables.json", "give a folder, for a CSV file of each table, or a file that ends in .xlsx"),
        ("full", "full/file", "is a file; choose a folder"),
        ("full", "full.xlsx", "is a folder; give the name of a file"),
        ("full", "full/file/tables.xlsx", "choose a folder that can be written to"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(place, out, message, results, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full.xlsx").mkdir()
    (tmp_path / "full" / "file").write_text("")
    (tmp_path / "full" / "a.json").write_text(json.dumps(next(iter(results.values()))))
    assert main(["table", str(tmp_path / place), "--out", str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err


def test_a_table_that_no_sheet_holds_is_refused_before_anything_is_written(results, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_ROWS", 10)
    with pytest.raises(DataError, match="joints has more rows than a sheet"):
        write_tables(make_tables(results), tmp_path / "tables.xlsx")
    assert not list(tmp_path.iterdir())


def test_what_should_not_be_analysed_together_is_said(results):
    alike = {f"{i}.json": copy.deepcopy(result) for i, result in enumerate(results.values())}
    assert cautions(alike) == ["erosion scores are untested on real erosions (column real_erosions)"]
    alike["0.json"]["erosion_threshold"] = 0.1
    assert "different thresholds" in cautions(alike)[0]
    alike["1.json"]["weights"]["file"] = "own/best.safetensors"
    assert cautions(alike)[0].startswith("results of 2 weight files: jointwrist_tiny (3), own/best.safetensors (1)")
    alike["again.json"] = alike["2.json"]
    assert "1 result of a radiograph that has another one, such as again.json and 2.json" in cautions(alike)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"side": "L", "field": [0, 0, 9, 9]}, False),  # the other hand on the radiograph
        ({"side": "L"}, True),  # --side
        ({"field": [0, 0, 9, 9]}, True),  # --field
        ({"source_digest": "0"}, False),
        ({"source_digest": None}, False),
    ],
)
def test_two_results_of_one_hand_are_told_from_those_of_two_hands(changed, said, results):
    first = next(iter(results.values())) | {"side": "R", "field": None}
    assert any("another one" in note for note in cautions({"a.json": first, "b.json": first | changed})) == said


def unscored(result):
    """A result as of weights without erosion scores."""
    joints = [{"name": joint["name"], "found": False} for joint in result["joints"]]
    return result | {"joints": joints, "pixels_across_wrist": None}


def test_weights_without_erosion_scores_count_no_erosions(results):
    result = next(iter(results.values()))
    assert cautions({"a.json": unscored(result)}) == []
    notes = cautions({"a.json": unscored(result), "b.json": result, "c.json": real(result)})
    assert notes[-1:] == ["erosion scores of 1 of 2 results are untested on real erosions (column real_erosions)"]
    wrist = make_tables({"a.json": unscored(result)})["wrists"].loc[0]
    assert wrist["joints_scored"] == 0 and pd.isna(wrist["joints_eroded"])


def real(result):
    return result | {"weights": result["weights"] | {"real_erosions": True}, "source_digest": "other"}


def test_weights_without_a_file_are_called_unknown(results):
    alike = {f"{i}.json": result for i, result in enumerate(results.values())}
    alike["0.json"] = alike["0.json"] | {"weights": {"file": None, "real_erosions": False}}
    assert cautions(alike)[0].startswith("results of 2 weight files: jointwrist_tiny (3), unknown (1)")


@pytest.mark.parametrize(
    "content",
    [
        {"source": "a", "bones": {"radius": 1}, "joints": []},
        {"source": "a", "bones": [], "joints": ["STT"]},
        {"baseline": 1, "followup": 2, "registration": None, "bone_areas": None},
        [{"source": "a", "bones": [], "joints": []}],
    ],
)
def test_files_of_other_programs_with_the_same_keys_are_left_out(content, results, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(next(iter(results.values()))))
    (tmp_path / "b.json").write_text(json.dumps(content))
    found = find_results([tmp_path])
    assert (list(found.results), found.others) == (["a.json"], 1)


@pytest.mark.parametrize(
    "changed", [{"weights": "own"}, {"notes": None}, {"bones": [{"name": 1, "found": "x", "box": 2}]}]
)
def test_a_result_that_was_changed_is_named(changed, results):
    result = next(iter(results.values())) | changed
    with pytest.raises(DataError, match=r"a\.json: is not as jointwrist wrote it .*; make it again, or move it"):
        make_tables({"a.json": result})


def test_damaged_files_alone_are_named(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"no result of .* \(1 damaged, such as .*a\.json\)"):
        find_results([tmp_path])


def test_a_file_in_two_places_is_read_once(results, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.json").write_text(json.dumps(next(iter(results.values()))))
    places = [tmp_path, tmp_path / "one", tmp_path / "one" / "a.json", tmp_path / "one" / ".." / "one"]
    assert list(find_results(places).results) == [(tmp_path / "one" / "a.json").as_posix()]


def test_tables_of_an_earlier_run_are_replaced(results, tmp_path):
    tables = make_tables(results)
    few = make_tables({"a.json": unscored(next(iter(results.values()))) | {"joints": [], "joint_spaces": []}})
    for name in ("csv", "tables.xlsx"):
        write_tables(tables, tmp_path / name)
        write_tables(few, tmp_path / name)
    (tmp_path / "csv" / "mine.csv").write_text("a\n")
    write_tables(few, tmp_path / "csv")
    assert {file.stem for file in (tmp_path / "csv").iterdir()} == {"wrists", "bones", "codebook", "mine"}
    assert list(pd.read_excel(tmp_path / "tables.xlsx", sheet_name=None)) == ["wrists", "bones", "codebook"]


@pytest.mark.parametrize("name", ["bones.csv", "codebook.csv", "comparisons.csv"])
def test_tables_of_others_are_not_replaced(name, results, tmp_path):
    (tmp_path / name).write_text("bone,table\n1,2\n")
    with pytest.raises(DataError, match=f"{name}: exists, and is no table of an earlier run; choose another --out"):
        write_tables(make_tables(results), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("content", [b"no workbook", None])
def test_workbooks_of_others_are_not_replaced(content, results, tmp_path):
    path = tmp_path / "patients.xlsx"
    openpyxl.Workbook().save(path) if content is None else path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(DataError, match="exists, and is no workbook of an earlier run; choose another --out"):
        write_tables(make_tables(results), path)
    assert path.read_bytes() == before


def test_file_names_that_are_not_text_are_escaped(results, tmp_path):
    name = b"\xffwrist.png".decode("utf-8", "surrogateescape")
    tables = make_tables({"a.json": next(iter(results.values())) | {"source": name}})
    write_tables(tables, tmp_path / "csv")
    write_tables(tables, tmp_path / "tables.xlsx")
    assert "wrist.png" in Path(tmp_path / "csv" / "wrists.csv").read_text(encoding="utf-8")


def test_whole_numbers_that_no_figure_holds_are_refused_by_file(results):
    for change in ({"turn": 10**400}, {"erosion_threshold": -(10**400)}, {"size": [1, 10**400]}):
        with pytest.raises(DataError, match=r"a\.json: \w+ is a whole number of 1329 bits, which jointwrist did not"):
            make_tables({"a.json": next(iter(results.values())) | change})


def test_whole_numbers_that_no_column_of_whole_numbers_holds_are_written(results, tmp_path):
    result = next(iter(results.values())) | {"turn": 2**70}
    write_tables(make_tables({"a.json": result}), tmp_path)
    assert pd.read_csv(tmp_path / "wrists.csv")["turn"].item() == pytest.approx(2**70, rel=1e-5)
