"""`jointwrist view`."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from jointwrist.cli import build_parser, main
from jointwrist.viewer import run
from jointwrist.viewer.server import ViewerServer, is_loopback


@pytest.fixture
def started(monkeypatch):
    """What `jointwrist view` served, and what it opened in a browser; it ends at once as by Ctrl-C."""
    seen = {"opened": []}

    def serve(self):
        seen["server"] = self
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewerServer, "serve_forever", serve)
    monkeypatch.setattr(run.webbrowser, "open", seen["opened"].append)
    return seen


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.3", "wrist-7", "localhost.evil.example")))


def test_command_serves_at_this_machine_alone(started, wrists, capsys):
    assert main(["view", str(wrists[0].parent), "--port", "0", "--no-browser", "--max-upload", "3"]) == 0
    server, said = started["server"], capsys.readouterr()
    assert server.server_address[0] == "127.0.0.1"
    assert server.server_port != 0
    assert server.max_upload == 3 * 2**20
    assert server.url in said.out
    assert "WARNING" not in said.err
    assert started["opened"] == []


def test_command_opens_the_browser(started, capsys):
    assert main(["view", "--port", "0"]) == 0
    end = time.monotonic() + 60
    while not started["opened"] and time.monotonic() < end:
        time.sleep(0.01)
    server = started["server"]
    assert started["opened"] == [server.url.replace(f"{server.secret}/", server.ticket)]


def test_command_is_loud_about_the_network(started, capsys):
    assert main(["view", "--port", "0", "--no-browser", "--host", "0.0.0.0"]) == 0
    assert "WARNING" in capsys.readouterr().err
    assert started["server"].url.startswith("http://127.0.0.1:")


def test_command_names_what_is_missing(started, tmp_path, capsys):
    assert main(["view", str(tmp_path / "none.png"), "--no-browser"]) == 2
    assert "none.png" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["view", "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err
    for port in ("65536", "-1"):
        assert main(["view", "--no-browser", f"--port={port}"]) == 2
        assert f"cannot listen on 127.0.0.1:{port} (" in capsys.readouterr().err


def test_defaults():
    arguments = build_parser().parse_args(["view"])
    assert (arguments.host, arguments.max_upload, arguments.browser) == ("127.0.0.1", 64, True)
    assert Path(arguments.weights).name == "jointwrist_tiny"
