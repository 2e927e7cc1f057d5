"""The HTTP server of a node: STOW-RS, health, and counters in the text format of Prometheus."""

from __future__ import annotations

import json
import logging
import mmap
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from jointwrist.data.dicom.header import STORAGE_CLASSES
from jointwrist.node.config import HttpConfig
from jointwrist.node.store import FullError, Store

LOG = logging.getLogger("jointwrist.node")
#: Largest number of simultaneous uploads, and seconds without traffic after which a request is ended.
UPLOADS, TIMEOUT = 4, 60.0
#: Failure reasons of STOW-RS (PS3.18, table 10.5.3-2).
OUT_OF_RESOURCES, NOT_UNDERSTOOD, NOT_SUPPORTED = 0xA700, 0xC000, 0x0122


class WebServer(ThreadingHTTPServer):
    """An HTTP server with a thread per request.

    Args:
        config: Address.
        store: Queue that radiographs are put into.
        object_bytes: Largest object in bytes.
        counters: Returns the current counters.

    Raises:
        OSError: The address cannot be listened on.
    """

    daemon_threads = True

    def __init__(
        self, config: HttpConfig, store: Store, object_bytes: int, counters: Callable[[], Mapping[str, float]]
    ):
        self.store, self.object_bytes, self.counters = store, object_bytes, counters
        self.uploads = threading.BoundedSemaphore(UPLOADS)
        self.address_family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        super().__init__((config.host, config.port), _Handler)


class RefusedError(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.rstrip("/")
        counters = self.server.counters()
        if path == "/health":
            self._answer(HTTPStatus.OK, "application/json", json.dumps({"status": "ok", **counters}))
        elif path == "/metrics":
            lines = (f"jointwrist_node_{name} {value:g}\n" for name, value in counters.items())
            self._answer(HTTPStatus.OK, "text/plain; version=0.0.4", "".join(lines))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "this server has /health, /metrics and POST /studies\n")

    def do_POST(self) -> None:
        try:
            study = self._study()
            if not self.server.uploads.acquire(blocking=False):
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"{UPLOADS} uploads are in progress; try again")
            try:
                stored, failed = self._store(study)
            except TimeoutError:
                raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "the request is incomplete") from None
            finally:
                self.server.uploads.release()
        except RefusedError as refused:
            self.close_connection = True
            self._answer(refused.status, "text/plain", f"{refused}\n")
            return
        status = HTTPStatus.OK if not failed else HTTPStatus.ACCEPTED if stored else HTTPStatus.CONFLICT
        answer = {}
        if stored:
            answer["00081199"] = {"vr": "SQ", "Value": stored}
        if failed:
            answer["00081198"] = {"vr": "SQ", "Value": failed}
        self._answer(status, "application/dicom+json", json.dumps(answer))

    def _study(self) -> str | None:
        """Return the study UID in the path, or None if there is none."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[0] == "dicom-web":
            parts = parts[1:]
        if parts[:1] != ["studies"] or len(parts) > 2:
            raise RefusedError(HTTPStatus.NOT_FOUND, "POST radiographs to /studies or /studies/UID")
        return parts[1] if len(parts) == 2 else None

    def _store(self, study: str | None) -> tuple[list[dict], list[dict]]:
        """Write a request to a temporary file and store its parts; one object at a time is in memory."""
        kind = Message()
        kind["Content-Type"] = self.headers.get("Content-Type", "")
        boundary = kind.get_param("boundary")
        if kind.get_content_type() != "multipart/related" or not isinstance(boundary, str):
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'send multipart/related; type="application/dicom" with a boundary'
            )
        stored: list[dict] = []
        failed: list[dict] = []
        with tempfile.TemporaryFile(dir=self.server.store.folder / "arriving") as file:
            for chunk in self._body(16 * self.server.object_bytes):
                file.write(chunk)
            file.flush()
            for content in _parts(file, boundary.encode()):
                reference, reason = self._store_one(content, study)
                if reason is None:
                    stored.append(reference)
                else:
                    failed.append({**reference, "00081197": {"vr": "US", "Value": [reason]}})
        if not stored and not failed:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request contains no complete DICOM part")
        return stored, failed

    def _body(self, most: int) -> Iterator[bytes]:
        """Yield the body of a request, with Content-Length or chunked (RFC 9112, 6 and 7.1)."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            received = 0
            while size := self._chunk_size():
                received += size
                if received > most:
                    raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large; send fewer radiographs at once")
                yield from self._read(size)
                self._line()
            while self._line():  # trailer fields
                pass
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "the request has no Content-Length")
        if int(length) > most:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large; send fewer radiographs at once")
        yield from self._read(int(length))

    def _chunk_size(self) -> int:
        try:
            return int(self._line().partition(b";")[0], 16)
        except ValueError:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request is incomplete") from None

    def _line(self) -> bytes:
        return self.rfile.readline(1 << 16).strip()

    def _read(self, length: int) -> Iterator[bytes]:
        while length:
            chunk = self.rfile.read(min(length, 1 << 20))
            if not chunk:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "the request is incomplete")
            yield chunk
            length -= len(chunk)

    def _store_one(self, content: bytes, study: str | None) -> tuple[dict[str, Any], int | None]:
        """Store one object; return its reference, and the failure reason or None."""
        from pydicom import dcmread

        try:
            header = dcmread(BytesIO(content), stop_before_pixels=True)
            storage, uid = header.SOPClassUID, str(header.SOPInstanceUID)
        except Exception:  # pydicom raises many kinds on malformed data
            return {}, NOT_UNDERSTOOD
        reference = {
            "00081150": {"vr": "UI", "Value": [str(storage)]},
            "00081155": {"vr": "UI", "Value": [uid]},
        }
        if len(content) > self.server.object_bytes:
            return reference, OUT_OF_RESOURCES
        if storage.keyword not in STORAGE_CLASSES:
            return reference, NOT_SUPPORTED
        if study is not None and study != header.get("StudyInstanceUID"):
            return reference, NOT_UNDERSTOOD
        try:
            new = self.server.store.receive(uid, content)
        except (FullError, OSError):
            return reference, OUT_OF_RESOURCES
        LOG.info("radiograph received%s", "" if new else " (duplicate)")
        return reference, None

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log no requests: paths may contain study UIDs."""


def _parts(file: Any, boundary: bytes) -> Iterator[bytes]:
    """Yield the bodies of the DICOM parts of a multipart message (RFC 2046, 5.1.1)."""
    file.seek(0, 2)
    if file.tell() == 0:
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as message:
        delimiter = b"--" + boundary
        start = message.find(delimiter)
        while start >= 0:
            start += len(delimiter)
            if message[start : start + 2] == b"--":
                return
            end = message.find(b"\r\n" + delimiter, start)
            head = message.find(b"\r\n\r\n", start)
            if end < 0 or head < 0 or head > end:
                return
            kinds = [
                line.partition(b":")[2].strip().lower()
                for line in message[start:head].split(b"\r\n")
                if line.lower().startswith(b"content-type:")
            ]
            if not kinds or kinds[0].startswith((b"application/dicom", b"application/octet-stream")):
                yield message[head + 4 : end]
            start = end + 2
