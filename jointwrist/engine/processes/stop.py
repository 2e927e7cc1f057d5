"""Stop on SIGTERM (schedulers) or SIGINT (users) after the current step, so that the state can be saved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SENDERS_KNOWN = hasattr(signal, "sigwaitinfo")  # Linux alone says who sent a signal


class Stop:
    """Whether a signal requested a stop, and whether the current step can be finished first.

    Attributes:
        signal: Number of that signal, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._can_wait = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal if it can wait; otherwise, and on the second, exit at once."""
        if self._can_wait and self.signal is None:
            self.signal = number
        else:
            raise SystemExit(128 + number)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Defer signals; the block checks `signal` itself."""
        self._can_wait = True
        try:
            yield
        finally:
            self._can_wait = False


STOP = Stop()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block stop signals in this thread, and from the start in every process that it forks meanwhile."""
    if not SENDERS_KNOWN:
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def leave_signals_to_parent(worker: int) -> None:
    """Make a loader process ignore stop signals that do not come from its parent; a `worker_init_fn` of PyTorch.

    Schedulers and terminals signal every process of a job. The parent needs its loader processes until the step is
    done, and then ends them itself, by the same signals. The process must be forked while `signals_blocked`.
    """
    if not SENDERS_KNOWN:
        return
    parent = multiprocessing.parent_process().pid

    def wait() -> None:
        while signal.sigwaitinfo(SIGNALS).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, name="signals", daemon=True).start()


@contextmanager
def graceful_stop() -> Iterator[None]:
    """Handle SIGTERM and SIGINT while the block runs; the exit status is 128 + signal, as in shells."""
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
