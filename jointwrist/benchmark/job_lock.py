"""One lock per job, so that shards with a common results folder, or a repeated command, never train a job twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout

from jointwrist.benchmark.jobs import Job


@contextmanager
def job_lock(accelerator: Accelerator, job: Job) -> Iterator[bool]:
    """Yield whether this run holds the lock of the job; all its processes get the same answer.

    The lock is one of the operating system, on a file in the job's folder. It ends with the process, so that a killed
    run leaves none behind. On a network file system it works between machines if the system has POSIX locks (NFS 4,
    Lustre with `flock`, GPFS).

    Args:
        accelerator: Its main process takes the lock.
        job: Job to be run.
    """
    lock = FileLock(job.folder / ".lock")
    locked = [False]
    if accelerator.is_main_process:
        job.folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
            locked = [True]
        except Timeout:
            pass
    try:
        yield broadcast_object_list(locked)[0]
    finally:
        lock.release()
