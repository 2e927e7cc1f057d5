"""What the processes of test_node_kill.py and test_node_bad_peers.py run; imported once, before any of them starts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch
from bad_peers import BAD_PEERS, body, store
from node_peers import discs, free_port, radiograph, running, wait_for

from jointwrist.node.config import DicomConfig, HttpConfig, NodeConfig, PeerConfig
from jointwrist.node.run import Node, start_log


def serve(config: NodeConfig) -> None:
    """Run a node as a process of its own until SIGTERM."""
    torch.set_num_threads(1)
    node = Node(config, discs())
    signal.signal(signal.SIGTERM, lambda *_: node.stop())
    node.run()


def talk(folder: str, output: Path) -> None:
    """Send a node what its log must not quote; what the process prints goes to a file."""
    torch.set_num_threads(1)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    start_log()
    peer = PeerConfig("p", "P", "127.0.0.1", free_port())
    config = NodeConfig(folder, (peer,), DicomConfig(port=free_port()), HttpConfig(port=free_port()))
    with running(config, discs()) as node:
        values = dict(PatientBirthDate="SECRET", PatientAge="SECRET", PatientName="SECRET" * 20)
        for uid in ("1.SECRET", "1.SECRET" * 20, "1.2"):
            store(node, body(radiograph(size=64, **values)), uid=uid)
        BAD_PEERS["a_command_without_a_field"](node)
        wait_for(lambda: node.worker.counts["predicted"] == 2)
