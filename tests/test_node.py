"""A DICOM node: radiographs in, results out, each once; whatever comes, it goes on serving."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from node_peers import Archive, discs, free_port, radiograph, running, send, tree, wait_for
from pydicom.uid import CTImageStorage

from jointwrist.cli import main
from jointwrist.config import ConfigError
from jointwrist.errors import DataError
from jointwrist.node.config import DicomConfig, HttpConfig, NodeConfig, PeerConfig, read_config
from jointwrist.node.store import FullError, Store, key_of

pytest.importorskip("pynetdicom", reason="the extra `node` is not installed")


@pytest.fixture(scope="module")
def predictor():
    return discs()


def config(folder, *peers: PeerConfig, **values) -> NodeConfig:
    """A node for `peers`, on free ports and impatient."""
    return NodeConfig(
        str(folder), peers, DicomConfig(port=free_port(), **values.pop("dicom", {})), HttpConfig(port=free_port()),
        retry_s=0.2, longest_retry_s=0.5, **values,
    )  # fmt: skip


def ask(node, path: str, data: bytes | None = None, kind: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{node.config.http.port}{path}", data)
    if kind:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def multipart(*datasets) -> tuple[bytes, str]:
    from dicom_files import content

    parts = [b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + content(item) + b"\r\n" for item in datasets]
    return b"".join(parts) + b"--frontier--\r\n", 'multipart/related; type="application/dicom"; boundary=frontier'


def test_a_radiograph_comes_back_as_four_results_of_its_study(tmp_path, predictor, caplog):
    caplog.set_level(logging.INFO, "jointwrist.node")
    source = radiograph(PatientName="Doe^Jane")
    with Archive() as archive, running(config(tmp_path, archive.whole_peer), predictor) as node:
        assert send(node.receiver.port, [source]) == [0x0000]
        wait_for(lambda: len(archive.got) == 4)
        assert {item.Modality for item in archive.got} == {"SEG", "SR", "PR", "OT"}
        for item in archive.got:
            assert (item.StudyInstanceUID, item.PatientID) == (source.StudyInstanceUID, source.PatientID)
        assert archive.radiographs() == [source.SOPInstanceUID]
        wait_for(lambda: node.counters()["delivered"] == 4)
        status, text = ask(node, "/metrics")
        assert status == 200 and b"jointwrist_node_predicted 1\n" in text and b"jointwrist_node_unsent 0\n" in text
        assert json.loads(ask(node, "/health")[1])["status"] == "ok"
        assert ask(node, "/elsewhere")[0] == 404
    assert tree(tmp_path) == [f"done/{key_of(source.SOPInstanceUID)}.json"], "the radiograph is gone with its results"
    assert "Doe" not in caplog.text and source.SOPInstanceUID not in caplog.text


def test_a_radiograph_sent_twice_is_predicted_once(tmp_path, predictor):
    source = radiograph()
    with Archive() as archive, running(config(tmp_path, archive.peer), predictor) as node:
        assert send(node.receiver.port, [source, source]) == [0, 0]
        wait_for(lambda: len(archive.got) == 2)
        assert send(node.receiver.port, [source]) == [0]
        body, kind = multipart(source)
        assert ask(node, "/studies", body, kind)[0] == 200
        other = radiograph(4)
        assert send(node.receiver.port, [other]) == [0]
        wait_for(lambda: len(archive.got) == 4)
    assert archive.radiographs() == sorted([source.SOPInstanceUID, other.SOPInstanceUID])


def test_radiographs_arrive_by_stow(tmp_path, predictor):
    radiographs, report = [radiograph(), radiograph(4)], radiograph(5, SOPClassUID=CTImageStorage)
    with Archive() as archive, running(config(tmp_path, archive.peer), predictor) as node:
        body, kind = multipart(*radiographs)
        status, answer = ask(node, f"/dicom-web/studies/{radiographs[0].StudyInstanceUID}", body, kind)
        answer = json.loads(answer)
        assert status == 202, "the second belongs to another study"
        assert answer["00081199"]["Value"][0]["00081155"]["Value"] == [radiographs[0].SOPInstanceUID]
        assert answer["00081198"]["Value"][0]["00081197"]["Value"] == [0xC000]
        body, kind = multipart(report)
        assert ask(node, "/studies", body, kind)[0] == 409
        for body, kind, code in (
            (b"", "text/plain", 415),
            (b"--frontier\r\n\r\n", 'multipart/related; type="application/dicom"; boundary=frontier', 400),
            (b"--x\r\nContent-Type: application/dicom\r\n\r\nnothing\r\n--x--", "multipart/related; boundary=x", 409),
        ):
            assert ask(node, "/studies", body, kind)[0] == code
        assert ask(node, "/instances", b"x")[0] == 404
        wait_for(lambda: len(archive.got) == 2)
    assert archive.radiographs() == [radiographs[0].SOPInstanceUID]


def test_results_go_to_a_dicomweb_peer(tmp_path, predictor):
    """The node's own STOW-RS is the peer; it takes the overlay, which is a secondary capture, and refuses the rest."""
    first, second = tmp_path / "first", tmp_path / "second"
    with running(config(second, PeerConfig("nobody", "X", "127.0.0.1", free_port())), predictor) as peer:
        url = f"http://127.0.0.1:{peer.config.http.port}/dicom-web"
        with running(config(first, PeerConfig("web", url=url)), predictor) as node:
            assert send(node.receiver.port, [radiograph()]) == [0]
            wait_for(lambda: node.counters()["refused_by_peers"] == 3)
            wait_for(lambda: node.counters()["delivered"] == 1)
    assert sorted(name.rpartition("/")[2] for name in tree(first / "failed")) == ["pr1.dcm", "seg1.dcm", "sr1.dcm"]


