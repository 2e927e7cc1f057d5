"""The DICOM node as a whole: start, main loop and shutdown."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Mapping

from jointwrist.errors import DataError, StorageError
from jointwrist.inference.predictor import Predictor
from jointwrist.node.config import NodeConfig
from jointwrist.node.receive import Receiver
from jointwrist.node.send import Sender
from jointwrist.node.store import Store
from jointwrist.node.web import WebServer
from jointwrist.node.work import Worker

LOG = logging.getLogger("jointwrist.node")
#: Seconds between two checks of an empty queue, and before the next attempt after the disk was full.
POLL, DISK_FULL = 0.5, 30.0


class Node:
    """Receives radiographs, predicts them and sends the results until stopped.

    Args:
        config: See `NodeConfig`.
        predictor: Predictor; None loads the weights that the configuration names.

    Raises:
        DataError: An address cannot be listened on, or the weights cannot be loaded.
        MissingExtraError: An optional dependency is not installed.
    """

    def __init__(self, config: NodeConfig, predictor: Predictor | None = None):
        self.config = config
        self.stopping = threading.Event()
        self.store = Store(config.folder, config.queue, config.keep)
        for peer in sorted(self.store.peers() - {peer.name for peer in config.peers}):
            LOG.warning("results wait in outbox for %s, which is no peer any more: name it again, or remove them", peer)
        predictor = predictor or Predictor.from_pretrained(config.weights, config.device or None)
        self.worker = Worker(config, self.store, predictor)
        pause = (config.retry_s, max(config.retry_s, config.longest_retry_s))
        self.senders = [Sender(peer, self.store, config.dicom.ae_title, pause) for peer in config.peers]
        self.receiver = Receiver(config.dicom, self.store, config.object_mb << 20)
        self.web: WebServer | None = None
        if config.http.port:
            try:
                self.web = WebServer(config.http, self.store, config.object_mb << 20, self.counters)
            except OSError as error:
                self.receiver.close()
                where = f"{config.http.host}:{config.http.port}"
                raise DataError(
                    f"http: cannot listen on {where} ({error.strerror}); choose another http.port"
                ) from None

    def counters(self) -> Mapping[str, float]:
        """Return the counters of this process and the lengths of the queues."""
        unsent, oldest = self.store.unsent()
        return {
            **self.worker.counts,
            "delivered": sum(sender.delivered for sender in self.senders),
            "waiting": self.store.waiting(),
            "unsent": unsent,
            "oldest_unsent_seconds": round(oldest, 1),
            "refused_by_peers": self.store.refused(),
        }

    def run(self) -> None:
        """Run until `stop`; the current radiograph is finished, and unsent results stay on disk for the next start."""
        for sender in self.senders:
            sender.start()
        if self.web:
            threading.Thread(target=self.web.serve_forever, name="http", daemon=True).start()
        try:
            while not self.stopping.is_set():
                try:
                    busy = self.worker.step()
                except StorageError as error:
                    LOG.error("%s", error)
                    self.stopping.wait(DISK_FULL)
                    continue
                if busy:
                    for sender in self.senders:
                        sender.wake()
                else:
                    self.stopping.wait(POLL)
        finally:
            self.close()

    def stop(self) -> None:
        """Ask the node to stop."""
        self.stopping.set()

    def close(self) -> None:
        """Stop receiving and let each sender finish its current object."""
        self.receiver.close()
        if self.web:
            self.web.shutdown()
            self.web.server_close()
        for sender in self.senders:
            sender.stop()
        deadline = time.monotonic() + 30
        for sender in self.senders:
            if sender.is_alive():
                sender.join(max(deadline - time.monotonic(), 0))


def start_log() -> None:
    """Log events to stderr, without values that a peer sent or a header contains."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    LOG.setLevel(logging.INFO)
    # messages of these libraries quote UIDs and received values, such as patient names
    for name in ("pynetdicom", "pydicom", "highdicom", "dicomweb_client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=name)
    threading.excepthook = _log_type


def _log_type(arguments: threading.ExceptHookArgs) -> None:
    """Log the type of an exception that ended a thread; its message may quote received values."""
    LOG.error("%s ended a thread", arguments.exc_type.__name__)


def serve(config: NodeConfig) -> int:
    """Run a node until SIGTERM or Ctrl-C."""
    start_log()
    node = Node(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: node.stop())
    http = f", http {config.http.host}:{config.http.port}" if node.web else ""
    LOG.info("ready: %s on %s:%d%s", config.dicom.ae_title, config.dicom.host, node.receiver.port, http)
    node.run()
    LOG.info("stopped")
    return 0
