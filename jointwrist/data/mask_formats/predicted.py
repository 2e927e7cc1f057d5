"""Find the masks that a tool wrote into a folder: their format, and the radiograph of each file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.dataset.layout import identifier_in
from jointwrist.data.mask_formats import bit_map, coco, label_map, labelme, nifti, nnunet, png, seg_nrrd
from jointwrist.data.mask_formats.layers import Named, bone_bits
from jointwrist.data.shapes.annotation_json import read_any_json
from jointwrist.errors import DataError

Reader = Callable[[Path, tuple[int, int] | None, Anatomy], list[Named]]

#: Reader of the masks of one radiograph by format; those of COCO are in one file for all radiographs.
READERS: Mapping[str, Reader] = {
    "npz": bit_map.read,
    "png": bit_map.read,
    "npy": bit_map.read_stack,
    "nifti": nifti.read,
    "seg.nrrd": seg_nrrd.read,
    "labelme": labelme.read,
    "labels": label_map.read,
}
FORMATS = (*READERS, "coco")
#: Formats in which a mask of 0 and 1 looks like that of the first bone.
_NUMBERED = ("labels", "nifti", "png")


@dataclass(frozen=True)
class Predicted:
    """Masks of a folder.

    Attributes:
        format: One of `FORMATS`.
        cases: Radiographs that have masks.
        extra: Files or images of no known radiograph.
        read: Reads the (H, W) bit map of a radiograph of known height and width.
    """

    format: str
    cases: Collection[str]
    extra: tuple[str, ...]
    read: Callable[[str, tuple[int, int]], np.ndarray]


def find_masks(
    folder: Path,
    known: Collection[str],
    kind: str | None = None,
    mapping: Mapping[str, str | None] | None = None,
    needed: bool = True,
    anatomy: Anatomy = WRIST,
) -> Predicted | None:
    """Find the masks in a folder; a file belongs to the radiograph whose identifier its name begins with.

    Args:
        folder: Folder, or a file of COCO results.
        known: Identifiers of the radiographs.
        kind: One of `FORMATS`; None detects it.
        mapping: Bones of unknown names or numbers, as from `shapes.label_names.read_map`.
        needed: If False, return None where there are no masks.
        anatomy: The bones.

    Raises:
        DataError: The folder is missing, holds no masks or several formats, or two files belong to one radiograph.
    """
    mapping = mapping or {}
    files = _files(folder)
    found: dict[str, list[Path]] = {}
    contents: dict[Path, Any] = {}
    for path in files:
        name = _format_of(path, contents)
        if name is not None:
            found.setdefault(name, []).append(path)
    if not found and not needed:
        return None
    kind = kind or _only_format(found, folder)
    if kind == "labels" and kind not in found and "png" in found:  # label maps of 16 bits
        found[kind] = found["png"]
    if kind not in found:
        raise DataError(f"{folder}: holds no masks in the format {kind}; it holds: {', '.join(found) or 'none'}")
    if kind == "coco":
        return _find_in_coco(folder, found["coco"], contents, known, mapping, anatomy)
    cases, extra = _by_case(found[kind], known)
    drawn = (_drawn(kind, path, anatomy) for path in cases.values())
    named = {**(nnunet.stated_names(folder, mapping) or {}), **mapping}
    if label_map.ONE not in named:
        if kind in _NUMBERED:
            label_map.refuse_ones(drawn, folder, anatomy, named)
    elif kind == "png" and label_map.only_number(drawn) == label_map.ONE:
        kind = "labels"
    mapping = nnunet.names_of_numbers(folder, mapping, anatomy) if kind in ("labels", "nifti") else mapping

    def read(case: str, size: tuple[int, int]) -> np.ndarray:
        return bone_bits(READERS[kind](cases[case], size, anatomy), size, mapping, cases[case], anatomy)

    return Predicted(kind, cases.keys(), extra, read)


def _drawn(kind: str, path: Path, anatomy: Anatomy) -> set[str]:
    """Return the names of a file's masks that are not empty, the first of a bit map as its number; {} if damaged."""
    try:
        names = {name for name, mask in READERS[kind](path, None, anatomy) if mask.any()}
    except DataError:
        return set()  # it is named when it is scored
    return {label_map.ONE} if kind == "png" and names == {anatomy.bone_names[0]} else names


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one that holds the predicted masks")
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.is_file() or path.is_dir() or path.is_symlink())  # no pipes


