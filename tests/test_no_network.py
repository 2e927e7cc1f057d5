"""The tests' own guard: whatever asks the network is refused and found out, whatever stays here is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest


@pytest.mark.parametrize("address", ["192.0.2.1", "example.org", "::ffff:192.0.2.1"])
def test_nothing_leaves_the_machine(address, no_network):
    with pytest.raises(OSError, match="tests use no network"):
        socket.create_connection((address, 80), timeout=1)
    with pytest.raises(urllib.error.URLError, match="tests use no network"):
        urllib.request.urlopen(f"http://{f'[{address}]' if ':' in address else address}/", timeout=1)
    assert len(no_network) >= 2
    no_network.clear()


def test_onnxruntime_reports_nothing_and_keeps_no_identifier(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    code = (
        "from pathlib import Path; from jointwrist.inference.engines.onnx_network import OnnxNetwork;"
        "from jointwrist.weights.find import find_weights;"
        "OnnxNetwork(find_weights('jointwrist_tiny').with_suffix('.onnx'), optimised=True)"
    )
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    # a process of its own, as onnxruntime reads the variable once
    subprocess.run([sys.executable, "-c", code], env=kept | {"HOME": str(tmp_path)}, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_this_machine_may_be_asked():
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
