"""The viewer's server: who may ask, what is refused, and that the page gets what the predictor says."""

from __future__ import annotations

import http.client
import json
import re
import socket
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES
from jointwrist.cli import build_parser, main
from jointwrist.data.images import read_image
from jointwrist.errors import DataError
from jointwrist.inference.compare import compare
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.registration import Similarity
from jointwrist.report.svg import outline_path
from jointwrist.viewer import films as held
from jointwrist.viewer import run
from jointwrist.viewer.describe import SHIPPED_CAUTION, describe_model, svg_matrix
from jointwrist.viewer.films import Films, plain_name, read_upload
from jointwrist.viewer.server import HEADERS, ViewerServer, is_loopback, names_this_machine

LIMIT = 200_000


@pytest.fixture(scope="session")
def predictor():
    return Predictor.from_pretrained("jointwrist_tiny", device="cpu")


@pytest.fixture(scope="session")
def wrists(release):
    """A left hand, and two films of one patient's other hand."""
    left = [case.image for case in release.cases if case.side == "L"][:1]
    right = [case.image for case in release.cases if case.side == "R"][:2]
    return [*left, *right]


@pytest.fixture
def server(predictor, wrists):
    films = Films(predictor)
    films.add_files(wrists)
    with ViewerServer(films, describe_model(predictor, "jointwrist_tiny"), port=0, max_upload=LIMIT) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    films.close()


class Client:
    """Asks as the page does, unless told otherwise."""

    def __init__(self, server):
        self.server = server
        self.root = urlsplit(server.url)
        self.host = self.root.netloc

    def __call__(self, method, address, body=None, path=None, **headers):
        connection = http.client.HTTPConnection(self.root.hostname, self.root.port, timeout=30)
        sent = {"Host": self.host, "Origin": f"http://{self.host}", **headers}
        sent = {key: value for key, value in sent.items() if value is not None}
        connection.request(method, path or self.root.path + address, body, sent)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        kind = reply.headers["Content-Type"]
        return reply, json.loads(content) if kind == "application/json" else content

    def get(self, address):
        reply, content = self("GET", address)
        assert reply.status == 200, content
        return content

    def upload(self, name, data):
        return self("POST", f"films?name={quote(name)}", data)


@pytest.fixture
def client(server):
    return Client(server)


def png(image):
    stream = BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def dicom(image, **attributes):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = (
        ExplicitVRLittleEndian,
        DigitalXRayImageStorageForPresentation,
    )
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    dataset.Modality, dataset.PatientName = "DX", "Somebody^Else"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = np.round(image * 4095).astype("<u2").tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def pickled():
    stream = BytesIO()
    np.save(stream, np.array([{}], object), allow_pickle=True)
    return stream.getvalue()


def area(path):
    """Area inside SVG path data of straight lines, by the shoelace formula."""
    total = 0.0
    for piece in path.split("Z")[:-1]:
        x, y = np.array([point.split() for point in piece.removeprefix("M").split("L")], float).T
        total += 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))
    return abs(total)


def test_the_page_gets_what_the_predictor_says(client, predictor, wrists):
    listed = client.get("films")["films"]
    assert [film["name"] for film in listed] == [path.name for path in wrists]
    for film, path in zip(listed, wrists, strict=True):
        said, result = client.get(f"films/{film['key']}"), predictor(path)
        assert {key: said[key] for key in result.to_dict()} == json.loads(json.dumps(result.to_dict()))
        assert [bone["name"] for bone in said["bones"]] == list(BONE_NAMES)
        assert [joint["name"] for joint in said["joints"]] == list(JOINT_NAMES)
        for outline, mask, found in zip(said["paths"], result.masks, result.found, strict=True):
            # an outline cuts the corners of pixels: at most half a pixel for each of its length
            assert area(outline) == pytest.approx(mask.sum() if found else 0, abs=2 + 2 * np.sqrt(mask.sum()))
        np.testing.assert_allclose(np.array(said["maps"]).reshape(result.maps.shape), result.maps, atol=0.0051)
        grey = np.frombuffer(client.get(f"films/{film['key']}/pixels"), "<u2").reshape(result.film.pixels.shape)
        # as it was taken: a left hand is not mirrored
        np.testing.assert_allclose(grey / 65535, read_image(path), atol=1e-5)


def test_outlines_end_at_the_frame_and_keep_holes():
    mask = np.zeros((40, 50), bool)
    mask[10:, 20:] = True
    mask[20:30, 30:40] = False
    xy = np.array(re.findall(r"[\d.]+", outline_path(mask)), float).reshape(-1, 2)
    assert xy.min(0) == pytest.approx([20, 10], abs=0.01)
    assert xy.max(0) == pytest.approx([50, 40], abs=0.01)
    assert outline_path(mask).count("Z") == 2
    assert area(outline_path(mask)) == pytest.approx(mask.sum(), rel=0.02)


