"""The tests' own guard: whatever asks the network is refused and found out, whatever stays here is not."""

from __future__ import annotations

import socket
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


def test_this_machine_may_be_asked():
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
