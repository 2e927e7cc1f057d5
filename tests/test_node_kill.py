"""A node that is killed again and again, and an archive that comes and goes: all results arrive, none twice."""

from __future__ import annotations

import math
import os
import random
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from node_peers import Archive, free_port, radiograph, send, wait_for

from jointwrist.node.config import DicomConfig, HttpConfig, NodeConfig
from jointwrist.node.store import Store

pytest.importorskip("pynetdicom", reason="the extra `node` is not installed")


def start(processes, config):
    from tests.killed_node import serve

    process = processes.Process(target=serve, args=(config,))
    process.start()
    return process


def keep_sending(port, radiographs, acknowledged):
    """Send radiographs until each was acknowledged, as a modality does."""
    left = list(radiographs)
    while left:
        try:
            statuses = send(port, left[:5])
        except RuntimeError:
            statuses = []
        done = [item for item, status in zip(left, statuses, strict=False) if status == 0]
        acknowledged.update(item.SOPInstanceUID for item in done)
        left = [item for item in left if item.SOPInstanceUID not in acknowledged]
        time.sleep(0.05)


def answers(port) -> bool:
    """Whether something listens at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def peak_mb(process) -> float:
    """Largest memory of a running process so far, in MiB; nan where the system does not say."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return math.nan
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def storm(processes, folder, count, senders, kills, stops):
    """Send radiographs to a node that is killed and an archive that is stopped.

    Returns the radiographs that were sent and those that were acknowledged, the archive, and the node's largest memory.
    """
    radiographs = [radiograph(3, size=96) for _ in range(count)]
    archive, rng = Archive(), random.Random(7)
    config = NodeConfig(
        str(folder), (archive.peer,), DicomConfig(port=free_port()), HttpConfig(port=0),
        retry_s=0.1, longest_retry_s=0.5,
    )  # fmt: skip
    acknowledged: set[str] = set()
    threads = [
        threading.Thread(target=keep_sending, args=(config.dicom.port, radiographs[part::senders], acknowledged))
        for part in range(senders)
    ]
    node, peaks = start(processes, config), []

    def kill():
        peaks.append(peak_mb(node))
        os.kill(node.pid, signal.SIGKILL)
        node.join()
        return start(processes, config)

    for thread in threads:
        thread.start()
    for round_ in range(max(kills, stops)):
        with archive:
            time.sleep(rng.uniform(0.5, 2.5))
            if round_ >= stops:
                node = kill()
                continue
        time.sleep(rng.uniform(0.2, 1.0))  # the archive is away, and the node is killed while it waits
        if round_ < kills:
            node = kill()
    with archive:
        for thread in threads:
            thread.join()
        store = Store(folder)
        wait_for(lambda: store.waiting() == 0 and store.unsent()[0] == 0, 60 + 2 * count)
        # all may have been sent before the last kill; a node that still starts has no handler of SIGTERM
        wait_for(lambda: answers(config.dicom.port))
        time.sleep(0.5)
        peaks.append(peak_mb(node))
        os.kill(node.pid, signal.SIGTERM)
        node.join(60)
    assert node.exitcode == 0
    return sorted(item.SOPInstanceUID for item in radiographs), sorted(acknowledged), archive, max(peaks)


def check(sent, acknowledged, archive, peak):
    assert acknowledged == sent
    print(f"{len(sent)} radiographs, {len(archive.got)} objects sent, largest memory of the node {peak:.0f} MiB")
    assert math.isnan(peak) or peak < 2048
    distinct = {item.SOPInstanceUID: item for item in archive.got}
    assert sorted(item.Modality for item in distinct.values()) == sorted(["SEG", "PR"] * len(sent))
    archive.got = list(distinct.values())  # an archive keeps what comes again under the same UID once
    assert archive.radiographs() == sent


@pytest.mark.trust
@pytest.mark.timeout(300)
def test_killed_three_times_every_result_arrives_once(processes, tmp_path):
    check(*storm(processes, tmp_path, count=12, senders=2, kills=3, stops=1))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_five_hundred_radiographs_ten_kills_two_stops(processes, tmp_path):
    check(*storm(processes, tmp_path, count=500, senders=4, kills=10, stops=2))
