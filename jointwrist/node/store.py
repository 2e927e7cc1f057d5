"""Durable queue of a node on disk: radiographs received, waiting and to be sent; a kill neither loses nor repeats any.

    films/KEY.dcm            a radiograph, written to disk before it is acknowledged
    waiting/KEY              present until the radiograph has been predicted
    done/KEY.json            outcome
    outbox/KEY/PEER/*.dcm    results that a peer has not confirmed yet; sent only once done/KEY.json exists
    failed/KEY/PEER/*.dcm    results that a peer refused

A worker locks waiting/KEY, a sender outbox/KEY/PEER/.lock; the operating system releases the locks of a process that
ends.

KEY is a digest of the SOP instance UID. Several nodes may share the folder, also over a network file system with POSIX
locks and hard links.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jointwrist.files import write_text

_FOLDERS = ("arriving", "films", "waiting", "done", "outbox", "failed", "attempts")
#: Seconds after which an unfinished file is taken to be left over from a killed node.
_ABANDONED = 3600.0


class FullError(Exception):
    """The queue is full."""


def key_of(sop_instance_uid: str) -> str:
    """Return the name of a radiograph in the folder, a digest that does not reveal the UID."""
    return sha256(sop_instance_uid.encode()).hexdigest()[:32]


class Store:
    """Queue of radiographs and results on disk.

    Args:
        folder: Created if missing.
        limit: Largest number of waiting radiographs.
        keep: Keep radiographs after prediction.
    """

    def __init__(self, folder: str | Path, limit: int = 10_000, keep: bool = False):
        self.folder, self.limit, self.keep = Path(folder), limit, keep
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._clean()

    def _clean(self) -> None:
        """Remove unfinished files of a killed node, and queue every radiograph without a record."""
        for path in (self.folder / "arriving").iterdir():
            if time.time() - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        for radiograph in (self.folder / "films").glob("*.dcm"):
            if not radiograph.name.startswith(".") and not self.record(radiograph.stem):
                (self.folder / "waiting" / radiograph.stem).touch()

    def receive(self, sop_instance_uid: str, content: bytes) -> bool:
        """Write a radiograph to disk; when this returns, it is durable.

        Returns:
            Whether it is new. An existing one is left unchanged.

        Raises:
            FullError: The queue is full.
            OSError: The disk is full or fails.
        """
        key = key_of(sop_instance_uid)
        radiograph = self.folder / "films" / f"{key}.dcm"
        if self.record(key) or radiograph.exists():
            if not self.record(key):  # a node was killed before it could queue it
                (self.folder / "waiting" / key).touch()
            return False
        if self.waiting() >= self.limit:
            raise FullError
        arriving = self.folder / "arriving" / secrets.token_hex(16)
        try:
            with arriving.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(arriving, radiograph)  # fails where another node was faster
            except FileExistsError:
                return False
            _sync(radiograph.parent)
        finally:
            arriving.unlink(missing_ok=True)
        (self.folder / "waiting" / key).touch()
        return True

    def waiting(self) -> int:
        """Return the number of radiographs that wait for prediction."""
        return len(self._queued())

    def _queued(self) -> list[os.DirEntry]:
        """Return the entries of the waiting radiographs, without hidden files that systems leave in folders."""
        return [entry for entry in os.scandir(self.folder / "waiting") if not entry.name.startswith(".")]

    def unsent(self) -> tuple[int, float]:
        """Return the number of unconfirmed results and the age of the oldest in seconds."""
        times = list(_times(self.folder / "outbox"))
        return len(times), time.time() - min(times) if times else 0.0

    def peers(self) -> set[str]:
        """Return the names of the peers for which results wait."""
        return {place.parent.name for place in (self.folder / "outbox").glob("*/*/*.dcm")}

    def refused(self) -> int:
        """Return the number of results that peers refused."""
        return sum(1 for _ in _times(self.folder / "failed"))

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the outcome of a radiograph, or None before there is one.

        A damaged record is none while the radiograph is in the queue, which it leaves after its record is written.
        """
        path = self.folder / "done" / f"{key}.json"
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if isinstance(found, dict) and found:
            return found
        return None if (self.folder / "waiting" / key).exists() else {"status": "damaged"}

    @contextmanager
    def next_radiograph(self) -> Iterator[tuple[str, Path] | None]:
        """Lock the next radiograph and yield its key and file; yield None if there is none.

        The oldest comes first. Radiographs with earlier attempts come last, so that one that ends the process does not
        hold up the others.
        """
        tried = {entry.name for entry in os.scandir(self.folder / "attempts")}
        entries = sorted(self._queued(), key=lambda entry: (entry.name in tried, _age(entry), entry.name))
        for key in (entry.name for entry in entries):
            with _lock(self.folder / "waiting" / key) as taken:
                if not taken:
                    continue
                if self.record(key):  # its node was killed before it could take it off the queue
                    self._leave_queue(key)
                    continue
                yield key, self.folder / "films" / f"{key}.dcm"
                return
        yield None

    def attempt(self, key: str) -> int:
        """Record an attempt at a radiograph and return their number, including those that ended the process."""
        path = self.folder / "attempts" / key
        before = path.read_text(errors="replace").strip() if path.is_file() else ""
        number = int(before) + 1 if before.isdecimal() else 1
        write_text(path, str(number))
        return number

    def finish(self, key: str, record: dict[str, Any], results: dict[str, list[tuple[str, Any]]]) -> None:
        """Put the results of a radiograph into the outbox and record the outcome.

        Args:
            key: Key of the radiograph.
            record: JSON values without patient data.
            results: File names and DICOM datasets by peer.
        """
        outbox, draft = self.folder / "outbox" / key, self.folder / "arriving" / f"{key}-{secrets.token_hex(8)}"
        if any(results.values()):
            for peer, datasets in results.items():
                (draft / peer).mkdir(parents=True)
                for name, dataset in datasets:
                    with (draft / peer / name).open("wb") as file:
                        dataset.save_as(file, enforce_file_format=True)
                        file.flush()
                        os.fsync(file.fileno())
            shutil.rmtree(outbox, ignore_errors=True)  # of a node that was killed before it could record it; never sent
            draft.rename(outbox)
            _sync(outbox.parent)
        write_text(self.folder / "done" / f"{key}.json", json.dumps(record, indent=1, sort_keys=True) + "\n")
        _sync(self.folder / "done")
        self._leave_queue(key)

    def _leave_queue(self, key: str) -> None:
        if not self.keep:
            (self.folder / "films" / f"{key}.dcm").unlink(missing_ok=True)
        (self.folder / "attempts" / key).unlink(missing_ok=True)
        (self.folder / "waiting" / key).unlink(missing_ok=True)

    def deliveries(self, peer: str) -> Iterator[list[Path]]:
        """Lock and yield the results for a peer, one radiograph at a time."""
        for folder in sorted((self.folder / "outbox").glob(f"*/{peer}")):
            if not self.record(folder.parent.name):
                continue
            with _lock(folder / ".lock") as taken:
                if not taken:
                    continue
                files = sorted(folder.glob("*.dcm"))
                if files:
                    yield files
                if not any(folder.glob("*.dcm")):
                    (folder / ".lock").unlink(missing_ok=True)
                    _remove_empty(folder, folder.parent)

    def sent(self, file: Path) -> None:
        """Remove a confirmed result from the outbox."""
        file.unlink(missing_ok=True)

    def refuse(self, file: Path) -> None:
        """Move a result that a peer refused to `failed`."""
        place = self.folder / "failed" / file.parent.parent.name / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Try to lock a file without waiting; yield whether that succeeded."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # not empty yet, or gone
            return


def _times(folder: Path) -> Iterator[float]:
    """Yield when each result below a folder was written, skipping those that a sender removes meanwhile."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".dcm"):
                try:
                    yield os.stat(os.path.join(place, name)).st_mtime
                except FileNotFoundError:
                    continue


def _age(entry: os.DirEntry) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # another worker has finished it
        return 0.0


def _sync(folder: Path) -> None:
    """Flush the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
