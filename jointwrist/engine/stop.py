"""Being told to stop, by a scheduler (SIGTERM) or the user (SIGINT): training finishes its step and saves first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """What was asked for, and whether it can wait until a step is done.

    Attributes:
        signal: Number of the signal that asked, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._can_wait = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal where it can wait; leave at once otherwise, and at the second."""
        if self._can_wait and self.signal is None:
            self.signal = number
        else:
            raise SystemExit(128 + number)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let signals wait: the block asks for `signal` itself."""
        self._can_wait = True
        try:
            yield
        finally:
            self._can_wait = False


STOP = Stop()


def leave_signals_to_parent(worker: int) -> None:
    """Let a process that loads images outlive the signals of others; a `worker_init_fn` of PyTorch's loader.

    Schedulers and terminals signal every process of a job. The parent needs its batches until the step is done, and
    then ends its workers itself, by the same signals.
    """
    if not hasattr(signal, "sigwaitinfo"):  # elsewhere than on Linux nothing tells who sent a signal
        return
    parent = multiprocessing.parent_process().pid
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def wait() -> None:
        while signal.sigwaitinfo(SIGNALS).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, name="signals", daemon=True).start()


@contextmanager
def graceful_stop() -> Iterator[None]:
    """Handle SIGTERM and SIGINT while the block runs; exit status 128 + signal, as shells have it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, STOP.handle) for number in SIGNALS}
    try:
        yield
    finally:
        STOP.signal = None
        for number, handler in previous.items():
            signal.signal(number, handler)
