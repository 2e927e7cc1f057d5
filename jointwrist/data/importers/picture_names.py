"""Find the radiograph and the bone of mask pictures from the names of files and folders."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jointwrist.errors import DataError

_WORD = r"(?:seg(?:mentation)?s?|masks?|labels?|label-?maps?|gt|ground-?truth|annotations?)"
_BEFORE, _AFTER = re.compile(rf"{_WORD}[-_. ]+", re.IGNORECASE), re.compile(rf"[-_. ]+{_WORD}$", re.IGNORECASE)
_OF_MASKS = re.compile(rf"{_WORD}(?:[-_. ].*|T[rs])?|.*[-_. ]{_WORD}|SegmentationClass", re.IGNORECASE)
_OF_RADIOGRAPHS = re.compile(
    r"(?:images?|imgs?|images?T[rs]|radiographs?|films?|x-?rays?|originals?|JPEGImages)", re.IGNORECASE
)
_GAP = re.compile(r"[-_. ]+")
#: nnU-Net's number of the first channel, after the name of a case.
_CHANNEL = "_0000"

Known = Callable[[str], bool]


class OfBone(NamedTuple):
    """The mask of one bone: its file, the name of the radiograph, and that of the bone, as they are written."""

    path: Path
    case: str
    name: str


class MaskOf(NamedTuple):
    """The mask of one bone: its file, the name of the bone as it is written, and the file of the radiograph."""

    path: Path
    name: str
    radiograph: Path


class Sorted(NamedTuple):
    """Pictures of a folder.

    Attributes:
        masks: Masks of one bone each, with or without a radiograph.
        unknown: Pictures that have the name or place of a mask, with the name that is no bone.
        others: Pictures that may be radiographs.
    """

    masks: list[OfBone]
    unknown: list[OfBone]
    others: list[Path]


def is_for_masks(folder: str) -> bool:
    """Whether a folder's name says that it holds masks."""
    return bool(_OF_MASKS.fullmatch(folder))


def is_for_radiographs(folder: str) -> bool:
    """Whether a folder's name says that it holds radiographs."""
    return bool(_OF_RADIOGRAPHS.fullmatch(folder))


def plain(stem: str) -> str:
    """Return a name without words such as `mask` at its beginning or end."""
    shorter = _AFTER.sub("", _BEFORE.sub("", stem, count=1) if _BEFORE.match(stem) else stem)
    return shorter or stem


def key(stem: str) -> str:
    """Return what two spellings of one name share."""
    return unicodedata.normalize("NFC", stem).casefold()