def test_an_uploaded_film_gives_the_same_as_its_file(client, predictor, wrists):
    reply, said = client.upload("../../etc/visit one_L.png", wrists[0].read_bytes())
    assert reply.status == 201
    film = client.get(f"films/{said['key']}")
    assert film["source"] == "visit one_L.png"
    expected = json.loads(json.dumps({**predictor(wrists[0]).to_dict(), "source": "visit one_L.png"}))
    assert {key: film[key] for key in expected} == expected
    assert client.get("films")["films"][-1] == {"key": said["key"], "name": "visit one_L.png"}


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg", "tif", "dcm"])
def test_every_format_is_taken(client, wrists, ending):
    image = read_image(wrists[1])
    stream = BytesIO()
    if ending == "dcm":
        data = dicom(image, ImageLaterality="R", PixelSpacing=[0.25, 0.25])
    else:
        Image.fromarray(np.round(image * 255).astype(np.uint8)).save(
            stream, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending)
        )
        data = stream.getvalue()
    reply, said = client.upload(f"film.{ending}", data)
    assert reply.status == 201, said
    film = client.get(f"films/{said['key']}")
    assert film["size"] == list(image.shape)
    assert film["side_stated"] == (ending == "dcm")
    assert film["pixel_spacing_mm"] == (0.25 if ending == "dcm" else None)
    assert "Somebody" not in json.dumps(film)


def test_a_dicom_file_needs_no_ending(client, wrists):
    assert client.upload("IM0001", dicom(read_image(wrists[1])))[0].status == 201


def test_the_side_can_be_said_where_no_header_says_it(client, predictor, wrists):
    image = read_image(wrists[0])
    key = client.upload("film.png", png(image))[1]["key"]
    film = client.get(f"films/{key}")
    assert (film["side"], film["side_known"]) == ("R", False)
    reply, said = client("POST", f"films/{key}/side?side=L")
    assert reply.status == 200
    assert (said["side"], said["side_known"]) == ("L", True)
    assert said["joints"] == json.loads(json.dumps(predictor(wrists[0], side="L").to_dict()["joints"]))
    assert client.get(f"films/{key}")["side"] == "L"
    assert client("POST", f"films/{key}/side?side=X")[0].status == 400
    key = client.upload("film.dcm", dicom(image, ImageLaterality="L"))[1]["key"]
    assert client("POST", f"films/{key}/side?side=R")[1]["side"] == "L"


def test_two_visits_are_compared_as_the_library_does(client, predictor, wrists):
    keys = [film["key"] for film in client.get("films")["films"]]
    said = client.get(f"comparison?baseline={keys[1]}&followup={keys[2]}")
    expected = compare(predictor(wrists[1]), predictor(wrists[2]))
    assert {key: said[key] for key in expected.to_dict()} == json.loads(json.dumps(expected.to_dict()))
    reply, said = client("GET", f"comparison?baseline={keys[0]}&followup={keys[1]}")
    assert reply.status == 422
    assert "left" in said["error"]


def test_the_svg_matrix_moves_corners_as_the_registration_moves_centres():
    motion = Similarity(1.3, 0.4, np.array([5.0, -7.0]))
    a, b, c, d, e, f = svg_matrix(motion)
    x, y = 12.0, 31.0
    there = motion(np.array([[x, y]]))[0] + 0.5
    x, y = x + 0.5, y + 0.5
    assert (a * x + c * y + e, b * x + d * y + f) == pytest.approx(tuple(there))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("torn.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "torn.png: "),
        ("notes.txt", b"not a picture", "notes.txt: "),
        ("empty.dcm", b"", "empty.dcm: "),
        ("cut.dcm", b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL", "cut.dcm: "),
        ("array.npy", b"\x93NUMPY\x01\0", "array.npy: "),
        (
            "bomb.npy",
            b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }",
            "bomb.npy: ",
        ),
    ],
)
def test_a_bad_file_gets_a_message_and_the_server_goes_on(client, wrists, name, data, message):
    reply, said = client.upload(name, data)
    assert reply.status == 422
    assert said["error"].startswith(message)
    assert tempfile.gettempdir() not in said["error"]
    assert client.upload("good.png", wrists[1].read_bytes())[0].status == 201


def test_damage_anywhere_never_stops_the_server(client, wrists):
    rng = np.random.default_rng(3)
    for whole in (wrists[1].read_bytes(), dicom(read_image(wrists[1]), ImageLaterality="R")):
        for _ in range(15):
            data = bytearray(whole[: rng.integers(1, len(whole))])
            for place in rng.integers(0, min(len(data), 600), 8):
                data[place] = rng.integers(256)
            reply, said = client.upload("film.png" if whole[1:4] == b"PNG" else "film.dcm", bytes(data))
            assert reply.status in (201, 422), said
    assert client.get("films")


