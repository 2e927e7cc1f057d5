"""`jointwrist predict` on many radiographs: order, refusals, Ctrl-C, readers that go away, names that are taken."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import threading
import time

import numpy as np
import pytest
import torch
from test_predict_command import predict, radiograph, weights  # noqa: F401  (fixtures)

from jointwrist.cli import main
from jointwrist.commands import result_writer
from jointwrist.commands.in_order import in_order, limit_threads
from jointwrist.commands.tally import MOST_PRINTED, REFUSED, reason
from jointwrist.inference.predictor import Predictor


def films(folder, count):
    """Write radiographs that differ."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        grey = np.random.default_rng(index).random((40, 40)).astype(np.float32)
        radiograph(folder, f"{index:03d}.png", grey)
    return folder


def test_results_come_in_the_order_of_the_items():
    def work(item):
        time.sleep(0.02 * (item % 3 == 0))
        return item, threading.get_ident()

    done = list(in_order(work, range(20), 4))
    assert [item for item, _ in done] == list(range(20)) and len({thread for _, thread in done}) > 1


def test_items_are_taken_as_they_are_needed():
    taken = []
    done = in_order(lambda item: item, (taken.append(item) or item for item in range(1000)), 3)
    assert next(done) == 0 and len(taken) < 10
    done.close()
    assert len(taken) < 10


@pytest.mark.parametrize("workers", [1, 3])
def test_once_stopped_nothing_more_begins_and_what_began_is_finished(workers):
    stop, began = threading.Event(), []

    def work(item):
        began.append(item)
        if item == 4:
            stop.set()
        return item

    done = list(in_order(work, range(100), workers, stop.is_set))
    assert done == sorted(began) and 5 <= len(done) < 100


@pytest.mark.parametrize("workers", [1, 2])
def test_lines_are_printed_in_order_with_a_summary(tmp_path, predict, workers):  # noqa: F811
    code, said, results = predict(films(tmp_path / "in", 6), extra=["--workers", str(workers)])
    lines = said.out.splitlines()
    assert code == 0 and [line[:7] for line in lines[:6]] == [f"{index:03d}.png" for index in range(6)]
    assert lines[6].startswith("6 of 6 radiographs predicted; ") and lines[6].endswith(" s each")
    assert len(results) == 6 and said.err == ""


def test_files_that_are_no_radiographs_take_a_few_lines(tmp_path, predict):  # noqa: F811
    folder = films(tmp_path / "in", 1)
    for index in range(400):
        (folder / f"n{index}.png").write_bytes(b"no picture")
    code, said, results = predict(folder)
    assert code == 2 and set(results) == {"000"}
    assert len(said.err.splitlines()) == MOST_PRINTED + 1 and REFUSED in said.err
    assert "1 of 401 radiographs predicted, 400 refused (400 not a BMP, PNG, JPEG or TIFF image)" in said.out
    assert len((tmp_path / "out" / REFUSED).read_text().splitlines()) == 400


def test_refusals_are_counted_by_reason():
    assert reason("a: b.png: 1 x 2 pixels; a side may have 3") == "b.png: N x N pixels"
    alike = {reason(f"{name}: damaged image (at byte {name}); copy it again") for name in ("a.png", "b.png")}
    assert alike == {"damaged image"}


def test_ctrl_c_loses_no_finished_radiograph(tmp_path, predict, monkeypatch):  # noqa: F811
    stream, seen = Predictor.stream, []

    def interrupted(self, sources, *arguments, **options):
        seen.append(sources)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)
        return stream(self, sources, *arguments, **options)

    monkeypatch.setattr(Predictor, "stream", interrupted)
    before = signal.getsignal(signal.SIGINT)
    code, said, results = predict(films(tmp_path / "in", 30), extra=["--workers", "2"])
    assert code == 130 and signal.getsignal(signal.SIGINT) is before
    assert 3 <= len(results) == len(seen) < 30
    assert [line[:3] for line in said.out.splitlines()][: len(results)] == sorted(results)
    assert f"{len(results)} of 30 radiographs predicted, {30 - len(results)} not begun" in said.out


