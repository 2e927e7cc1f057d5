"""The viewer's server: who may ask, what is refused, and that nothing stops it."""

from __future__ import annotations

import http.client
import re
import socket
import time
from urllib.parse import urlsplit

import pytest
from viewer_client import LIMIT

from jointwrist.viewer.server import HEADERS, names_this_machine


def test_a_fault_of_our_own_is_an_answer_too(client, server, monkeypatch, capsys):
    monkeypatch.setattr(server.radiographs, "names", lambda: 1 / 0)
    reply, said = client("GET", "radiographs")
    assert reply.status == 500
    assert "terminal" in said["error"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.undo()
    assert client.get("radiographs")


def test_large_files_are_refused_unread(client, server):
    data = b"\0" * (LIMIT + 1)
    reply, said = client.upload("large.png", data)
    assert reply.status == 413
    assert "--max-upload" in said["error"]
    # what is announced counts, not what comes
    assert client("POST", "radiographs?name=x", b"abc", **{"Content-Length": str(10**12)})[0].status == 413
    assert len(server.radiographs.names()) == 3


@pytest.mark.parametrize("length", [None, "-1", "ten", "1_0", ""])
def test_an_upload_says_its_size(client, length):
    head = (
        f"POST {client.root.path}radiographs?name=x HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    )
    if length is not None:
        head += f"Content-Length: {length}\r\n"
    with socket.create_connection((client.root.hostname, client.root.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_a_chunked_upload_is_refused(client):
    reply, _ = client("POST", "radiographs?name=x", iter([b"abc"]), **{"Transfer-Encoding": "chunked"})
    assert reply.status == 411
    assert reply.headers["Connection"] == "close"


def test_a_body_that_nobody_reads_is_no_second_request(client, server):
    inner = f"GET {client.root.path}radiographs HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode()
    head = f"GET {client.root.path}radiographs HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {len(inner)}\r\n\r\n"
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
    assert client.upload("radiograph.png", wrists[1].read_bytes())[0].status == 503
    for _ in range(taken):
        server.uploads.release()
    assert client.upload("radiograph.png", wrists[1].read_bytes())[0].status == 201


def test_a_sender_who_leaves_frees_its_place(client, server):
    head = (
        f"POST {client.root.path}radiographs?name=x HTTP/1.1\r\nHost: {client.host}\r\n"
        f"Origin: http://{client.host}\r\nContent-Length: 1000\r\n\r\nabc"
    )
    for _ in range(6):
        with socket.create_connection((client.root.hostname, client.root.port)) as connection:
            connection.sendall(head.encode())
    end = time.monotonic() + 60
    while client.upload("radiograph.png", b"x")[0].status == 503:
        assert time.monotonic() < end
    assert client.upload("radiograph.png", b"x")[0].status == 422


@pytest.mark.parametrize(
    "address",
    [
        "../cli.py",
        "..%2fcli.py",
        "%2e%2e/%2e%2e/cli.py",
        "/etc/passwd",
        "view.css/",
        "./view.css",
        "radiographs/../../cli.py",
        "radiographs/%2e%2e/pixels",
        "server.py",
        "assets/view.js",
        "view.js%00",
    ],
)
def test_nothing_but_the_page_is_served(client, address):
    reply, said = client("GET", address)
    assert reply.status == 404
    assert "error" in said


@pytest.mark.parametrize(
    "path", ["/", "/radiographs", "/view.js", "//", "*", "http://[", "/x/radiographs", "/%00", "/etc/passwd"]
)
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
    for method, address in (("GET", ""), ("GET", "radiographs"), ("POST", "radiographs?name=x")):
        reply, _ = client(method, address, Host=host, Origin=f"http://{host}")
        assert reply.status in (400, 421)


def test_own_names_of_this_machine(client):
    port = client.root.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", "[::1]:9000", "192.168.1.7:1"):
        assert client("GET", "radiographs", Host=host)[0].status == 200
    assert names_this_machine("Wrist-7:80", "wrist-7")
    assert not names_this_machine("wrist-8:80", "wrist-7")


def test_two_hosts_are_none(client):
    head = f"GET {client.root.path}radiographs HTTP/1.1\r\nHost: {client.host}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection((client.root.hostname, client.root.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "file://", "http://["])
def test_only_the_page_itself_may_change_anything(client, server, wrists, origin):
    key = server.radiographs.names()[0][0]
    for method, address in (
        ("POST", "radiographs?name=radiograph.png"),
        ("POST", f"radiographs/{key}/side?side=L"),
        ("DELETE", f"radiographs/{key}"),
    ):
        assert client(method, address, wrists[0].read_bytes(), Origin=origin)[0].status == 403
    assert len(server.radiographs.names()) == 3


def test_responses_are_neither_cached_nor_framed(client):
    for address in ("", "view.js", "radiographs", "nothing"):
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
    for name in (
        "view.css",
        "shared.css",
        "view.js",
        "stage.js",
        "gestures.js",
        "joints.js",
        "tables.js",
        "switches.js",
    ):
        text = client.get(name).decode().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.M)
        assert "url(" not in text
        assert "@import" not in text


def test_head_is_get_without_the_content(client, server):
    for address in ("", "view.css", "radiographs", "radiographs/none"):
        (asked, content), (reply, nothing) = client("GET", address, Origin=None), ask_head(client, address)
        assert (reply.status, reply.headers["Content-Length"]) == (asked.status, asked.headers["Content-Length"])
        assert nothing == b"" and reply.headers["Cache-Control"] == "no-store" and content
    path = urlsplit(server.single_use_url()).path
    assert ask_head(client, "", path)[0].status == 404 and client("GET", "", path=path)[0].status == 200


def ask_head(client, address, path=None):
    connection = http.client.HTTPConnection(client.root.hostname, client.root.port, timeout=120)
    connection.request("HEAD", path or client.root.path + address, headers={"Host": client.host})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply, content


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_refused_as_all_else_is(client, method):
    reply, said = client(method, "")
    assert reply.status == 405 and reply.headers["Allow"] == "GET, HEAD, POST, DELETE"
    assert "error" in said and all(reply.headers[name] == value for name, value in HEADERS.items())


def test_the_address_on_a_command_line_leads_to_the_page_once(client, server):
    assert client("GET", "", path="/None")[0].status == 404
    path = urlsplit(server.single_use_url()).path
    reply, forward = client("GET", "", path=path)
    assert reply.status == 200
    assert f"url={server.secret}/" in forward.decode()
    assert client("GET", "", path=path)[0].status == 404
    assert client("GET", "", path="/None")[0].status == 404
