"""Durable folder of a node: what has arrived, what waits, what is to be sent; a kill neither loses nor repeats any.

    films/KEY.dcm            a radiograph, written to disk before it was acknowledged
    waiting/KEY              it is still to be predicted
    done/KEY.json            what became of it
    outbox/KEY/PEER/*.dcm    results that a peer has not confirmed yet; sent only once done/KEY.json is there
    failed/KEY/PEER/*.dcm    results that a peer refuses

Whoever predicts a radiograph locks waiting/KEY, whoever sends results locks outbox/KEY/PEER/.lock; the operating system
ends a lock with its process.

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
#: Seconds after which a file that is still arriving was left by a node that is gone.
_ABANDONED = 3600.0


class FullError(Exception):
    """The queue takes no further radiograph for now."""


def key_of(sop_instance_uid: str) -> str:
    """Return the name that a radiograph has in the folder; nothing of the UID can be read from it."""
    return sha256(sop_instance_uid.encode()).hexdigest()[:32]


class Store:
    """Radiographs and results on disk.

    Args:
        folder: Made if it is missing.
        limit: Radiographs that may wait.
        keep: Keep radiographs after they were predicted.
    """

    def __init__(self, folder: str | Path, limit: int = 10_000, keep: bool = False):
        self.folder, self.limit, self.keep = Path(folder), limit, keep
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._clean()

    def _clean(self) -> None:
        """Remove what a killed node left half done, and let every radiograph wait that has no record."""
        for path in (self.folder / "arriving").iterdir():
            if time.time() - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        for radiograph in (self.folder / "films").glob("*.dcm"):
            if not self.record(radiograph.stem):
                (self.folder / "waiting" / radiograph.stem).touch()

    def receive(self, sop_instance_uid: str, content: bytes) -> bool:
        """Keep a radiograph; when this returns, it is on the disk.

        Returns:
            Whether it is new. One that came before is left as it was.

        Raises:
            FullError: Too many wait.
            OSError: The disk takes no more.
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
        """Count the radiographs that are still to be predicted."""
        return sum(1 for _ in os.scandir(self.folder / "waiting"))

    def unsent(self) -> tuple[int, float]:
        """Count the results that peers have not confirmed, and say how many seconds the oldest waits."""
        files = [path for path in (self.folder / "outbox").glob("*/*/*.dcm")]
        times = [path.stat().st_mtime for path in files if path.exists()]
        return len(files), time.time() - min(times) if times else 0.0

    def refused(self) -> int:
        """Count the results that peers refuse."""
        return sum(1 for _ in (self.folder / "failed").glob("*/*/*.dcm"))

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what became of a radiograph, or None as long as nothing has."""
        path = self.folder / "done" / f"{key}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @contextmanager
    def next_radiograph(self) -> Iterator[tuple[str, Path] | None]:
        """Yield key and file of a radiograph that no other worker has; None without one.

        The one that arrived first comes first; those that were tried before come last, so that one that ends the
        process keeps nothing waiting.
        """
        tried = {entry.name for entry in os.scandir(self.folder / "attempts")}
        waiting = os.scandir(self.folder / "waiting")
        entries = sorted(waiting, key=lambda entry: (entry.name in tried, _age(entry), entry.name))
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
        """Count a try of a radiograph and return how many there have been, those that ended the process among them."""
        path = self.folder / "attempts" / key
        number = int(path.read_text()) + 1 if path.is_file() else 1
        write_text(path, str(number))
        return number

    def finish(self, key: str, record: dict[str, Any], results: dict[str, list[tuple[str, Any]]]) -> None:
        """Put the results of a radiograph into the outbox and record what became of it.

        Args:
            key: Of the radiograph.
            record: JSON values without patient data.
            results: By peer, file names and DICOM datasets.
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
        """Yield the results for a peer that no other sender has, one radiograph's at a time."""
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
        """Take a result off the outbox."""
        file.unlink(missing_ok=True)

    def refuse(self, file: Path) -> None:
        """Put a result aside that a peer refuses."""
        place = self.folder / "failed" / file.parent.parent.name / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Yield whether a file could be locked at once."""
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


def _age(entry: os.DirEntry) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # another worker has finished it
        return 0.0


def _sync(folder: Path) -> None:
    """Have the system write a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
