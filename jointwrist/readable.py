"""Why a file cannot be read, where its content is not the reason."""

from __future__ import annotations

from pathlib import Path

#: How a text begins that Git LFS leaves in place of a large file.
_POINTER = b"version https://git-lfs.github.com/spec/"


def why_unreadable(path: Path) -> str | None:
    """Say what keeps a file from being read, and the remedy; None if it can be opened and holds something.

    A decoder calls everything damage that it cannot decode, also a file without permission and one of 0 bytes.
    """
    if path.is_dir():
        return "is a folder; give a file"
    if path.is_symlink() and not path.exists():
        return "is a link to a file that does not exist; copy the file itself"
    if not path.exists():
        home = "; ~ is not the home folder here: write Path(...).expanduser()" if path.parts[:1] == ("~",) else ""
        return f"no such file{home}"
    if not path.is_file():
        return "is not a file; copy its content into one"
    try:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
            if start == _POINTER:
                return "is a pointer of Git LFS, not the file itself; run `git lfs pull` where it was cloned"
            return None if start else "is empty (0 bytes); copy or export it again"
    except OSError as error:
        return f"cannot be read ({error.strerror}); check its permissions, or copy it again"
