"""The command line: quick help, one line for what a user can mend, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jointwrist
from jointwrist import commands
from jointwrist.cli import build_parser, main
from jointwrist.commands import columns, find_films
from jointwrist.errors import DataError


def test_help_and_version_load_no_library(tmp_path):
    code = (
        "import sys; from jointwrist.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for command in ("predict", "train", "evaluate", "data", "models", "info"):
        assert command in done.stdout


def test_module_is_the_console_script():
    done = subprocess.run([sys.executable, "-m", "jointwrist", "--version"], capture_output=True, text=True, timeout=60)
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


def test_films_of_a_folder_are_found_in_order(tmp_path):
    for name in ("b.png", "a.BMP", "c.dcm", "IM0001", "notes.txt", ".hidden.png", "scores.json"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    assert [path.name for path in find_films([tmp_path])] == ["IM0001", "a.BMP", "b.png", "c.dcm"]
    with pytest.raises(DataError, match="holds no radiographs"):
        list(find_films([tmp_path / "deeper"]))
    with pytest.raises(DataError, match="no such file"):
        list(find_films([tmp_path / "d.png"]))


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
        assert callable(getattr(commands, parser.get_default("command"))), words
        undocumented = [action.dest for action in parser._actions if not action.help]
        assert not undocumented, f"{' '.join(words)}: {undocumented}"


def test_console_script_is_declared():
    import tomllib

    root = Path(jointwrist.__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"jointwrist": "jointwrist.cli:main"}