def test_ctrl_c_before_the_first_radiograph_is_one_line(tmp_path, predict, monkeypatch):  # noqa: F811
    load = Predictor.from_pretrained

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return load(*arguments, **options)

    monkeypatch.setattr(Predictor, "from_pretrained", interrupted)
    # other tests of the same process may have left another handler
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, said, _ = predict(films(tmp_path / "in", 1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, said.err) == (130, "jointwrist: interrupted\n")


def test_another_radiograph_of_the_same_name_overwrites_nothing(tmp_path, predict):  # noqa: F811
    first, second = (radiograph(films(tmp_path / name, 1), "w.png", np.eye(40 + n)) for n, name in enumerate("ab"))
    assert predict(first)[0] == predict(first)[0] == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    code, said, _ = predict(second)
    assert code == 2 and f"{second}: the output folder holds another result (" in said.err
    assert "w.json); choose another --out" in said.err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == written
    code, _, results = predict(second, extra=["--overwrite"])
    assert code == 0 and results["w"]["size"] == [41, 41]
    # a name that tells nothing is taken too
    assert predict(first, extra=["--deidentify"])[0] == predict(first, extra=["--deidentify"])[0] == 0
    code, said, _ = predict(second, extra=["--deidentify"])
    assert code == 2 and "film-001: " in said.err and "w.png" not in said.err


def test_results_of_the_version_before_are_known_by_their_name(tmp_path, predict):  # noqa: F811
    path = radiograph(tmp_path)
    predict(path)
    record = tmp_path / "out" / "radiograph.json"
    told = json.loads(record.read_text())
    assert len(told.pop("source_digest")) == 32
    record.write_text(json.dumps(told))
    assert predict(path)[0] == 0
    for odd in ("[]", "1", '{"source": "other.png"}'):
        record.write_text(odd)
        assert predict(path)[0] == 2, odd


def test_overlays_of_many_radiographs_are_drawn_when_asked_for(tmp_path, predict, monkeypatch):  # noqa: F811
    monkeypatch.setattr(result_writer, "MOST_OVERLAYS", 1)
    out, folder = tmp_path / "out", films(tmp_path / "in", 2)
    assert "scores and masks (overlays with --overlay): " in predict(folder)[1].out
    assert not list(out.glob("*_overlay.png")) and len(list(out.glob("*_masks.npz"))) == 2
    assert "overlays, scores and masks" in predict(folder, extra=["--overlay"])[1].out
    assert len(list(out.glob("*_overlay.png"))) == 2
    predict(folder / "000.png", extra=["--no-overlay"])
    assert [path.name for path in out.glob("*_overlay.png")] == ["001_overlay.png"], "none of an earlier result stays"


def test_a_reader_that_goes_away_is_no_error(tmp_path, weights, monkeypatch, capsys):  # noqa: F811
    folder = films(tmp_path / "in", 3)
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(os.fdopen(writing, "wb")) as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        words = ["predict", str(folder), "-w", str(weights), "-o", str(tmp_path / "out"), "--field", "whole"]
        assert main(words) == 141
    monkeypatch.undo()
    assert capsys.readouterr().err == "" and list((tmp_path / "out").glob("*.json"))


def test_a_port_in_use_is_one_line(weights, capsys):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["view", "-w", str(weights), "--field", "whole", "--port", port, "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"cannot listen on 127.0.0.1:{port}" in said and "--port" in said


def test_threads_are_limited_to_what_is_allowed(monkeypatch):
    before = torch.get_num_threads()
    try:
        for allowed, asked, given in (("", 3, 3), ("2", 3, 2), ("4", 1, 1)):
            monkeypatch.setenv("OMP_NUM_THREADS", allowed)
            limit_threads(asked)
            assert os.environ["OMP_NUM_THREADS"] == str(given) and torch.get_num_threads() == given
    finally:
        torch.set_num_threads(before)
