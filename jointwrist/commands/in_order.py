"""Process items in threads and yield the results in input order."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from jointwrist.openmp import stated_threads

Item, Result = TypeVar("Item"), TypeVar("Result")

#: More threads gain little, as Python runs one at a time between the calls of libraries.
MOST_WORKERS = 8


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(number: int) -> None:
    """Limit the threads of each computation when several run at once; to be called before the network is loaded.

    More threads than cores wait for each other, and the waiting takes the cores from the rest.
    """
    number = min(number, stated_threads() or number)
    os.environ["OMP_NUM_THREADS"] = str(number)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """Yield the result of each item in input order, while later items are processed.

    Args:
        work: Called in one of the threads.
        items: Read as threads become free.
        workers: Number of threads; with one, the work is done in the calling thread.
        stopped: Once it is true nothing further is begun, and what was begun is finished.
    """
    if workers == 1:
        for item in items:
            if stopped():
                return
            yield work(item)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                if stopped():
                    break
                waiting.append(pool.submit(lambda item=item: None if stopped() else (work(item),)))
                if len(waiting) > 2 * workers and (done := waiting.popleft().result()):
                    yield done[0]
            while waiting:
                if done := waiting.popleft().result():
                    yield done[0]
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets, so that work in progress is finished; a second Ctrl-C ends it at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_) -> None:
        event.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
