"""The command line: quick help, one line for what a user can mend, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import hand_made_dataset
import pytest

import jointwrist
from jointwrist.cli import build_parser, main
from jointwrist.commands.messages import UsageError, columns
from jointwrist.commands.output_names import hand_stems, output_stems
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.errors import DataError
from jointwrist.openmp import share_cores, stated_threads
from jointwrist.weights.checkpoint import read_weights


def test_help_and_version_load_no_library(tmp_path):
    code = (
        "import os, sys; from jointwrist.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'passive', 'set before torch reads it'"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for command in ("predict", "train", "evaluate", "data", "models", "info"):
        assert command in done.stdout


def test_threads_wait_as_the_user_chose_or_asleep(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


@pytest.mark.parametrize(("stated", "number"), [("3", 3), ("2,4", 2), (" 5 ", 5), ("", 0), ("many", 0), ("-1", 0)])
def test_the_number_of_threads_is_the_first_that_is_stated(monkeypatch, stated, number):
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    assert stated_threads() == number


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors of Unix")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_reason_to_stop_and_no_results_get_their_messages(tmp_path, closed):
    schema = tmp_path / "schema.json"
    command = f"'{sys.executable}' -m jointwrist config --schema run -o '{schema}' {closed}"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(schema.read_text())["type"] == "object"


def test_closed_streams_are_opened_on_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["config", "--schema", "node"]) == 0
    assert main(["predict", "absent.png"]) == 2
    assert "absent.png: no such file" in capsys.readouterr().err


def test_module_is_the_console_script():
    done = subprocess.run(
        [sys.executable, "-m", "jointwrist", "--version"], capture_output=True, text=True, timeout=240
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"jointwrist {jointwrist.__version__}")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nothing"],
        ["data"],
        ["predict"],
        ["data", "phantom", "x", "--wrists", "0"],
        ["predict", "x", "--side", "left"],
    ],
)
def test_a_wrong_command_line_ends_with_code_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_what_a_user_can_mend_is_one_line_and_code_2(tmp_path, capsys):
    assert main(["predict", str(tmp_path / "missing.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "missing.png" in captured.err


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        main(["--debug", "predict", str(tmp_path / "missing.png")])


def test_radiographs_of_a_folder_and_its_folders_are_found_in_order(tmp_path):
    for name in ("b.png", "a.BMP", "c.dcm", "notes.txt", "LICENSE", ".hidden.png", "scores.json", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "study" / "series").mkdir(parents=True)
    (tmp_path / "study" / "series" / "IM0001").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b_overlay.png").touch()
    (tmp_path / "empty").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_radiographs([tmp_path], exclude=tmp_path / "out")]
    assert found == ["a.BMP", "b.png", "c.dcm", "study/series/IM0001"]
    assert tmp_path / "out" / "b_overlay.png" in find_radiographs([tmp_path])
    assert list(find_radiographs([tmp_path / "LICENSE"])) == [tmp_path / "LICENSE"], "who names a file wants it"
    with pytest.raises(DataError, match="holds no radiographs"):
        list(find_radiographs([tmp_path / "empty"]))
    with pytest.raises(DataError, match="no such file"):
        list(find_radiographs([tmp_path / "d.png"]))


def test_of_a_dataset_its_radiographs_are_found_once_and_none_of_its_labels(tmp_path):
    root, told = hand_made_dataset.build(tmp_path / "release"), []
    cases = RamW600.open(root).cases
    found = list(find_radiographs([root], left_out=lambda _, others: told.extend(others)))
    assert sorted(found) == sorted(case.image for case in cases)
    assert {root / "BoneSegmentation/masks", root / "SvdHBEScoreClassification"} <= set(told)
    folder = root / "JointLocationDetection"
    assert list(find_radiographs([folder])) == sorted((folder / "images").iterdir()), "who names a folder wants it"
    parts = [root / part for part in ("BoneSegmentation", "JointLocationDetection")]
    assert set(find_radiographs(parts)) == {case.image for case in cases} | set((folder / "images").iterdir())


@pytest.mark.parametrize("value", ["-1", "4294967296", "one"])
@pytest.mark.parametrize(
    "words",
    [
        ["data", "phantom", "out"],
        ["data", "import", "coco", "in.json", "out"],
        ["adapt", "in", "-o", "out"],
        ["detectability", "in"],
        ["finetune", "in", "-o", "out"],
    ],
)
def test_a_seed_that_no_generator_takes_is_refused_at_once(words, value, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--seed", value])
    assert stopped.value.code == 2 and "argument --seed: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "script",
    "ablations erosion_pixels families joint_spaces layouts left_out_families other_tool resolution run_all".split(),
)
def test_a_benchmark_refuses_such_a_seed_before_its_work(script, capsys, monkeypatch):
    option = "--seeds" if script in ("ablations", "layouts", "left_out_families", "run_all") else "--seed"
    monkeypatch.setattr(sys, "argv", [f"{script}.py", option, "-1"])
    with pytest.raises(SystemExit) as stopped:
        import_module(f"benchmarks.{script}").main()
    assert stopped.value.code == 2 and f"argument {option}: -1 is not at least 0" in capsys.readouterr().err


def test_an_empty_argument_is_not_the_current_folder(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["predict", ""])
    assert stopped.value.code == 2 and "an argument is empty" in capsys.readouterr().err


def test_a_file_that_looks_like_an_option_is_named_with_what_to_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("-x_L.png", "-o"):
        (tmp_path / name).touch()
    for words in (["predict", "-x_L.png"], ["compare", "a.png", "-x_L.png"], ["data", "import", "coco", "-x_L.png"]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and "-x_L.png: the name begins with a hyphen" in said and "./-x_L.png" in said
    assert main(["predict", "-o", "out", "--", "-x_L.png"]) == 2
    assert "-x_L.png: is empty (0 bytes)" in capsys.readouterr().err


def test_outputs_never_overwrite_one_another():
    radiographs = [Path("a/1.png"), Path("a/1.dcm"), Path("a/2.png")]
    assert output_stems(radiographs) == ["1_png", "1_dcm", "2"]
    assert output_stems([*radiographs, Path("b/1.png")]) == ["a_1_png", "1_dcm", "2", "b_1_png"]
    assert output_stems([Path("/x/s1/IM1"), Path("/x/s2/IM1"), Path("/x/IM2")]) == ["s1_IM1", "s2_IM1", "IM2"]
    assert output_stems([]) == []
    # on some disks, and in archives unpacked there, case does not tell files apart
    assert output_stems([Path("/x/Wrist.png"), Path("/y/wrist.png")]) == ["x_Wrist_png", "y_wrist_png"]
    assert output_stems([Path("/x/Wrist.png"), Path("/x/wrist.png")]) == ["Wrist", "wrist"]
    with pytest.raises(UsageError, match="2 radiographs would be written as 1_png"):
        output_stems([Path("1.png"), Path("1.dcm"), Path("1_png.bmp")])


def test_the_two_hands_of_a_radiograph_take_no_other_radiograph_s_name():
    first, _, second = hand_stems(["both", "both_L", "both_both"])
    assert first == {"L": "both_both_L", "R": "both_R"}
    assert second == {"L": "both_both_both_L", "R": "both_both_R"}


def test_columns_align():
    text = columns([("name", "n"), ("a", "1"), ("long name", "1,000")], right=(1,))
    assert text.splitlines() == ["name           n", "a              1", "long name  1,000"]


def test_info_is_json_of_the_anatomy_and_the_machine(capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["bones"]) == 14
    assert len(facts["joints"]) == 6
    assert facts["packages"]["torch"]
    assert main(["info"]) == 0
    assert f"version   {jointwrist.__version__}" in capsys.readouterr().out


def test_every_command_has_help_and_a_function():
    def leaves(parser, words=()):
        groups = [
            action for action in parser._actions if hasattr(action, "choices") and isinstance(action.choices, dict)
        ]
        if not groups:
            yield words, parser
        for group in groups:
            for name, child in group.choices.items():
                yield from leaves(child, (*words, name))

    found = dict(leaves(build_parser()))
    assert {("predict",), ("data", "check"), ("models", "convert"), ("info",)} <= set(found)
    for words, parser in found.items():
        assert callable(parser.get_default("run")), words
        undocumented = [action.dest for action in parser._actions if not action.help]
        assert not undocumented, f"{' '.join(words)}: {undocumented}"


def test_console_script_is_declared():
    import tomllib

    root = Path(jointwrist.__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"jointwrist": "jointwrist.cli:main"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("release")
    words = ["data", "phantom", str(root), "--wrists", "9", "--size", "96", "--workers", "1", "--set", "prevalence=0.5"]
    assert main(words) == 0
    return root


def test_phantom_settings_that_do_not_exist_are_named(tmp_path, capsys):
    assert main(["data", "phantom", str(tmp_path), "--set", "prevalance=0.5"]) == 2
    assert "prevalence" in capsys.readouterr().err
    assert main(["data", "phantom", str(tmp_path), "--size", "3"]) == 2
    assert "size" in capsys.readouterr().err


def test_check_passes_a_phantom_and_names_the_file_of_a_fault(dataset, tmp_path, capsys):
    assert main(["data", "check", str(dataset)]) == 0
    broken = tmp_path / "broken"
    shutil.copytree(dataset, broken)
    mask = min(broken.glob("BoneSegmentation/masks/*/*.npy"))
    mask.write_bytes(mask.read_bytes()[:100])
    capsys.readouterr()
    assert main(["data", "check", str(broken)]) == 1
    output = capsys.readouterr().out
    assert any(line.startswith("error:") and mask.name in line for line in output.splitlines())
    assert main(["data", "check", str(tmp_path / "nothing")]) == 1


def test_train_evaluate_and_predict(dataset, tmp_path, capsys):
    run, rows, pictures = tmp_path / "run", tmp_path / "rows", tmp_path / "pictures"
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("image_size: 48\noptim: {epochs: 3, batch_size: 4}\n")
    second.write_text("image_size: 32\noptim: {epochs: 2}\n")
    settings = ["-c", str(first), "--config", str(second), "--set", "optim.epochs=1"]
    assert main(["train", "jointwrist_tiny", "--data", str(dataset), "-o", str(run), *settings]) == 0
    info = read_weights(run / "best.safetensors")[1]
    trained = info["config"]
    assert (trained["image_size"], trained["optim"]["batch_size"], trained["optim"]["epochs"]) == (32, 4, 1)
    header, *epochs = (run / "history.csv").read_text().splitlines()
    assert header.startswith("epoch,lr,train_") and len(epochs) == 1 and epochs[0].startswith("1,")
    card = (run / "README.md").read_text(encoding="utf-8")
    assert f"{info['training']['wrists']} phantom wrists, no real radiographs" in card and "| Epoch | 1 |" in card
    assert main(["evaluate", str(run), "--data", str(dataset), "-o", str(rows)]) == 0
    assert {path.name for path in rows.iterdir()} == {"segmentation.csv", "erosion.csv"}
    capsys.readouterr()
    radiograph = min((dataset / "BoneSegmentation" / "images").iterdir())
    sheet = tmp_path / "sheets" / "all.png"
    assert (
        main(["predict", str(radiograph), "--weights", str(run), "-o", str(pictures), "--json", "--sheet", str(sheet)])
        == 0
    )
    assert sheet.read_bytes().startswith(b"\x89PNG")
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((pictures / f"{radiograph.stem}.json").read_text())
    assert printed["side"] == radiograph.stem[-1]
    assert len(list(pictures.iterdir())) == 4


def test_a_radiograph_that_cannot_be_read_does_not_stop_the_others(dataset, tmp_path, capsys):
    from jointwrist.registry import create_model
    from jointwrist.weights.checkpoint import save_weights

    weights = tmp_path / "best.safetensors"
    info = {"model": "jointwrist_tiny", "options": {}, "image_size": 32}
    save_weights(weights, create_model("jointwrist_tiny"), info)
    good = min((dataset / "BoneSegmentation" / "images").iterdir())
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    out = tmp_path / "out"
    assert main(["predict", str(bad), str(good), str(good), "-w", str(weights), "-o", str(out)]) == 2
    captured = capsys.readouterr()
    assert "bad.png" in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out.count(f"{good.name}:") == 1


def test_models_are_listed(capsys):
    assert main(["models", "list", "jointwrist_*"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "model",
        "jointwrist_base",
        "jointwrist_tiny",
    ]
    assert main(["models", "list", "nothing*"]) == 2
    assert "nothing*" in capsys.readouterr().err
