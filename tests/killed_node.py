"""What the processes of test_node_kill.py run; imported once, before any of them starts."""

from __future__ import annotations

import signal

import torch
from node_peers import discs

from jointwrist.node.config import NodeConfig
from jointwrist.node.run import Node


def serve(config: NodeConfig) -> None:
    """Run a node as a process of its own until SIGTERM."""
    torch.set_num_threads(1)
    node = Node(config, discs())
    signal.signal(signal.SIGTERM, lambda *_: node.stop())
    node.run()
