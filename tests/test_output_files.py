"""Places of outputs: files and folders that are in the way, names that cannot be written, two writers at once."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jointwrist.cli import main
from jointwrist.data.images import write_image
from jointwrist.errors import StorageError
from jointwrist.files import atomic, check_writable, whole_folder, write_frame, write_text
from jointwrist.outputs.tables import write_tables

pytestmark = [
    pytest.mark.trust,
    pytest.mark.skipif(sys.platform == "win32", reason="names and errors of Unix"),
]


def test_two_writers_of_one_file_have_a_temporary_file_each(tmp_path):
    path = tmp_path / "table.csv"
    with atomic(path) as first:
        first.write_text("first")
        with atomic(path) as second:  # a machine with which the folder is shared may give it the same process number
            second.write_text("second")
    assert first != second and path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "make room"), (errno.EDQUOT, "make room"), (errno.EROFS, "choose a folder")]
)
def test_what_a_disk_says_becomes_a_remedy(number, remedy, tmp_path):
    with pytest.raises(StorageError, match=remedy), atomic(tmp_path / "rows.csv"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(InterruptedError), atomic(tmp_path / "rows.csv"):
        raise InterruptedError(errno.EINTR, "another error is not the disk's")


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "jointwrist_tiny", "--data", "none"],
        ["evaluate", "jointwrist_tiny", "--data", "none", "--grid", "image"],
        ["evaluate", "--predictions", "none", "--data", "none"],
        ["predict", "{picture}"],
        ["predict", "{picture}", "--out", "{folder}/new", "--sheet", "{out}/sheet.png"],
        ["compare", "{picture}", "{picture}"],
        ["export", "jointwrist_tiny", "{out}/wrist.onnx"],
    ],
)
def test_a_file_in_the_place_of_the_output_is_named_before_the_work(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "jointwrist.inference.predictor.Predictor.from_pretrained", lambda *_, **__: pytest.fail("work")
    )
    out, picture = tmp_path / "out", tmp_path / "wrist_L.png"
    write_text(out, "not a folder")
    write_image(picture, np.eye(64))
    given = [part.format(picture=picture, out=out, folder=tmp_path) for part in command]
    if not any(str(out) in part for part in given):
        given += ["--out", str(out)]
    assert main(given) == 2
    assert capsys.readouterr().err == f"jointwrist: {out}: is a file; choose a folder as --out\n"
    assert out.read_text() == "not a folder"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("wrist.onnx", ["export", "jointwrist_tiny", "{out}"]),
        ("wrist", ["export", "jointwrist_tiny", "{out}", "--format", "torch"]),
        ("card.md", ["export", "jointwrist_tiny", "{out}"]),
        ("sheet.png", ["predict", "{picture}", "--out", "{folder}/new", "--sheet", "{out}"]),
    ],
)
def test_a_folder_in_the_place_of_a_file_is_named_before_the_work(name, command, tmp_path, capsys, monkeypatch):
    for work in ("inference.predictor.Predictor.from_pretrained", "inference.model_export.export_weights"):
        monkeypatch.setattr(f"jointwrist.{work}", lambda *_, **__: pytest.fail("work"))
    out, picture = tmp_path / name, tmp_path / "wrist_L.png"
    out.mkdir()
    write_image(picture, np.eye(64))
    assert main([part.format(picture=picture, out=out, folder=tmp_path) for part in command]) == 2
    assert capsys.readouterr().err == f"jointwrist: {out}: is a folder; give the name of a file, such as one in it\n"
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "{picture}", "--out", "{closed}/new/deeper"],
        ["predict", "{picture}", "--out", "{closed}"],
        ["predict", "{picture}", "--out", "{folder}/new", "--sheet", "{closed}/sheet.png"],
        ["compare", "{picture}", "{picture}", "--out", "{closed}/new"],
        ["export", "jointwrist_tiny", "{closed}/wrist.onnx"],
        ["evaluate", "--predictions", "none", "--data", "none", "--out", "{closed}"],
    ],
)
def test_a_folder_that_cannot_be_written_to_is_named_before_the_work(command, tmp_path, capsys, monkeypatch):
    for work in ("inference.predictor.Predictor.from_pretrained", "inference.model_export.export_weights"):
        monkeypatch.setattr(f"jointwrist.{work}", lambda *_, **__: pytest.fail("work"))
    closed, picture = tmp_path / "closed", tmp_path / "wrist_L.png"
    closed.mkdir()
    write_image(picture, np.eye(64))
    for method in ("touch", "mkdir"):
        original = getattr(Path, method)

        def refuse(path, *arguments, original=original, **options):
            if path.is_relative_to(closed) and path != closed:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            original(path, *arguments, **options)

        monkeypatch.setattr(Path, method, refuse)
    assert main([part.format(picture=picture, closed=closed, folder=tmp_path) for part in command]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"jointwrist: {closed}") and told.count("\n") == 1
    assert "cannot be written (Permission denied)" in told and "choose a folder that can be written to" in told
    assert list(closed.iterdir()) == [] and not (tmp_path / "new").exists()


def test_a_workbook_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"tables\.xlsx: cannot be written \(No space left .*make room"):
        write_tables({"codebook": pd.DataFrame({"a": range(3)})}, tmp_path / "tables.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_not_written_in_the_place_of_a_folder(tmp_path):
    with pytest.raises(StorageError, match=r"is a folder; give the name of a file"):
        write_text(tmp_path, "table")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [lambda path: write_text(path, "table"), check_writable], ids=["file", "folder"])
def test_a_name_that_is_too_long_is_refused_with_the_remedy(write, tmp_path):
    with pytest.raises(StorageError, match=r"File name too long.*: choose a shorter name"):
        write(tmp_path / ("a" * 300))


def test_names_that_are_not_text_are_escaped_in_tables_and_texts(tmp_path):
    write_frame(tmp_path / "a.csv", pd.DataFrame({"file": ["M\udcfcller.png", "Müller.png"]}))
    write_text(tmp_path / "a.txt", "M\udcfcller.png")
    assert (tmp_path / "a.csv").read_text("utf-8").split() == ["file", "M\\udcfcller.png", "Müller.png"]
    assert (tmp_path / "a.txt").read_text("utf-8") == "M\\udcfcller.png"


def test_a_folder_that_another_process_filled_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(StorageError, match="filled in the meantime, by another process"), whole_folder(out) as folder:
        write_text(folder / "mine", "1")
        write_text(out / "theirs", "2")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/theirs"]
