"""Send results to a peer by C-STORE or STOW-RS, and retry until the peer confirms them."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.errors import require
from jointwrist.node.config import PeerConfig
from jointwrist.node.receive import tls_context
from jointwrist.node.store import Store

if TYPE_CHECKING:
    from pydicom import Dataset

LOG = logging.getLogger("jointwrist.node")
#: Statuses of C-STORE with which a peer refuses an object for good (PS3.4, B.2.3).
_REFUSED = (*range(0xA900, 0xAA00), *range(0xC000, 0xD000), 0x0122)


class UnreachableError(Exception):
    """A peer cannot be reached or currently accepts nothing."""


class Sender(threading.Thread):
    """A thread that sends the results in the outbox to one peer.

    Args:
        peer: Destination.
        store: Store with the outbox.
        called_from: AE title of this node.
        pause: Shortest and longest pause in seconds between retries; it doubles each time.
    """

    def __init__(self, peer: PeerConfig, store: Store, called_from: str, pause: tuple[float, float]):
        super().__init__(name=f"send-{peer.name}", daemon=True)
        require("dicomweb_client" if peer.url else "pynetdicom", "node")
        self.peer, self.store, self.called_from, self.pause = peer, store, called_from, pause
        self.delivered = 0
        self._stop_asked, self._news = threading.Event(), threading.Event()

    def wake(self) -> None:
        """Tell the sender that there are new results."""
        self._news.set()

    def stop(self) -> None:
        """Ask the sender to stop after the current object."""
        self._stop_asked.set()
        self._news.set()

    def run(self) -> None:
        """Send until stopped."""
        pause = 0.0
        while not self._stop_asked.is_set():
            self._news.clear()
            try:
                self.send_all()
                pause = 0.0
            except UnreachableError as error:
                pause = self._longer(pause, str(error))
            except Exception as error:  # results stay in the outbox and are retried
                pause = self._longer(pause, f"sending failed with {type(error).__name__}")
            # new results do not shorten the pause of an unreachable peer
            (self._stop_asked if pause else self._news).wait(pause or 1.0)

    def _longer(self, pause: float, reason: str) -> float:
        pause = min(max(2 * pause, self.pause[0]), self.pause[1])
        LOG.warning("%s: %s; next attempt in %g s", self.peer.name, reason, pause)
        return pause

    def send_all(self) -> None:
        """Send all results that currently wait for the peer.

        Raises:
            UnreachableError: The peer cannot be reached; confirmed results have left the outbox.
        """
        for files in self.store.deliveries(self.peer.name):
            sent = _stow(self.peer, files) if self.peer.url else _store(self.peer, files, self.called_from)
            for file, taken in sent:
                if taken:
                    self.store.sent(file)
                    self.delivered += 1
                else:
                    LOG.error("%s refuses %s, which was moved to failed/", self.peer.name, file.stem)
                    self.store.refuse(file)
                if self._stop_asked.is_set():
                    return


def _store(peer: PeerConfig, files: list[Path], called_from: str) -> Iterator[tuple[Path, bool]]:
    """C-STORE files; yield each file that the peer has answered for, and whether it was accepted."""
    from pydicom import dcmread
    from pynetdicom import AE

    entity = AE(ae_title=called_from)
    # datasets are read one at a time, when they are sent
    for storage in dict.fromkeys(_header(file).SOPClassUID for file in files):
        entity.add_requested_context(storage, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    tls = (tls_context(peer.tls, ssl.Purpose.SERVER_AUTH), None) if peer.tls else None
    association = entity.associate(peer.host, peer.port, ae_title=peer.ae_title, tls_args=tls)
    if not association.is_established:
        raise UnreachableError("rejects the association" if association.is_rejected else "cannot be reached")
    try:
        for file in files:
            try:
                status = association.send_c_store(dcmread(file)).get("Status")
            except ValueError:  # the peer accepted no context for this class
                yield file, False
                continue
            except RuntimeError:  # the association ended between two objects
                status = None
            if status is None:
                raise UnreachableError("broke off")
            if status == 0x0000 or 0xB000 <= status <= 0xBFFF:
                yield file, True
            elif status in _REFUSED:
                yield file, False
            else:
                raise UnreachableError(f"answers with status 0x{status:04X}")
    finally:
        if association.is_established:
            association.release()


def _stow(peer: PeerConfig, files: list[Path]) -> Iterator[tuple[Path, bool]]:
    """STOW-RS files; yield each file that the peer has answered for, and whether it was accepted."""
    from dicomweb_client import DICOMwebClient
    from pydicom import dcmread
    from requests import HTTPError, RequestException

    client = DICOMwebClient(peer.url)
    client.set_http_retry_params(retry=False)
    for file in files:
        try:
            answer = client.store_instances([dcmread(file)])
        except HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status not in (400, 409, 415):
                raise UnreachableError(f"answers with HTTP {status}") from None
            yield file, False
        except RequestException:
            raise UnreachableError("cannot be reached") from None
        else:
            yield file, not answer.get("FailedSOPSequence")


def _header(file: Path) -> Dataset:
    from pydicom import dcmread

    return dcmread(file, specific_tags=["SOPClassUID"])