def test_a_peer_that_is_away_gets_everything_later_and_once(tmp_path, predictor):
    radiographs = [radiograph(seed) for seed in (3, 4)]
    archive = Archive()
    settings = config(tmp_path, archive.peer)
    with running(settings, predictor) as node:
        assert send(node.receiver.port, radiographs) == [0, 0]
        wait_for(lambda: node.counters()["unsent"] == 4)
    with archive:
        archive.answer = 0xA700
        with running(settings, predictor) as node:
            wait_for(lambda: node.counters()["oldest_unsent_seconds"] > 0.5)
            assert node.counters()["unsent"] == 4, "out of resources is no refusal"
            archive.answer = 0x0000
            wait_for(lambda: len(archive.got) == 4)
            wait_for(lambda: node.counters()["unsent"] == 0)
    assert len(set(archive.uids())) == 4
    assert archive.radiographs() == sorted(item.SOPInstanceUID for item in radiographs)


def test_what_a_peer_refuses_is_put_aside(tmp_path, predictor):
    with Archive(answer=0xC000) as archive, running(config(tmp_path, archive.peer), predictor) as node:
        assert send(node.receiver.port, [radiograph()]) == [0]
        wait_for(lambda: node.counters()["refused_by_peers"] == 2)
        assert node.counters()["unsent"] == 0
    assert len(tree(tmp_path / "failed")) == 2


def test_no_hand_and_faults_are_noted_and_the_next_radiograph_goes_on(tmp_path, predictor, monkeypatch):
    broken, doomed, good = radiograph(Rows=0), radiograph(4), radiograph(5)
    stream = predictor.stream

    def fail(sources, **options):
        if key_of(doomed.SOPInstanceUID) in str(sources[0]):
            raise MemoryError
        return stream(sources, **options)

    monkeypatch.setattr(predictor, "stream", fail)
    with Archive() as archive, running(config(tmp_path, archive.peer), predictor) as node:
        assert send(node.receiver.port, [broken, doomed, good]) == [0, 0, 0]
        wait_for(lambda: len(archive.got) == 2)
        assert archive.radiographs() == [good.SOPInstanceUID]
        assert node.worker.counts == {"predicted": 1, "noted": 1, "failed": 1}
        noted, failed = (node.store.record(key_of(item.SOPInstanceUID)) for item in (broken, doomed))
    assert noted["status"] == "noted" and "radiograph" in noted["reason"]
    assert (failed["status"], failed["reason"]) == ("failed", "MemoryError")


def test_a_radiograph_that_ends_the_process_is_given_up(tmp_path, predictor):
    store = Store(tmp_path)
    item = radiograph()
    from dicom_files import content

    store.receive(item.SOPInstanceUID, content(item))
    for _ in range(3):
        store.attempt(key_of(item.SOPInstanceUID))
    behind = radiograph(4)
    store.receive(behind.SOPInstanceUID, content(behind))
    with store.next_radiograph() as found:
        assert found[0] == key_of(behind.SOPInstanceUID), "what was tried before waits for what was not"
    with Archive() as archive, running(config(tmp_path, archive.peer, attempts=3), predictor) as node:
        wait_for(lambda: node.worker.counts == {"predicted": 1, "noted": 0, "failed": 1})
        wait_for(lambda: len(archive.got) == 2)
    assert archive.radiographs() == [behind.SOPInstanceUID]


