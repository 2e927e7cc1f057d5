"""Bad associations, objects and requests: a DICOM node keeps running, and stores only valid objects."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import pytest
from bad_peers import BAD_PEERS, NOTED
from node_peers import Archive, discs, free_port, radiograph, running, send, wait_for
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from jointwrist.node.config import DicomConfig, HttpConfig, NodeConfig
from tests import killed_node

pytestmark = pytest.mark.trust


def memory(field: str) -> int:
    """Resident memory of this process (VmRSS), or its peak (VmHWM), in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


@pytest.fixture(scope="module")
def memory_before():
    """Resident memory in KiB before the node starts, from which its peak is counted; None without /proc."""
    if sys.platform != "linux":
        return None
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


@pytest.fixture(scope="module")
def served(tmp_path_factory, memory_before):
    """A node that takes objects of up to 1 MiB from one title, and its archive."""
    with Archive() as archive:
        config = NodeConfig(
            str(tmp_path_factory.mktemp("node")), (archive.peer,),
            DicomConfig(port=free_port(), allowed=("MODALITY",), associations=8, idle_s=1.0),
            HttpConfig(port=free_port()), object_mb=1, retry_s=0.2, longest_retry_s=0.5,
        )  # fmt: skip
        with running(config, discs()) as node:
            yield node, archive


def echoes(node) -> bool:
    entity = AE(ae_title="MODALITY")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", node.receiver.port, ae_title="JOINTWRIST")
    if not association.is_established:
        return False
    answer = association.send_c_echo()
    association.release()
    return answer.get("Status") == 0


def test_the_log_quotes_nothing_that_a_peer_sends(processes, tmp_path):
    """Without `start_log`, pydicom and pynetdicom do quote it."""
    told = tmp_path / "told.txt"
    process = processes.Process(target=killed_node.talk, args=(str(tmp_path / "node"), told))
    process.start()
    process.join(300)
    assert process.exitcode == 0, told.read_text()
    assert "radiograph received" in told.read_text()
    assert "SECRET" not in told.read_text()


def test_there_are_enough_of_them():
    assert len(BAD_PEERS) >= 60 and NOTED < BAD_PEERS.keys()


@pytest.mark.parametrize("name", BAD_PEERS)
def test_it_goes_on_serving(name, served):
    node, _ = served
    status = BAD_PEERS[name](node)
    if name in NOTED:
        assert status == 0x0000
    wait_for(lambda: echoes(node))  # connections that say nothing hold their places for a second
    with urllib.request.urlopen(f"http://127.0.0.1:{node.config.http.port}/health", timeout=10) as answer:
        assert json.loads(answer.read())["status"] == "ok"


def test_after_all_of_them_it_works_as_before(served, memory_before):
    """Runs last: what was kept has a record with a reason, nothing failed, and memory stayed bounded."""
    node, archive = served
    good = radiograph()
    assert send(node.receiver.port, [good]) == [0]
    wait_for(lambda: archive.radiographs().count(good.SOPInstanceUID) == 1 and node.store.waiting() == 0)
    assert node.worker.counts == {"predicted": 2, "noted": len(NOTED), "failed": 0}
    folder = node.store.folder
    assert not [*(folder / "films").iterdir(), *(folder / "arriving").iterdir()]
    assert memory_before is None or memory("VmHWM") - memory_before < 1 << 20, "1 GiB"