def test_a_file_of_the_command_line_that_went_away_is_named(predictor, tmp_path, wrists):
    path = tmp_path / "gone.png"
    path.write_bytes(wrists[1].read_bytes())
    films = Films(predictor)
    (key,) = films.add_files([path])
    path.unlink()
    with pytest.raises(DataError, match=r"gone\.png"):
        films.result(key)
    films.close()


def test_a_fault_of_our_own_is_an_answer_too(client, server, monkeypatch, capsys):
    monkeypatch.setattr(server.films, "names", lambda: 1 / 0)
    reply, said = client("GET", "films")
    assert reply.status == 500
    assert "terminal" in said["error"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.undo()
    assert client.get("films")


def test_large_files_are_refused_unread(client, server):
    data = b"\0" * (LIMIT + 1)
    reply, said = client.upload("large.png", data)
    assert reply.status == 413
    assert "--max-upload" in said["error"]
    # what is announced counts, not what comes
    assert client("POST", "films?name=x", b"abc", **{"Content-Length": str(10**12)})[0].status == 413
    assert len(server.films.names()) == 3


@pytest.mark.parametrize("length", [None, "-1", "ten", "1_0", ""])
def test_an_upload_says_its_size(client, length):
    head = f"POST {client.root.path}films?name=x HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    if length is not None:
        head += f"Content-Length: {length}\r\n"
    with socket.create_connection((client.root.hostname, client.root.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_a_chunked_upload_is_refused(client):
    reply, _ = client("POST", "films?name=x", iter([b"abc"]), **{"Transfer-Encoding": "chunked"})
    assert reply.status == 411
    assert reply.headers["Connection"] == "close"


def test_a_body_that_nobody_reads_is_no_second_request(client, server):
    inner = f"GET {client.root.path}films HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode()
    head = f"GET {client.root.path}films HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {len(inner)}\r\n\r\n"
    with socket.create_connection((client.root.hostname, client.root.port), timeout=10) as connection:
        connection.sendall(head.encode() + inner)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.count(b"HTTP/1.1 ") == 1


def test_too_many_uploads_at_once_are_sent_away(client, server, wrists):
    taken = 0
    while server.uploads.acquire(blocking=False):
        taken += 1
    assert client.upload("film.png", wrists[1].read_bytes())[0].status == 503
    for _ in range(taken):
        server.uploads.release()
    assert client.upload("film.png", wrists[1].read_bytes())[0].status == 201


def test_a_sender_who_leaves_frees_its_place(client, server):
    head = (
        f"POST {client.root.path}films?name=x HTTP/1.1\r\nHost: {client.host}\r\n"
        f"Origin: http://{client.host}\r\nContent-Length: 1000\r\n\r\nabc"
    )
    for _ in range(6):
        with socket.create_connection((client.root.hostname, client.root.port)) as connection:
            connection.sendall(head.encode())
    end = time.monotonic() + 10
    while client.upload("film.png", b"x")[0].status == 503:
        assert time.monotonic() < end
    assert client.upload("film.png", b"x")[0].status == 422


def test_dropped_films_are_limited_and_can_be_removed(client, server, monkeypatch, wrists):
    monkeypatch.setattr(held, "MAX_HELD_PIXELS", 2 * 128 * 128)
    keys = [client.upload("film.png", wrists[1].read_bytes())[1]["key"] for _ in range(2)]
    reply, said = client.upload("third.png", wrists[1].read_bytes())
    assert reply.status == 422
    assert said["error"].startswith("third.png: ")
    assert client("DELETE", f"films/{keys[0]}")[0].status == 200
    assert client.upload("third.png", wrists[1].read_bytes())[0].status == 201
    assert client("GET", f"films/{keys[0]}")[0].status == 404
    assert client("DELETE", f"films/{keys[0]}")[0].status == 404


def test_only_some_results_are_kept(predictor, wrists):
    films = Films(predictor)
    keys = films.add_files(wrists * 3)
    first = films.result(keys[0])
    assert films.result(keys[0]) is first
    for key in keys:
        films.result(key)
    assert len(films._results) == held.KEPT_RESULTS
    assert films.result(keys[0]) is not first
    films.close()


@pytest.mark.parametrize(
    "address",
    [
        "../cli.py",
        "..%2fcli.py",
        "%2e%2e/%2e%2e/cli.py",
        "/etc/passwd",
        "view.css/",
        "./view.css",
        "films/../../cli.py",
        "films/%2e%2e/pixels",
        "server.py",
        "assets/view.js",
        "view.js%00",
    ],
)
def test_nothing_but_the_page_is_served(client, address):
    reply, said = client("GET", address)
    assert reply.status == 404
    assert "error" in said


@pytest.mark.parametrize("path", ["/", "/films", "/view.js", "//", "*", "http://[", "/x/films", "/%00", "/etc/passwd"])
def test_without_the_secret_there_is_nothing(client, path):
    reply, said = client("GET", "", path=path)
    assert reply.status == 404
    assert "terminal" in said["error"]
    assert client("GET", "", path=client.root.path.rstrip("/"))[0].status == 404
    assert client("GET", "", path=client.root.path[:-3] + "xx/")[0].status == 404


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "user@127.0.0.1",
        "localhost.evil.example",
        "",
        "[",
        "/",
    ],
)
def test_foreign_names_of_this_machine_are_refused(client, host):
    for method, address in (("GET", ""), ("GET", "films"), ("POST", "films?name=x")):
        reply, _ = client(method, address, Host=host, Origin=f"http://{host}")
        assert reply.status in (400, 421)


def test_own_names_of_this_machine(client):
    port = client.root.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", "[::1]:9000", "192.168.1.7:1"):
        assert client("GET", "films", Host=host)[0].status == 200
    assert names_this_machine("Wrist-7:80", "wrist-7")
    assert not names_this_machine("wrist-8:80", "wrist-7")


def test_two_hosts_are_none(client):
    head = f"GET {client.root.path}films HTTP/1.1\r\nHost: {client.host}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection((client.root.hostname, client.root.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "file://", "http://["])
def test_only_the_page_itself_may_change_anything(client, server, wrists, origin):
    key = server.films.names()[0][0]
    for method, address in (
        ("POST", "films?name=film.png"),
        ("POST", f"films/{key}/side?side=L"),
        ("DELETE", f"films/{key}"),
    ):
        assert client(method, address, wrists[0].read_bytes(), Origin=origin)[0].status == 403
    assert len(server.films.names()) == 3


def test_answers_are_neither_kept_nor_shown_elsewhere(client):
    for address in ("", "view.js", "films", "nothing"):
        reply, _ = client("GET", address)
        for name, value in HEADERS.items():
            assert reply.headers[name] == value
        assert "Access-Control-Allow-Origin" not in reply.headers
        assert "Python" not in reply.headers["Server"]
    assert "no-store" in HEADERS["Cache-Control"]
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_asks_nobody_else(client):
    page = client.get("").decode()
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address == "data:," or client.get(address)
    for name in ("view.css", "shared.css", "view.js", "stage.js", "joints.js", "switches.js"):
        text = client.get(name).decode().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.M)
        assert "url(" not in text
        assert "@import" not in text


