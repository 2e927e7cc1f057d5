"""Predict queued radiographs, and put their results into the outbox."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointwrist import __version__
from jointwrist.errors import DataError, StorageError
from jointwrist.node.config import NodeConfig
from jointwrist.node.store import Store
from jointwrist.outputs.dicom_objects import BUILDERS

if TYPE_CHECKING:
    from pydicom import Dataset

    from jointwrist.inference.predictor import Predictor
    from jointwrist.inference.result import WristResult

LOG = logging.getLogger("jointwrist.node")


class Worker:
    """Predicts queued radiographs one at a time and puts their results into the outbox.

    Args:
        config: Peers and the kinds of results for each.
        store: Queue and outbox.
        predictor: Predictor of the shipped or configured weights.
    """

    def __init__(self, config: NodeConfig, store: Store, predictor: Predictor):
        self.config, self.store, self.predictor = config, store, predictor
        self.counts = {"predicted": 0, "noted": 0, "failed": 0}

    def step(self) -> bool:
        """Predict the next radiograph; return whether there was one.

        Raises:
            StorageError: The disk is full or fails; the radiograph stays in the queue.
        """
        with self.store.next_radiograph() as radiograph:
            if radiograph is None:
                return False
            key, path = radiograph
            began = time.monotonic()
            record, results = self._predict(key, path)
            record |= {"seconds": round(time.monotonic() - began, 2), "version": __version__}
            try:
                self.store.finish(key, record, results)
            except OSError as error:
                raise StorageError(f"{self.store.folder}: cannot be written ({error.strerror}); make room") from error
        self.counts[record["status"]] += 1
        LOG.info("%s: %s in %.1f s", key[:8], record["status"], record["seconds"])
        return True

    def _predict(self, key: str, path: Path) -> tuple[dict[str, Any], dict[str, list[tuple[str, Dataset]]]]:
        """Return the record of a radiograph and its results by peer; a file without a hand is recorded as `noted`."""
        attempt = self.store.attempt(key)
        if attempt > self.config.attempts:
            return {"status": "failed", "reason": f"{attempt - 1} attempts ended without a result"}, {}
        while True:
            try:
                ((_, wrists),) = self.predictor.stream([path], names=["radiograph"])
                return {"status": "predicted", "wrists": len(wrists)}, self._results(wrists)
            except DataError as error:
                return {"status": "noted", "reason": str(error)}, {}
            except Exception as error:  # an unexpected error must not stop the queue
                LOG.exception("%s: attempt %d failed", key[:8], attempt)
                attempt = self.store.attempt(key)
                if attempt > self.config.attempts:
                    return {"status": "failed", "reason": type(error).__name__}, {}

    def _results(self, wrists: Sequence[WristResult]) -> dict[str, list[tuple[str, Dataset]]]:
        kinds = dict.fromkeys(kind for peer in self.config.peers for kind in peer.outputs)
        made = {
            kind: [(f"{kind}{number}.dcm", BUILDERS[kind](wrist)) for number, wrist in enumerate(wrists, 1)]
            for kind in kinds
        }
        return {peer.name: [item for kind in peer.outputs for item in made[kind]] for peer in self.config.peers}
