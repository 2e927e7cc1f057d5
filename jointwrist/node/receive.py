"""The storage provider of a node: receives radiographs by C-STORE."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

from jointwrist.data.dicom.header import STORAGE_CLASSES
from jointwrist.errors import DataError, require
from jointwrist.node.config import DicomConfig, TlsConfig
from jointwrist.node.store import FullError, Store

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.events import Event

LOG = logging.getLogger("jointwrist.node")
#: Statuses of C-STORE (PS3.4, B.2.3).
STORED, OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000


class Receiver:
    """A provider of storage (C-STORE) and verification (C-ECHO).

    Args:
        config: Address, titles and limits.
        store: Queue that radiographs are put into.
        object_bytes: Largest object in bytes; an association that sends more is aborted, which bounds memory.

    Raises:
        DataError: The address cannot be listened on.
        MissingExtraError: pynetdicom is not installed.
    """

    def __init__(self, config: DicomConfig, store: Store, object_bytes: int):
        require("pynetdicom", "node")
        from pynetdicom import evt

        self.config, self.store, self.object_bytes = config, store, object_bytes
        self._received: dict[int, int] = {}
        handlers = [
            (evt.EVT_C_STORE, self._keep),
            (evt.EVT_PDU_RECV, self._count),
            (evt.EVT_CONN_CLOSE, self._forget),
        ]
        context = tls_context(config.tls, ssl.Purpose.CLIENT_AUTH) if config.tls else None
        try:
            self._server = self._entity().start_server(
                (config.host, config.port), block=False, evt_handlers=handlers, ssl_context=context
            )
        except OSError as error:
            raise DataError(
                f"dicom: cannot listen on {config.host}:{config.port} ({error.strerror}); choose another dicom.port"
            ) from None

    @property
    def port(self) -> int:
        """Return the port of the server."""
        return self._server.server_address[1]

    def close(self) -> None:
        """Stop listening and end all associations."""
        self._server.shutdown()
        self._server.server_close()

    def _entity(self) -> AE:
        import pydicom.uid
        from pynetdicom import AE
        from pynetdicom.sop_class import Verification

        entity = AE(ae_title=self.config.ae_title)
        entity.add_supported_context(Verification)
        syntaxes = [uid for uid in pydicom.uid.AllTransferSyntaxes if uid not in pydicom.uid.MPEGTransferSyntaxes]
        for keyword in STORAGE_CLASSES:
            entity.add_supported_context(getattr(pydicom.uid, keyword), syntaxes)
        entity.require_called_aet = True
        entity.require_calling_aet = list(self.config.allowed)
        entity.maximum_associations = self.config.associations
        # a silent connection counts as an association until this timeout
        entity.acse_timeout = min(self.config.idle_s, 10)
        entity.dimse_timeout = entity.network_timeout = self.config.idle_s
        return entity

    def _keep(self, event: Event) -> int:
        self._received[id(event.assoc)] = 0
        uid = str(event.request.AffectedSOPInstanceUID)
        if not event.request.DataSet or not event.request.DataSet.getbuffer().nbytes:
            LOG.error("object without data refused")
            return NOT_UNDERSTOOD
        try:
            new = self.store.receive(uid, event.encoded_dataset())
        except (FullError, OSError) as error:
            LOG.error("radiograph refused: %s", "the queue is full" if isinstance(error, FullError) else error.strerror)
            return OUT_OF_RESOURCES
        LOG.info("radiograph received%s", "" if new else " (duplicate)")
        return STORED

    def _count(self, event: Event) -> None:
        """Abort an association whose object exceeds the limit."""
        from pynetdicom.pdu import P_DATA_TF

        if isinstance(event.pdu, P_DATA_TF):
            received = self._received.get(id(event.assoc), 0) + event.pdu.pdu_length
            self._received[id(event.assoc)] = received
            if received > self.object_bytes:
                LOG.error("object of more than %d MiB refused, association aborted", self.object_bytes >> 20)
                event.assoc.abort()

    def _forget(self, event: Event) -> None:
        self._received.pop(id(event.assoc), None)


def tls_context(config: TlsConfig, purpose: ssl.Purpose) -> ssl.SSLContext:
    """Return a context that presents this node's certificate and requires one from the other side."""
    context = ssl.create_default_context(purpose, cafile=config.authority)
    context.load_cert_chain(config.certificate, config.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = False  # DICOM peers are known by certificate and AE title
    return context