def test_warnings_come_with_the_page(client, predictor, tmp_path):
    facts = client.get("films")
    assert facts["caution"] == SHIPPED_CAUTION
    assert "not a medical device" in facts["notice"]
    own = tmp_path / "own.safetensors"
    own.touch()
    assert describe_model(predictor, own)["caution"] is None


def test_uploads_leave_no_files(client, wrists, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert client.upload("film_L.png", wrists[0].read_bytes())[0].status == 201
    assert client.upload("torn.png", wrists[0].read_bytes()[:500])[0].status == 422
    key = client.upload("film.dcm", dicom(read_image(wrists[1])))[1]["key"]
    client.get(f"films/{key}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("wrist_L.dcm", "wrist_L.dcm"),
        ("C:\\films\\wrist.png", "wrist.png"),
        ("../../etc/passwd", "passwd"),
        ("..", "film"),
        ("", "film"),
        ("a\0b\n.png", "ab.png"),
        ("Röntgen 1.png", "Röntgen 1.png"),
        ("x" * 500 + ".png", "x" * 116 + ".png"),
    ],
)
def test_names_are_names_and_no_paths(name, plain, wrists):
    assert plain_name(name) == plain
    with pytest.raises(DataError, match=rf"^{re.escape(plain)}: "):
        read_upload(name, b"damaged")


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.3", "wrist-7", "localhost.evil.example")))


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
    end = time.monotonic() + 5
    while not started["opened"] and time.monotonic() < end:
        time.sleep(0.01)
    server = started["server"]
    assert started["opened"] == [server.url.replace(f"{server.secret}/", server.ticket)]


def test_the_address_on_a_command_line_leads_to_the_page_once(client, server):
    assert client("GET", "", path="/None")[0].status == 404
    path = urlsplit(server.single_use_url()).path
    reply, forward = client("GET", "", path=path)
    assert reply.status == 200
    assert f"url={server.secret}/" in forward.decode()
    assert client("GET", "", path=path)[0].status == 404
    assert client("GET", "", path="/None")[0].status == 404


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


def test_defaults():
    arguments = build_parser().parse_args(["view"])
    assert (arguments.host, arguments.max_upload, arguments.browser) == ("127.0.0.1", 64, True)
    assert Path(arguments.weights).name == "jointwrist_tiny"