def _format_of(path: Path, contents: dict[Path, Any]) -> str | None:
    """Return the format of a file, or None if it holds no masks; keeps JSON in `contents`."""
    name = path.name.lower()
    if path.is_dir():
        return "nifti" if any(nifti.is_nifti(file) for file in path.iterdir()) else None
    if name.endswith(seg_nrrd.SUFFIX):
        return "seg.nrrd"
    if nifti.is_nifti(path):
        return "nifti"
    if name.endswith(".png"):
        return {16: "png", 8: "labels"}.get(png.depth(path) or 0)
    if name.endswith(".json"):
        content = read_any_json(path)
        if isinstance(content, dict) and "shapes" in content:
            return "labelme"
        if isinstance(content, list) or (isinstance(content, dict) and "images" in content):
            contents[path] = content
            return "coco"
        return None
    return name[-3:] if name.endswith((".npz", ".npy")) else None


def _only_format(found: Mapping[str, list[Path]], folder: Path) -> str:
    """Return the only format of masks in a folder.

    8-bit pictures in a folder with other masks are radiographs; `jointwrist predict` writes bit maps as npz and as png.
    """
    kinds = set(found)
    if len(kinds) > 1:
        kinds -= {"labels"}
    if kinds == {"npz", "png"}:
        kinds = {"npz"}
    if not kinds:
        raise DataError(f"{folder}: holds no masks; formats are {', '.join(FORMATS)} (PNG of one channel)")
    if len(kinds) > 1:
        raise DataError(f"{folder}: holds {' and '.join(sorted(kinds))} files; choose one with --format")
    return kinds.pop()


def _by_case(paths: Iterable[Path], known: Collection[str]) -> tuple[dict[str, Path], tuple[str, ...]]:
    cases: dict[str, Path] = {}
    extra = []
    for path in paths:
        case = identifier_in(path.name, known)
        if case is None:
            extra.append(path.name)
        elif case in cases:
            raise DataError(
                f"{path} and {cases[case].name} both belong to {case}; keep one of them; masks of one bone each are"
                f" read as NIfTI, {case}/BONE.nii.gz"
            )
        else:
            cases[case] = path
    return cases, tuple(extra)


def _find_in_coco(
    folder: Path,
    paths: list[Path],
    contents: Mapping[Path, Any],
    known: Collection[str],
    mapping: Mapping[str, str | None],
    anatomy: Anatomy,
) -> Predicted:
    """Use COCO results if there are any, described by the file of instances if given; otherwise the instances."""
    results = [path for path in paths if isinstance(contents[path], list)]
    described = [path for path in paths if path not in results]
    if len(results) > 1 or len(described) > 1:
        raise DataError(
            f"{folder}: holds several files of COCO {'results' if len(results) > 1 else 'instances'}; keep one"
        )
    path = (results or described)[0]
    masks = coco.masks_of(path, contents[path], contents[described[0]] if results and described else None, anatomy)
    radiographs: dict[str, str] = {}
    extra = []
    for radiograph in masks.radiographs:
        case = identifier_in(Path(radiograph.replace("\\", "/")).name, known)
        if case is None:
            extra.append(radiograph)
        elif case in radiographs:
            raise DataError(f"{path}: {radiograph} and {radiographs[case]} both belong to {case}; keep one of them")
        else:
            radiographs[case] = radiograph
    read = partial(_read_coco, masks, radiographs, {**label_map.numbers_of(anatomy), **mapping}, anatomy)
    return Predicted("coco", radiographs.keys(), tuple(extra), read)


def _read_coco(
    masks: coco.CocoMasks,
    radiographs: Mapping[str, str],
    mapping: Mapping[str, str | None],
    anatomy: Anatomy,
    case: str,
    size: tuple[int, int],
) -> np.ndarray:
    return bone_bits(masks.read(radiographs[case], size), size, mapping, masks.path, anatomy)
