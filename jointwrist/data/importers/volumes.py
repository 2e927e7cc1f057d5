"""Import masks from NIfTI files and 3D Slicer segmentations."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.visible_files import is_visible
from jointwrist.data.mask_formats import label_map, nifti, nnunet, seg_nrrd
from jointwrist.data.mask_formats.predicted import READERS
from jointwrist.data.shapes.label_names import match_names, names_erosion
from jointwrist.data.shapes.other_programs import what_it_holds
from jointwrist.data.shapes.region import Region
from jointwrist.errors import DataError

#: What tools add to the name of a radiograph for its masks.
_OF_MASKS = re.compile(r"[-_. ](seg(mentation)?|masks?|labels?|label-?map)$", re.IGNORECASE)

_MIRRORED = "{}: its axes are those of a mirrored picture; masks are read row by row as stored, so look at them"


def read_nifti(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read a folder that contains a folder of bones, a stack of masks or a label map for each radiograph.

    Names and axes are those of `mask_formats.nifti`, numbers those of `mask_formats.nnunet`. The radiograph has the
    name of the folder or file, with another extension. If one has an erosion, all count as examined for erosions.

    Args:
        source: Folder.
        images: Folder of the radiographs; None takes `source`.
        mapping: Bones of unknown names or numbers, as from `shapes.label_names.read_map`.
        outline: Ignored, as masks have no outlines; for the same signature as `read_coco`.
        anatomy: The bones.

    Raises:
        DataError: There are no such files, a name is unknown, or a radiograph is missing.
        MissingExtraError: nibabel is not installed.
    """
    source = Path(source)
    folders = [
        path for path in _entries(source) if path.is_dir() and any(nifti.is_nifti(file) for file in path.iterdir())
    ]
    named = [(path.name, path) for path in folders]
    named += [(nifti.stem(path), path) for path in _entries(source) if nifti.is_nifti(path)]
    names = nnunet.names_of_numbers(source, mapping or {}, anatomy)
    assumed = () if nnunet.stated_names(source, {}) else label_map.numbers_of(anatomy).keys() - (mapping or {}).keys()
    return _radiographs("nifti", named, source, images, names, anatomy, assumed)


def read_seg_nrrd(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read a folder of 3D Slicer segmentations, named after their radiographs.

    Arguments and errors are those of `read_nifti`; it needs pynrrd.
    """
    source = Path(source)
    named = [
        (path.name[: -len(seg_nrrd.SUFFIX)], path)
        for path in _entries(source)
        if path.name.lower().endswith(seg_nrrd.SUFFIX)
    ]
    return _radiographs("seg.nrrd", named, source, images, mapping or {}, anatomy)


@dataclass(frozen=True)
class _StoredMask:
    """One of several masks in a file, read when it is drawn."""

    format: str
    path: Path
    name: str
    anatomy: Anatomy
    bounds: None = field(default=None, init=False)

    def draw(self, size: tuple[int, int]) -> np.ndarray:
        """Return the (H, W) bool mask."""
        return _read_once(self.format, self.path, size, self.anatomy, self.path.stat().st_mtime_ns)[self.name]


@lru_cache(maxsize=1)
def _read_once(
    kind: str, path: Path, size: tuple[int, int] | None, anatomy: Anatomy, changed: int
) -> dict[str, np.ndarray]:
    """Read masks as of a time of change; cached, since they are requested one after another."""
    return _read(kind, path, size, anatomy)


def _read(kind: str, path: Path, size: tuple[int, int] | None, anatomy: Anatomy) -> dict[str, np.ndarray]:
    """Read the non-empty masks of a radiograph by name."""
    masks: dict[str, np.ndarray] = {}
    for name, mask in READERS[kind](path, size, anatomy):
        if mask.any():
            masks[name] = masks[name] | mask if name in masks else mask
    return masks


def _radiographs(
    kind: str,
    named: Sequence[tuple[str, Path]],
    source: Path,
    images: str | Path | None,
    mapping: Mapping[str, str | None],
    anatomy: Anatomy,
    assumed: Collection[str] = (),
) -> list[AnnotatedRadiograph]:
    """Read radiographs by their stems; `assumed` holds the numbers whose bones are assumed."""
    if not named:
        other = what_it_holds(source)
        raise DataError(f"{source}: holds no masks in the format {kind}{other and f'; {other}'}")
    cases: dict[str, Path] = {}
    for stem, path in named:
        if cases.setdefault(stem, path) != path:
            raise DataError(f"{source}: {cases[stem].name} and {path.name} hold masks of one radiograph; keep one")
    if label_map.ONE in assumed:
        label_map.refuse_ones((_read(kind, path, None, anatomy) for path in cases.values()), source, anatomy)
    folder, radiographs, erosions, used = Path(images) if images else source, [], False, set()
    for stem, path in sorted(cases.items()):
        masks = _read(kind, path, None, anatomy)
        used |= masks.keys() & set(assumed)
        meanings = match_names(masks, mapping, path, anatomy)
        size = next((mask.shape for mask in masks.values()), None) if kind == "nifti" else None
        drawn = [
            (meaning, Region(f"{path}: {name}", [_StoredMask(kind, path, name, anatomy)]))
            for name, meaning in meanings.items()
        ]
        erosions = erosions or names_erosion(masks, mapping)
        mirrored = (nifti if kind == "nifti" else seg_nrrd).is_mirrored(path)
        notes = (_MIRRORED.format(path),) if mirrored else ()
        radiographs.append(
            AnnotatedRadiograph.of(_image(folder, stem, path), size, drawn, path, erosions, notes, anatomy)
        )
    if used:
        bones = ", ".join(f"{number} {mapping[number]}" for number in sorted(used, key=int))
        note = f"{source}: nothing says what the numbers of the label maps mean; taken as {bones} (--map changes it)"
        radiographs[0] = replace(radiographs[0], notes=(note, *radiographs[0].notes))
    return (
        [replace(radiograph, erosions=radiograph.erosions or ()) for radiograph in radiographs]
        if erosions
        else radiographs
    )


def _entries(source: Path) -> Sequence[Path]:
    if not source.is_dir():
        what = "is a file; give the folder" if source.is_file() else "no such folder; give the one"
        raise DataError(f"{source}: {what} that holds the masks")
    return sorted(path for path in source.iterdir() if is_visible(path.name))


def _image(folder: Path, stem: str, source: Path) -> Path:
    """Find the picture with a name and any extension; words such as `_seg` may follow the name."""
    endings = IMAGE_SUFFIXES - {".npy"}
    pictures = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in endings]
    plain = _OF_MASKS.sub("", stem)
    found = [path for path in pictures if path.stem == stem] or [path for path in pictures if path.stem == plain]
    if not found:
        raise DataError(
            f"{source}: its radiograph {stem} (.png, .bmp, ...) is not in {folder}; name its folder with --images"
        )
    if len(found) > 1:
        raise DataError(f"{source}: {' and '.join(path.name for path in found)} may be its radiograph; keep one")
    return found[0]