class Radiographs:
    """Radiographs by name.

    Args:
        paths: Their files.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths
        self._by_stem, self._by_key = defaultdict(list), defaultdict(list)
        for path in paths:
            self._by_stem[path.stem].append(path)
            self._by_key[key(path.stem)].append(path)

    def find(self, case: str) -> Path | None:
        """Find the radiograph of a name: exactly, in another case, or with nnU-Net's number of a channel.

        Raises:
            DataError: Several fit.
        """
        found = self._by_stem.get(case) or self._by_key.get(key(case)) or self._by_key.get(key(case + _CHANNEL)) or []
        if len(found) > 1:
            raise DataError(
                f"{' and '.join(map(str, found))} may be the radiograph of the masks of {case}; keep one, or name the"
                " folder of the radiographs with --images"
            )
        return found[0] if found else None


def sort_masks(source: Path, pictures: Sequence[Path], radiographs: Sequence[Path] | None, known: Known) -> Sorted:
    """Find the masks of one bone each: `CASE_BONE.png`, `BONE_CASE.png`, `CASE/BONE.png` or `BONE/CASE.png`.

    `BONE.png` beside the only radiograph belongs to it.

    Args:
        source: Folder of the masks; the names of folders in it count.
        pictures: Pictures below it, without those of `radiographs`.
        radiographs: Radiographs, or None if they are among the pictures.
        known: Whether a name means a bone.
    """
    by_place = {path: _by_place(source, path, known) for path in pictures}
    free = [path for path in pictures if not by_place[path]] if radiographs is None else list(radiographs)
    stems = defaultdict(set)
    for path in free:
        stems[key(path.stem)].add(path)
        stems[key(path.stem.removesuffix(_CHANNEL))].add(path)
    masks, alone, others = [], [], []
    only = free[0] if len(free) == 1 else None
    for path in pictures:
        named = by_place[path] or list(_by_name(path, plain(path.stem), known))
        found = next((one for one in named if stems[key(one.case)] - {path}), None)
        if found or by_place[path]:
            beside = only and path.parent == only.parent and plain(path.stem) == named[0].name
            masks.append(found or (OfBone(path, only.stem, named[0].name) if beside else named[0]))
        elif named and not named[0].name.isdecimal():  # a number may as well be that of the radiograph
            alone.append(named[0])
        else:
            others.append(path)
    cases = {key(mask.case) for mask in masks} | {key(mask.case) for mask in alone}
    for mask in alone:  # the name of a radiograph may end like that of a bone
        if radiographs is None and key(mask.path.stem) in cases:
            others.append(mask.path)
        else:
            masks.append(mask)
    if not masks:
        return Sorted([], [], others)
    annotated = {key(mask.case) for mask in masks if stems[key(mask.case)]}
    unknown = [
        one
        for path in others
        if key(path.stem) not in annotated or radiographs is not None
        for one in [_unknown(source, path, annotated)]
        if one
    ]
    left = {one.path for one in unknown}
    return Sorted(masks, unknown, [path for path in others if path not in left])


def _folders(source: Path, path: Path) -> list[str]:
    """Return the names of the folders round a file, the innermost first, up to that of the source."""
    return [*path.relative_to(source).parts[-2::-1], source.absolute().name]


def _by_place(source: Path, path: Path, known: Known) -> list[OfBone]:
    """Return readings of a file in the folder of a bone, or with the name of a bone in that of a radiograph."""
    folders, stem = _folders(source, path), plain(path.stem)
    bone = next((plain(name) for name in folders[:-1] if known(plain(name))), None)
    if bone:
        shorter = (one.case for one in _by_name(path, stem, known))
        return [OfBone(path, case, bone) for case in dict.fromkeys((path.stem, stem, *shorter))]
    if known(stem):
        first = sorted(folders, key=is_for_masks)[0]  # a mask without a radiograph is called after this one
        cases = [case for name in (first, *folders) for case in _cases(name)]
        return [OfBone(path, case, stem) for case in dict.fromkeys(cases)]
    return []


def _by_name(path: Path, stem: str, known: Known) -> Iterator[OfBone]:
    """Yield readings of a name that ends or begins with that of a bone, the longest one first."""
    gaps = list(_GAP.finditer(stem))
    for gap in gaps:
        if known(stem[gap.end() :]):
            yield from (OfBone(path, case, stem[gap.end() :]) for case in _cases(stem[: gap.start()]))
    for gap in reversed(gaps):
        if known(stem[: gap.start()]):
            yield from (OfBone(path, case, stem[: gap.start()]) for case in _cases(stem[gap.end() :]))


def _cases(name: str) -> dict[str, None]:
    return dict.fromkeys((name, plain(name)))


def _unknown(source: Path, path: Path, annotated: set[str]) -> OfBone | None:
    """Return a picture as the mask of an unknown bone if its name or place is that of masks of these radiographs."""
    for gap in reversed(list(_GAP.finditer(path.stem))):
        if key(path.stem[: gap.start()]) in annotated:
            return OfBone(path, path.stem[: gap.start()], path.stem[gap.end() :])
    folders = _folders(source, path)[:-1]
    for name in folders:
        if key(name) in annotated:
            return OfBone(path, name, plain(path.stem))
    if folders and key(plain(path.stem)) in annotated:
        return OfBone(path, plain(path.stem), plain(folders[0]))
    return None
