"""The viewer's radiographs: read and predicted on request, and held in memory only."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from jointwrist.data.load import load_radiograph
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.comparison import Comparison, compare
from jointwrist.inference.pixel_aspect import with_square_pixels
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.text import printable

#: Number of results that are kept; others are predicted again on request.
KEPT_RESULTS = 4
#: Largest number of pixels of all dropped radiographs together, a gigabyte.
MAX_HELD_PIXELS = 2**28
#: Longest name of a dropped radiograph.
MAX_NAME = 120

T = TypeVar("T")


class UnknownRadiographError(KeyError):
    """No radiograph has this key."""


@dataclass
class _Entry:
    """A radiograph of the page: a file, or an upload.

    Attributes:
        name: File name without folders.
        path: File on this machine, or None.
        radiograph: Radiograph that was dropped, or None.
        side: Side chosen on the page, or None.
        read: Time of change and size of the file that was read, or None.
    """

    name: str
    path: Path | None = None
    radiograph: Radiograph | None = None
    side: str | None = None
    read: tuple[int, int] | None = None


class Radiographs:
    """Radiographs and results by key.

    Reading and predicting run on one thread, one radiograph after another.

    Args:
        predictor: Predictor of all radiographs.
        side: Hand on radiographs that do not state it, "L" or "R", or None.
        tta: Average over several views of each radiograph.
        window: Index of one of several VOI LUTs or windows of a DICOM file.
        spacing_mm: Width of a pixel of radiographs that state none.
    """

    def __init__(
        self,
        predictor: Predictor,
        side: str | None = None,
        tta: bool = False,
        window: int = 0,
        spacing_mm: float | None = None,
    ):
        self.predictor, self.side, self.tta, self.window = predictor, side, tta, window
        self.spacing_mm = spacing_mm
        self._entries: dict[str, _Entry] = {}
        self._results: OrderedDict[str, WristResult] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="predict")

    def names(self) -> list[tuple[str, str]]:
        """Return key and printable name of each radiograph."""
        return [(key, printable(entry.name)) for key, entry in list(self._entries.items())]

    def add_files(self, paths: Iterable[Path]) -> list[str]:
        """Add files, which are read on request, and return their keys."""
        return [self._add(_Entry(path.name, path=path)) for path in paths]

    def add_upload(self, name: str, data: bytes) -> str:
        """Add a radiograph by the content of its file and return its key.

        Raises:
            DataError: The file cannot be read, or there are too many radiographs already.
        """
        return self._in_turn(lambda: self._read_upload(name, data))

    def result(self, key: str) -> WristResult:
        """Return the result of a radiograph.

        Raises:
            UnknownRadiographError: There is no such radiograph.
            DataError: The radiograph cannot be read.
        """
        return self._in_turn(lambda: self._result(key))

    def compare(self, baseline: str, followup: str) -> Comparison:
        """Compare two radiographs; errors as for `result`, and those of `compare`."""
        return self._in_turn(lambda: compare(self._result(baseline), self._result(followup)))

    def set_side(self, key: str, side: str) -> WristResult:
        """Set the hand on a radiograph and return its result; a side that a DICOM header states takes precedence."""
        return self._in_turn(lambda: self._set_side(key, side))

    def remove(self, key: str) -> None:
        """Remove a radiograph and its result."""
        self._in_turn(lambda: (self._entry(key), self._entries.pop(key), self._results.pop(key, None)))

    def close(self) -> None:
        """Wait for the radiograph in progress, then remove all."""
        self._worker.shutdown(cancel_futures=True)
        self._entries.clear()
        self._results.clear()

    def _in_turn(self, work: Callable[[], T]) -> T:
        return self._worker.submit(work).result()

    def _add(self, entry: _Entry) -> str:
        key = secrets.token_urlsafe(9)
        self._entries[key] = entry
        return key

    def _entry(self, key: str) -> _Entry:
        try:
            return self._entries[key]
        except KeyError:
            raise UnknownRadiographError(key) from None

    def _read_upload(self, name: str, data: bytes) -> str:
        radiograph = read_upload(name, data, self.side, self.window, self.spacing_mm)
        held = sum(entry.radiograph.pixels.size for entry in self._entries.values() if entry.radiograph is not None)
        if held + radiograph.pixels.size > MAX_HELD_PIXELS:
            raise DataError(
                f"{radiograph.source}: the page holds as many radiographs as it can; remove some of them first"
            )
        return self._add(_Entry(radiograph.source.name, radiograph=radiograph))

    def _result(self, key: str) -> WristResult:
        entry = self._entry(key)
        changed = entry.path and _changed(entry.path)
        if changed and changed != entry.read:  # the result of a file that went away is kept
            self._results.pop(key, None)
        if key not in self._results:
            entry.read = changed
            radiograph = entry.radiograph or with_square_pixels(
                load_radiograph(entry.path, self.side, self.spacing_mm, self.window)
            )
            wrist = choose_wrist(self.predictor, radiograph, None if radiograph.side_stated else entry.side)
            self._results[key] = self.predictor.predict([wrist], self.tta)[0]
        self._results.move_to_end(key)
        while len(self._results) > KEPT_RESULTS:
            self._results.popitem(last=False)
        return self._results[key]

    def _set_side(self, key: str, side: str) -> WristResult:
        self._entry(key).side = side
        self._results.pop(key, None)
        return self._result(key)


def _changed(path: Path) -> tuple[int, int] | None:
    """Return time of change and size of a file; None if it is not there, which reading it says."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def choose_wrist(predictor: Predictor, radiograph: Radiograph, side: str | None) -> Placement:
    """Return the wrist to show; if a radiograph shows both hands, that of the chosen side, or else the right one.

    Raises:
        DataError: There is no wrist, or it is unclear which of two is the left one.
    """
    wrists = predictor.locate(radiograph)
    if len(wrists) == 1:
        agrees = side in (None, wrists[0].radiograph.side)
        return wrists[0] if agrees else predictor.locate(replace(radiograph, side=side))[0]
    wrist = next(wrist for wrist in wrists if wrist.radiograph.side == (side or "R"))
    word = {"L": "left", "R": "right"}[wrist.radiograph.side]
    notes = (f"The radiograph shows both hands; this is the {word} one.", *wrist.radiograph.notes)
    return replace(wrist, radiograph=replace(wrist.radiograph, notes=notes))


def read_upload(
    name: str, data: bytes, side: str | None = None, window: int = 0, spacing_mm: float | None = None
) -> Radiograph:
    """Read a radiograph from the content of its file.

    The decoders need a file: it is written to a folder that only this user can read, and removed when it is read.

    Args:
        name: File name as the sender states it; never used as a path.
        data: Content of the file.
        side: As for `load_radiograph`.
        window: As for `load_radiograph`.
        spacing_mm: As for `load_radiograph`.

    Raises:
        DataError: The file is damaged, or not a single radiograph; the message names it by `name`.
    """
    name = plain_name(name)
    with tempfile.TemporaryDirectory(prefix="jointwrist-") as folder:
        # the name states the format and the side; some systems forbid these characters, or more than 255 bytes
        path = Path(folder) / re.sub(r'[<>:"|?*]', "-", name[-60:])
        path.write_bytes(data)
        return with_square_pixels(load_radiograph(path, side, spacing_mm, window, name))


def plain_name(name: str) -> str:
    """Return a file name without folders and control characters, at most `MAX_NAME` characters long."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(character for character in last if character.isprintable())
    return shown[-MAX_NAME:].strip(". ") or "radiograph"