def test_bad_peers_leave_it_serving(tmp_path, predictor):
    settings = config(tmp_path, dicom={"allowed": ("MODALITY",), "associations": 4, "idle_s": 2.0}, object_mb=1)
    with Archive() as archive, running(replace(settings, peers=(archive.peer,)), predictor) as node:
        port = node.receiver.port
        assert send(port, [radiograph()], calling="STRANGER") == []
        assert send(port, [radiograph()], called="SOMEONE") == []
        with pytest.raises(ValueError, match="No presentation context"):
            send(port, [radiograph(SOPClassUID=CTImageStorage)])
        assert send(port, [radiograph(5, size=1024)])[0] is None, "2 MiB are more than the node takes"
        for greeting in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(200), b"\x01\x00\xff\xff\xff\xff" + bytes(64)):
            with socket.create_connection(("127.0.0.1", port)) as peer:
                peer.sendall(greeting)
        with socket.create_connection(("127.0.0.1", settings.http.port)) as peer:
            peer.sendall(
                b"POST /studies HTTP/1.1\r\nContent-Type: multipart/related; boundary=x\r\n"
                b"Content-Length: 4000000000\r\n\r\n"
            )
            assert b"413" in peer.recv(100)
        multi = radiograph(6, NumberOfFrames=2)
        radiographs = [multi, radiograph(7)]
        wait_for(lambda: send(port, radiographs) == [0, 0])  # closed connections hold their places for a moment
        wait_for(lambda: len(archive.got) == 2)


def test_two_nodes_share_a_folder(tmp_path, predictor):
    radiographs = [radiograph(seed) for seed in range(3, 7)]
    with Archive() as archive:
        first, second = (config(tmp_path, archive.peer) for _ in range(2))
        with running(first, predictor) as one, running(second, predictor) as two:
            assert send(one.receiver.port, radiographs) == [0] * 4
            assert send(two.receiver.port, radiographs) == [0] * 4
            wait_for(lambda: len(archive.got) == 8)
            wait_for(lambda: one.counters()["unsent"] == 0)
            assert one.worker.counts["predicted"] + two.worker.counts["predicted"] == 4
    assert len(set(archive.uids())) == 8


def test_a_full_queue_refuses_for_now(tmp_path):
    store = Store(tmp_path, limit=1)
    assert store.receive("1.2.3", b"x")
    assert not store.receive("1.2.3", b"x")
    with pytest.raises(FullError):
        store.receive("1.2.4", b"x")
    assert Store(tmp_path).waiting() == 1


def test_what_a_killed_node_left_half_done_is_taken_up(tmp_path):
    store = Store(tmp_path)
    store.receive("1.2.3", b"x")
    key = key_of("1.2.3")
    (tmp_path / "waiting" / key).unlink()  # killed between the two steps of receiving
    store = Store(tmp_path)
    assert store.waiting() == 1
    with store.next_radiograph() as found:
        assert found == (key, tmp_path / "films" / f"{key}.dcm")
        with Store(tmp_path).next_radiograph() as taken:
            assert taken is None, "another worker has it"
    dataset = radiograph()
    (tmp_path / "outbox" / key / "archive").mkdir(parents=True)  # killed after the results, before the record
    (tmp_path / "outbox" / key / "archive" / "old.dcm").touch()
    assert list(store.deliveries("archive")) == [], "without a record nothing is sent"
    store.finish(key, {"status": "predicted"}, {"archive": [("seg1.dcm", dataset)]})
    ((sent,),) = store.deliveries("archive")
    assert sent.name == "seg1.dcm" and store.waiting() == 0
    assert not store.receive("1.2.3", b"x"), "it has a record"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "1"])
def test_a_damaged_record_neither_loses_nor_repeats_a_radiograph(tmp_path, content):
    store = Store(tmp_path, keep=True)
    store.receive("1.2.3", b"x")
    key = key_of("1.2.3")
    (tmp_path / "done" / f"{key}.json").write_text(content)
    store = Store(tmp_path, keep=True)
    assert store.record(key) is None and not store.receive("1.2.3", b"x")
    with store.next_radiograph() as found:
        assert found[0] == key, "it did not leave the queue"
    store.finish(key, {"status": "predicted"}, {})
    (tmp_path / "done" / f"{key}.json").write_text(content)
    store = Store(tmp_path, keep=True)
    assert store.waiting() == 0 and store.record(key) == {"status": "damaged"} and not store.receive("1.2.3", b"x")


def test_files_of_systems_are_no_radiographs(tmp_path):
    store = Store(tmp_path)
    for name in ("waiting/.DS_Store", "films/._a.dcm", "outbox/.DS_Store", "done/.DS_Store"):
        (tmp_path / name).touch()
    store = Store(tmp_path, limit=1)
    assert store.waiting() == 0 and store.receive("1.2.3", b"x")
    with store.next_radiograph() as found:
        assert found[0] == key_of("1.2.3")
    (tmp_path / "attempts" / found[0]).write_text("")
    assert [store.attempt(found[0]) for _ in range(2)] == [1, 2]


