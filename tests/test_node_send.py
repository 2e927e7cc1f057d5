"""The sender of a node survives peers that break off and unforeseen errors: every result arrives in the end."""

from __future__ import annotations

import pytest
from node_peers import Archive, discs, free_port, radiograph, running, send, wait_for
from pynetdicom import evt

from jointwrist.node import send as sending
from jointwrist.node.config import DicomConfig, HttpConfig, NodeConfig

pytest.importorskip("pynetdicom", reason="the extra `node` is not installed")


@pytest.fixture
def archive():
    with Archive() as archive:
        yield archive


@pytest.fixture
def node(archive, tmp_path):
    dicom, http = DicomConfig(port=free_port()), HttpConfig(port=free_port())
    settings = NodeConfig(str(tmp_path), (archive.peer,), dicom, http, retry_s=0.05, longest_retry_s=0.1)
    with running(settings, discs()) as node:
        yield node


def all_arrive(node, archive) -> None:
    assert send(node.receiver.port, [radiograph()]) == [0]
    wait_for(lambda: node.counters()["delivered"] == 2 and node.counters()["unsent"] == 0)
    assert {item.Modality for item in archive.got} == {"SEG", "PR"}


def test_an_association_that_ends_between_two_objects_is_opened_again(node, archive):
    ended = []

    def end(event):
        if not ended:
            ended.append(event.assoc)
            event.assoc.abort()

    archive._server.bind(evt.EVT_DIMSE_SENT, end)
    all_arrive(node, archive)
    assert len(ended) == 1


@pytest.mark.parametrize("error", [OSError("no route"), RuntimeError("unforeseen"), MemoryError()])
def test_an_unforeseen_error_is_retried(node, archive, monkeypatch, error, caplog):
    original, raised = sending._store, []

    def store(*arguments):
        if not raised:
            raised.append(error)
            raise error
        return original(*arguments)

    monkeypatch.setattr(sending, "_store", store)
    all_arrive(node, archive)
    assert raised == [error] and f"sending failed with {type(error).__name__}" in caplog.text
