"""Atomic writing of files and folders, so that an interrupted process leaves none incomplete; the user's cache."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.errors import DataError, StorageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Characters of a name that a temporary name keeps; with its own parts it must not exceed 255 bytes.
_TEMPORARY = 32
#: What is written for bytes of a file name that are not valid text.
_UNDECODED = "backslashreplace"
#: Remedies for errors of the file system, by error number.
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room"),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST), "choose a folder that can be written to"
    ),
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends, remove it on failure.

    Raises:
        StorageError: The disk is full, the folder is not writable, or `path` is a folder; an existing file at `path` is
            unchanged.
    """
    path = Path(path)
    refuse_folder(path)
    # process numbers are unique on one machine only, and machines can share a folder
    temporary = path.with_name(
        f".{path.name[:_TEMPORARY]}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    )
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `out` when the block ends, and removed when it fails.

    Args:
        out: Folder that does not exist or is empty.

    Raises:
        StorageError: Another process has filled `out` in the meantime; what it wrote is unchanged.
    """
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    folder.mkdir(parents=True)
    try:
        yield folder
        try:
            if out.exists():
                out.rmdir()
            folder.rename(out)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise StorageError(f"{out}: was filled in the meantime, by another process; name a new folder") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); nothing finished is lost: {REMEDIES[error.errno]} and give"
            " the same command again"
        ) from error


def refuse_file(folder: Path) -> None:
    """Refuse a file in the place of a folder that is to be written.

    Raises:
        StorageError: It is a file.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise StorageError(f"{folder}: is a file; choose a folder as --out")


def refuse_filled(folder: Path) -> None:
    """Refuse a folder that is to be written as a whole and holds something already.

    Raises:
        DataError: The folder is not empty, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty, and what it holds is never replaced; name a new folder")


def refuse_folder(path: Path) -> None:
    """Refuse a folder in the place of a file that is to be written.

    Raises:
        StorageError: It is a folder.
    """
    if os.path.isdir(path):
        raise StorageError(f"{path}: is a folder; give the name of a file, such as one in it")


def refuse_input(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write a file over one that is read.

    Raises:
        StorageError: The file is one of the inputs.
    """
    if os.path.exists(path) and any(os.path.exists(read) and os.path.samefile(path, read) for read in inputs):
        raise StorageError(f"{path}: is read here, and would be replaced; write to another name or folder")


def check_writable(folder: Path, make: bool = True) -> None:
    """Check that a folder is writable, before hours of work, by writing and removing a small file.

    Args:
        folder: The folder.
        make: Make it, if it is missing; otherwise the nearest folder above it that exists is checked.

    Raises:
        StorageError: The folder is not writable, or is a file.
    """
    folder = Path(folder)
    refuse_file(folder)
    with _explained(folder):
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        place = folder if make else next(filter(os.path.isdir, (folder, *folder.absolute().parents)))
        probe = place / f".writable.{secrets.token_hex(4)}.tmp"  # several processes may try at once
        probe.touch()
        probe.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; bytes of a file name that are not valid text are escaped, as on the console."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=_UNDECODED)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_arrays(path: Path, /, **arrays: np.ndarray) -> None:
    """Write arrays by name as a compressed npz archive, atomically."""
    import numpy as np

    with atomic(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV in UTF-8, atomically; file names that are not valid text are escaped.

    Raises:
        StorageError: The disk is full or the folder is not writable.
    """
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", errors=_UNDECODED)


def cache_folder() -> Path:
    """Return the user's cache folder for what can be made again, following the platform's convention.

    Raises:
        RuntimeError: The user has no home folder.
    """
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "jointwrist"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "jointwrist"
