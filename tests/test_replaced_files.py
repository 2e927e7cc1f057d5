"""No output replaces a radiograph, an annotation or weights, and results beside radiographs are not taken for them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from test_predict_command import predict, radiograph, weights  # noqa: F401  (fixtures)

from jointwrist.cli import main
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.data.result_files import ENDINGS
from jointwrist.errors import DataError
from jointwrist.outputs.sheet import is_sheet


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("extra", [(), ("--no-overlay",), ("--overwrite",)])
@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending.endswith(".png")])
def test_a_radiograph_named_like_a_result_stays(tmp_path, predict, ending, extra):  # noqa: F811
    out = tmp_path / "out"
    out.mkdir()
    films = [radiograph(out, "a.png"), radiograph(out, f"a{ending}", np.eye(40))]
    before = contents(out)
    code, said, results = predict(out, extra=["--workers", "1", *extra])
    assert code == 2 and f"{films[1]} " in said.err and "choose another --out" in said.err
    assert {name: contents(out)[name] for name in before} == before
    assert set(results) == {films[1].stem}


@pytest.mark.parametrize("extra", [(), ("--overwrite",)])
def test_an_annotation_of_the_radiographs_name_stays(tmp_path, predict, extra):  # noqa: F811
    out = tmp_path / "out"
    out.mkdir()
    film = radiograph(out, "a.png")
    (out / "a.json").write_text(json.dumps({"shapes": [], "imagePath": "a.png"}))
    before = contents(out)
    code, said, _ = predict(film, extra=extra)
    assert code == 2 and "a.json is no result, and may be an annotation" in said.err
    assert contents(out) == before


def test_a_killed_prediction_and_a_damaged_record_are_done_again(tmp_path, predict):  # noqa: F811
    film, record = radiograph(tmp_path, "a.png"), tmp_path / "out" / "a.json"
    assert predict(film)[0] == 0
    record.unlink()
    assert predict(film)[0] == 0
    record.write_text("{")
    assert main(["predict", str(film), "-o", str(record.parent)]) == 2
    assert predict(film, extra=["--overwrite"])[0] == 0


@pytest.mark.parametrize("damage", [b"no picture", None])
def test_the_earlier_result_of_a_film_that_is_refused_now_is_none_of_this_run(tmp_path, predict, damage):  # noqa: F811
    folder = tmp_path / "in"
    folder.mkdir()
    film, _ = radiograph(folder, "a.png"), radiograph(folder, "b.png")
    assert predict(folder, extra=["--dicom", "seg"])[0] == 2  # no DICOM radiographs, but all else is written
    before = contents(tmp_path / "out")
    refusing = ["--field", "auto"]  # no wrist is found in the blotches
    if damage:
        film.write_bytes(damage)
        refusing = []
        code, said, results = predict(folder)
        assert code == 2 and "a.png: " in said.err and set(results) == {"a", "b"}
        kept = tmp_path / "out" / "a.json"
        assert f"but of another content, left as before ({kept}); --overwrite sets them aside" in said.out
        assert {name: contents(tmp_path / "out")[name] for name in before if name[0] == "a"} == {
            name: content for name, content in before.items() if name[0] == "a"
        }
        code, said, results = predict(folder, extra=["--overwrite"])
        assert code == 2 and set(results) == {"b"}
        assert "1 result of an earlier run, of radiographs refused now, kept as a.json.earlier and left out" in said.out
    else:
        code, said, results = predict(film, extra=refusing)
        assert code == 2 and set(results) == {"b"}
    after = contents(tmp_path / "out")
    assert {name.removesuffix(".earlier") for name in after} == set(before)
    assert all(after[f"{name}.earlier"] == before[name] for name in before if name[0] == "a")
    assert main(["table", str(tmp_path / "out"), "--out", str(tmp_path / "tables")]) == 0
    assert "a.png" not in (tmp_path / "tables" / "wrists.csv").read_text()
    assert list(find_radiographs([tmp_path / "in"])) == [film, folder / "b.png"]
    with pytest.raises(DataError, match="holds no radiographs"):
        list(find_radiographs([tmp_path / "out"]))


@pytest.mark.parametrize("name", ["all.png", "all.jpg"])
def test_a_sheet_replaces_sheets_alone(tmp_path, predict, name):  # noqa: F811
    folder = tmp_path / "in"
    folder.mkdir()
    radiograph(folder, "a.png")
    sheet = folder / name
    for _ in range(2):  # the second run does not take the sheet for a radiograph
        code, _, results = predict(folder, extra=["--sheet", str(sheet)])
        assert code == 0 and set(results) == {"a"} and is_sheet(sheet)
    Image.open(folder / "a.png").save(sheet)
    before = contents(folder)
    for extra in ((), ("--overwrite",)):
        code, said, _ = predict(folder, extra=["--sheet", str(sheet), *extra])
        assert code == 2 and f"{name}: exists, and is no sheet of an earlier run" in said.err
    assert contents(folder) == before


def test_weights_and_visits_are_not_replaced_by_what_is_made_of_them(tmp_path, capsys, weights):  # noqa: F811
    file = shutil.copy(weights, tmp_path / "w.safetensors")
    visit = radiograph(tmp_path, "comparison.png")
    commands = [
        ["export", str(file), str(tmp_path / "." / "w.safetensors"), "--format", "onnx"],
        ["models", "convert", "--model", "unet", str(file), str(file)],
        ["compare", str(visit), str(radiograph(tmp_path, "b.png")), "--out", str(tmp_path), "--side", "L"],
    ]
    before = contents(tmp_path)
    for command in commands:
        assert main(command) == 2
        assert "is read here, and would be replaced" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_results_in_the_folder_of_a_datasets_images_are_none_of_them(tmp_path, phantom_root, predict):  # noqa: F811
    root = tmp_path / "root"
    shutil.copytree(phantom_root, root)
    images = root / "BoneSegmentation" / "images"
    before = check_dataset(root)
    film = sorted(images.iterdir())[0]
    assert predict(film)[0] == 0
    for result in (tmp_path / "out").iterdir():
        shutil.copy(result, images)
    assert (images / f"{film.stem}_overlay.png").is_file() and check_dataset(root) == before
