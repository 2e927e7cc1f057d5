"""Damaged and hostile files: each is read, or refused by an error that names it; no code in it is run."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import bad_corpus
import bad_files
import bad_routes
import numpy as np
import pytest

from jointwrist.cli import main
from jointwrist.data.load import load_radiograph
from jointwrist.errors import DataError

pytestmark = pytest.mark.trust

#: Memory that a file may take by each route, beyond the program's own, as docs/trust.md has it.
BYTES = {"reader": 2**30, "checker": 2**30, "predict": 3 * 2**30, "convert": 2**30, "viewer": 3 * 2**30}
#: Time that a file may take on a machine that does much else.
SECONDS = 120


def read(name: str, path: Path):
    """Read a file as its name asks, or return None where it is refused by name."""
    try:
        return bad_routes.READERS[bad_corpus.kind_of(name)](path)
    except DataError as error:
        assert path.name in str(error)
        return None


@pytest.mark.parametrize("name", bad_files.SOUND)
def test_sound_files_are_read(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(bad_files.SOUND[name]())
    assert read(name, path) is not None


@pytest.mark.timeout(20)
def test_a_jpegls_image_cut_short_is_refused_at_once(tmp_path):
    """Found by `fuzz.py`: the decoder took half a minute over two kilobytes."""
    path = tmp_path / "cut.dcm"
    path.write_bytes(bad_files.jpegls_cut_short())
    with pytest.raises(DataError, match=r"cut\.dcm: JPEG-LS image cut short"):
        load_radiograph(path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The folder of all bad files, beside which a trap would leave its mark."""
    folder = tmp_path_factory.mktemp("bad") / "files"
    folder.mkdir()
    bad_corpus.write(folder, folder.with_name("ran"))
    return folder


def snapshot(folder: Path) -> dict[str, tuple]:
    """What lies in a folder, links not followed."""
    found = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        found[str(path)] = (state.st_mode, state.st_size, state.st_mtime_ns)
    return found


@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("route", BYTES)
def test_every_bad_file_by_every_route(route, corpus, processes, tmp_path, record_property):
    """Read, or refused by name: no crash, no hang, bounded memory, nothing run, nothing written but in the output."""
    before, here, out = snapshot(corpus.parent), tmp_path / "here", tmp_path / "out"
    here.mkdir()
    process = processes.Process(target=bad_routes.run, args=(route, corpus, out, here))
    process.start()
    process.join(1700)
    told = [json.loads(line) for line in (out / "told.jsonl").read_text().splitlines()]
    assert process.exitcode == 0, (told[-1], (out / "printed.txt").read_text())
    told = [line for line in told if "outcome" in line]
    record_property("cases", len(told))
    # the checker knows no weights, and no radiographs in DICOM files or arrays
    assert len(told) == len(bad_corpus.found(corpus)) or (route == "checker" and len(told) >= 200)
    assert len(told) >= 200
    assert {line["name"]: line["message"] for line in told if line["outcome"] == "failed"} == {}
    assert {line["name"]: line["bytes"] for line in told if line["bytes"] > BYTES[route]} == {}
    assert {line["name"]: line["seconds"] for line in told if line["seconds"] > SECONDS} == {}
    refused = {line["name"]: line["message"] for line in told if line["outcome"] == "refused"}
    assert len(refused) > 100 and all(refused.values())
    assert not [name for name, message in refused.items() if "Traceback" in message or len(message) > 2000]
    assert snapshot(corpus.parent) == before and snapshot(here) == {}
    assert list((out / "temporary").iterdir()) == []


def test_pickles_in_arrays_are_never_loaded(tmp_path):
    target, path = tmp_path / "ran", tmp_path / "masks.npy"
    for name in ("trap.npy", "trap.pth"):
        path.write_bytes(bad_corpus.trapped(name, target))
        assert read("masks.npy", path) is None
    assert not target.exists()
    np.load(io.BytesIO(bad_corpus.trapped("trap.npy", target)), allow_pickle=True)
    assert target.exists(), "the trap must be one"


def test_links_are_followed_for_reading_and_never_for_writing(tmp_path):
    """A folder of links is a folder of images; a link where a result goes is replaced, not written through."""
    radiograph, folder, out = tmp_path / "radiograph.png", tmp_path / "radiographs", tmp_path / "out"
    radiograph.write_bytes(bad_files.SOUND["grey.png"]())
    folder.mkdir()
    (folder / "linked.png").symlink_to(radiograph)
    command = ["predict", str(folder), "--field", "whole", "-o"]
    assert main([*command, str(tmp_path / "first")]) == 0
    names = [path.name for path in (tmp_path / "first").iterdir()]
    assert len(names) >= 3 and all(name.startswith("linked") for name in names)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    out.mkdir()
    for name in names:
        (out / name).symlink_to(victim)
    assert main([*command, str(out)]) == 2 and victim.read_text() == "mine"
    assert main([*command, str(out), "--overwrite"]) == 0
    assert victim.read_text() == "mine" and not any(path.is_symlink() for path in out.iterdir())
