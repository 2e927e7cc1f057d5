"""The viewer's server, which by default accepts connections from this machine only.

A request must contain the secret part of the address, which other users of the machine do not know; name this machine
as its host, and not a foreign domain that was pointed at it (DNS rebinding); and come from the page itself if it
changes anything (cross-site request forgery).
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jointwrist.errors import DataError
from jointwrist.viewer.describe import describe_comparison, describe_result, radiograph_bytes
from jointwrist.viewer.radiographs import Radiographs, UnknownRadiographError

#: Files of the page by address: package, name and type. Nothing else is ever served.
PAGE = {
    "": ("viewer", "view.html", "text/html; charset=utf-8"),
    "shared.css": ("benchmark.report", "shared.css", "text/css; charset=utf-8"),
    "view.css": ("viewer", "view.css", "text/css; charset=utf-8"),
    "switches.js": ("benchmark.report", "switches.js", "text/javascript; charset=utf-8"),
    "gestures.js": ("viewer", "gestures.js", "text/javascript; charset=utf-8"),
    "stage.js": ("viewer", "stage.js", "text/javascript; charset=utf-8"),
    "joints.js": ("viewer", "joints.js", "text/javascript; charset=utf-8"),
    "tables.js": ("viewer", "tables.js", "text/javascript; charset=utf-8"),
    "view.js": ("viewer", "view.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Cache-Control": "no-store",  # radiographs do not belong in the browser's cache either
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: What is said to a request with another method.
METHODS = {"Allow": "GET, HEAD, POST, DELETE"}
#: Largest number of uploads received at once.
UPLOADS = 4
#: Seconds for which the rest of a refused request is read and discarded, so that the sender receives the answer.
PATIENCE = 5.0


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class ViewerServer(ThreadingHTTPServer):
    """Serve radiographs to a browser.

    Args:
        radiographs: Radiographs to show.
        facts: Description of `describe_model`.
        host: Address or name to listen at.
        port: Port; 0 takes a free one.
        max_upload: Size in bytes of the largest file that can be dropped.

    Raises:
        OSError: The port is taken, or the host is not of this machine.
    """

    daemon_threads = True

    def __init__(
        self,
        radiographs: Radiographs,
        facts: Mapping[str, Any],
        host: str = "127.0.0.1",
        port: int = 8321,
        max_upload: int = 2**26,
    ):
        self.radiographs, self.max_upload = radiographs, max_upload
        self.facts = {**facts, "max_upload": max_upload}
        self.host, self.secret = host, secrets.token_urlsafe(12)
        self.ticket: str | None = None
        self.uploads = threading.BoundedSemaphore(UPLOADS)
        self.page = {
            address: ((files(f"jointwrist.{package}") / "assets" / name).read_bytes(), kind)
            for address, (package, name, kind) in PAGE.items()
        }
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse DNS look-up that the library would make."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.host, self.server_address[1]

    @property
    def url(self) -> str:
        """Return the address to open in a browser on this machine."""
        return f"{self._root}/{self.secret}/"

    def single_use_url(self) -> str:
        """Return an address that leads to the page once; other users can read the command line of a browser."""
        self.ticket = secrets.token_urlsafe(12)
        return f"{self._root}/{self.ticket}"

    @property
    def _root(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that closed the connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_this_machine(header: str, host: str) -> bool:
    """Return whether a Host header is an address, `localhost`, or the name that the server was given.

    A foreign domain can be made to point at any machine, but an address cannot be a foreign domain.
    """
    if "@" in header or "/" in header:
        return False
    try:
        name = urlsplit(f"//{header}").hostname
        if name is None or name in ("localhost", host.lower()):
            return name is not None
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _Handler(BaseHTTPRequestHandler):
    """Answer one connection."""

    server: ViewerServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "jointwrist", ""
    timeout = 30  # seconds of silence

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: names of files may be names of patients."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the library refuses, such as other methods, as all else is answered."""
        self.close_connection = True
        unknown = code == HTTPStatus.NOT_IMPLEMENTED
        status = HTTPStatus.METHOD_NOT_ALLOWED if unknown else HTTPStatus(code)
        self._send(*_json({"error": f"{message or status.phrase}."}, status), METHODS if unknown else {})

    def _answer(self) -> None:
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True  # an unread body must not be parsed as the next request
        try:
            self._check_sender()
            status, kind, content = self._route()
        except RefusedError as error:
            self._fail(error.status, str(error))
        except DataError as error:
            self._fail(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except UnknownRadiographError:
            self._fail(HTTPStatus.NOT_FOUND, "This radiograph is no longer here.")
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            traceback.print_exc()
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, "This went wrong in jointwrist; the terminal says more.")
        else:
            self._send(status, kind, content)

    def _check_sender(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not names_this_machine(hosts[0], self.server.host):
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "This server does not go by that name.")
        if self.command not in ("GET", "HEAD"):
            if self.headers.get("Origin") not in (f"http://{hosts[0]}", f"https://{hosts[0]}"):
                raise RefusedError(HTTPStatus.FORBIDDEN, "Only the viewer's own page may do this.")

    def _route(self) -> tuple[HTTPStatus, str, bytes]:
        path, _, query = self.path.partition("?")
        if self.command == "GET" and self.server.ticket and path == f"/{self.server.ticket}":
            self.server.ticket = None
            forward = f'<meta http-equiv="refresh" content="0; url={self.server.secret}/">'
            return HTTPStatus.OK, "text/html; charset=utf-8", forward.encode()
        root = f"/{self.server.secret}/"
        if not hmac.compare_digest(path[: len(root)].encode(), root.encode()):
            raise RefusedError(HTTPStatus.NOT_FOUND, "Open the whole address that the terminal shows.")
        return self._ask(path[len(root) :], {name: values[-1] for name, values in parse_qs(query).items()})

    def _ask(self, place: str, query: dict[str, str]) -> tuple[HTTPStatus, str, bytes]:
        radiographs = self.server.radiographs
        match "GET" if self.command == "HEAD" else self.command, *place.split("/"):
            case "GET", name if name in self.server.page:
                content, kind = self.server.page[name]
                return HTTPStatus.OK, kind, content
            case "GET", "radiographs":
                listed = [{"key": key, "name": name} for key, name in radiographs.names()]
                return _json({**self.server.facts, "radiographs": listed})
            case "GET", "radiographs", key:
                return _json(describe_result(radiographs.result(key)))
            case "GET", "radiographs", key, "pixels":
                return HTTPStatus.OK, "application/octet-stream", radiograph_bytes(radiographs.result(key))
            case "GET", "comparison":
                return _json(
                    describe_comparison(radiographs.compare(query.get("baseline", ""), query.get("followup", "")))
                )
            case "POST", "radiographs":
                return _json({"key": self._receive(query.get("name", ""))}, HTTPStatus.CREATED)
            case "POST", "radiographs", key, "side":
                if query.get("side") not in ("L", "R"):
                    raise RefusedError(HTTPStatus.BAD_REQUEST, "A side is L or R.")
                return _json(describe_result(radiographs.set_side(key, query["side"])))
            case "DELETE", "radiographs", key:
                radiographs.remove(key)
                return _json({})
        raise RefusedError(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _receive(self, name: str) -> str:
        """Take the file in the request's body."""
        given = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not given.isdecimal():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "The request must state the size of the file.")
        length = int(given)
        if length > self.server.max_upload:
            limit = self.server.max_upload / 2**20
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The file is larger than the {limit:g} MB allowed; --max-upload raises the limit.",
            )
        if not self.server.uploads.acquire(blocking=False):
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "Too many files at once; try again.")
        try:
            data = self.rfile.read(length)
            if len(data) < length:
                raise ConnectionError("the sender left")
            return self.server.radiographs.add_upload(name, data)
        finally:
            self.server.uploads.release()

    def _fail(self, status: HTTPStatus, message: str) -> None:
        unread = self.close_connection
        self._send(*_json({"error": message}, status))
        if unread:
            self._discard()

    def _send(
        self, status: HTTPStatus, kind: str, content: bytes, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in {**HEADERS, **more}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _discard(self) -> None:
        """Read the rest of the request: closing the connection earlier would discard the answer."""
        end = time.monotonic() + PATIENCE
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(PATIENCE)
            while time.monotonic() < end and self.connection.recv(2**16):
                pass
        except OSError:
            return


def _json(values: Any, status: HTTPStatus = HTTPStatus.OK) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", json.dumps(values, allow_nan=False).encode()