def test_results_for_a_former_peer_are_named(tmp_path, predictor, caplog):
    (tmp_path / "outbox" / "a" / "former").mkdir(parents=True)
    (tmp_path / "outbox" / "a" / "former" / "seg1.dcm").touch()
    with running(config(tmp_path, PeerConfig("archive", "ARCHIVE", "127.0.0.1", free_port())), predictor):
        pass
    assert "results wait in outbox for former, which is no peer any more" in caplog.text


def test_counters_can_be_read_while_results_come_and_go(tmp_path):
    store, stop = Store(tmp_path), threading.Event()

    def come_and_go():
        number = 0
        while not stop.is_set():
            folder = tmp_path / "outbox" / str(number % 7) / "peer"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "seg1.dcm").touch()
            shutil.rmtree(folder.parent)
            number += 1

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        counts = {store.unsent()[0] for _ in range(3000)}
    finally:
        stop.set()
        thread.join()
    assert counts <= {0, 1}


YAML = """
folder: queue
dicom: {ae_title: WRIST, port: 11113, allowed: [CR1]}
peers:
  - {name: pacs, ae_title: PACS, host: 127.0.0.1, port: 4242, outputs: [seg, pr]}
  - {name: web, url: "http://127.0.0.1:8042/dicom-web"}
"""


def test_configuration_is_read_and_checked(tmp_path, capsys):
    path = tmp_path / "node.yaml"
    path.write_text(YAML)
    read = read_config(path)
    assert read.peers[0] == PeerConfig("pacs", "PACS", "127.0.0.1", 4242, outputs=("seg", "pr"))
    assert main(["node", str(path), "--check"]) == 0
    assert "2 peers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folder: queue", "folders: queue", "did you mean folder"),
        ("folder: queue", "", "missing.*folder"),
        ("port: 11113", "port: 111130", r"dicom\.port is 111130; it must be at least 0 and at most 65,535"),
        ("port: 11113", "port: .nan", r"dicom\.port"),
        ("folder: queue", "folder: queue\nretry_s: .nan", "retry_s is nan"),
        ("WRIST", "A-TITLE-OF-SEVENTEEN", "1 to 16 ASCII"),
        ("outputs: [seg, pr]", "outputs: [seg, pdf]", "choose one of seg, sr, pr, sc"),
        ("outputs: [seg, pr]", "outputs: []", "outputs is empty"),
        ("name: web", "name: pacs", "two are called pacs"),
        ("name: web", "name: ../web", "names a folder"),
        ("name: web, ", "", "number 2 has no name"),
        ('url: "http://127.0.0.1:8042/dicom-web"', 'url: "ftp://x"', "http://"),
        ('url: "http://127.0.0.1:8042/dicom-web"', "port: 1", "either url, or ae_title"),
        ("allowed: [CR1]", "tls: {certificate: a, key: b, authority: c}", "a: no such file"),
    ],
)
def test_a_faulty_configuration_is_named(tmp_path, old, new, message):
    path = tmp_path / "node.yaml"
    path.write_text(YAML.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_config(path)


@pytest.mark.parametrize("folder", ["taken", "taken/queue"])
def test_a_file_in_the_place_of_the_queue_is_named(tmp_path, folder, capsys):
    (tmp_path / "taken").touch()
    (tmp_path / "node.yaml").write_text(YAML.replace("folder: queue", f"folder: {tmp_path / folder}"))
    assert main(["node", str(tmp_path / "node.yaml"), "--check"]) == 2
    assert f"folder: {tmp_path / 'taken'} is a file; name a folder" in capsys.readouterr().err


def test_an_address_in_use_is_named(tmp_path, predictor):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        peer = PeerConfig("p", "P", "127.0.0.1", 1)
        from jointwrist.node.run import Node

        with pytest.raises(DataError, match=f"dicom: cannot listen on 127.0.0.1:{port}"):
            Node(NodeConfig(str(tmp_path), (peer,), DicomConfig(port=port)), predictor)
        with pytest.raises(DataError, match=f"http: cannot listen on 127.0.0.1:{port}"):
            Node(NodeConfig(str(tmp_path), (peer,), DicomConfig(port=free_port()), HttpConfig(port=port)), predictor)


def test_the_configuration_of_the_docs_is_valid():
    assert read_config(Path(__file__).parent.parent / "docs" / "deploy" / "node.yaml").peers[0].name == "pacs"
