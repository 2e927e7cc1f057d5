"""One run at a job: several shards, or a command given twice, may reach the same job of a folder at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout

from jointwrist.benchmark.jobs import Job


@contextmanager
def claim(accelerator: Accelerator, job: Job) -> Iterator[bool]:
    """Yield whether this run has the job for itself, the same in all its processes.

    The claim is a lock of the operating system on a file in the job's folder. It ends with the process however that
    ends, so a killed run leaves none behind. On a network file system it holds between machines if the system has
    POSIX locks (NFS 4, Lustre with `flock`, GPFS).

    Args:
        accelerator: Its main process takes the lock.
        job: What is to be run.
    """
    lock = FileLock(job.folder / ".lock")
    taken = [False]
    if accelerator.is_main_process:
        job.folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
            taken = [True]
        except Timeout:
            pass
    try:
        yield broadcast_object_list(taken)[0]
    finally:
        lock.release()
