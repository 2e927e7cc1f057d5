"""Import masks from picture files: one of each bone, label maps, or Label Studio's brush masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.anatomy.definition import fold
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.label_map_pictures import read_label_maps
from jointwrist.data.importers.label_studio_brush import is_brush_mask, read_brush_masks
from jointwrist.data.importers.picture_folder import PictureFolder, listed, read_folder, without
from jointwrist.data.importers.picture_names import (
    MaskOf,
    OfBone,
    Radiographs,
    Sorted,
    is_for_masks,
    key,
    plain,
    sort_masks,
)
from jointwrist.data.mask_formats.picture import may_be_labels, read_mask
from jointwrist.data.shapes.label_names import is_known, match_names, names_erosion
from jointwrist.data.shapes.region import Region
from jointwrist.errors import DataError
from jointwrist.text import number_of

_DICOM = (".dcm", ".dicom", ".ima")
_BONES, _BRUSH = "a picture of each bone", "Label Studio's brush masks"


def read_pictures(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read a folder of mask pictures (PNG, TIFF, BMP, JPEG) in one of three layouts, which the names show.

    A picture of each bone has the names of radiograph and bone in its own name or in those of its folders. A label map
    has the name of the radiograph, alone in a folder for masks or followed by `_seg`, `_mask` or `_label`. Label
    Studio's brush masks state task and bone; the films of the tasks are in its JSON export, if that lies in the folder.

    Args:
        source: Folder of the masks.
        images: Folder of the radiographs; None takes a folder such as `images` in `source`, or else `source`.
        mapping: Bones of unknown names or numbers, as from `shapes.label_names.read_map`.
        outline: Ignored, as masks have no outlines; for the same signature as `read_coco`.
        anatomy: The bones.

    Raises:
        DataError: There are no masks, a name is unknown, a radiograph is missing or uncertain, a bone has two masks, a
            picture is no mask, or masks of one radiograph differ in size.
    """
    source, mapping = Path(source), mapping or {}
    folder = read_folder(source, Path(images) if images else None)
    brush = [path for path in folder.pictures if is_brush_mask(path)]
    if brush:
        films = folder.radiographs or without(folder.pictures, brush)
        masks = read_brush_masks(source, brush, films, lambda name: is_known(name, mapping, anatomy))
        masks = [mask for mask in masks if mapping.get(mask.name, "") is not None]
        return _radiographs(_Found(_BRUSH, masks, []), films, source, mapping, anatomy, folder.notes)
    known = sort_masks(source, folder.pictures, folder.radiographs, lambda name: is_known(name, mapping, anatomy))
    if known.masks:
        known, maps = _without_label_maps(known, folder, source, anatomy)
        notes = [*folder.notes, *_about_label_maps(maps, source)]
        match_names([one.name for one in known.unknown], mapping, source, anatomy)
        films = known.others if folder.radiographs is None else folder.radiographs
        masks = _with_radiographs([one for one in known.masks if mapping.get(one.name, "") is not None], films, source)
        found = _Found(_BONES, masks, known.others if folder.radiographs is not None else [])
        return _radiographs(found, films, source, mapping, anatomy, notes)
    return read_label_maps(folder, source, mapping, anatomy)


def _without_label_maps(
    known: Sorted, folder: PictureFolder, source: Path, anatomy: Anatomy
) -> tuple[Sorted, list[Path]]:
    """Return pictures that are no masks of one bone without those named as label maps of a radiograph, and these."""
    films = known.others if folder.radiographs is None else folder.radiographs
    cases = {key(one.case) for one in known.masks} | {key(film.stem) for film in films}
    most = 2 * len(anatomy.bones) + 1
    maps = {
        path
        for path in (*known.others, *(one.path for one in known.unknown))
        if key(plain(path.stem)) in cases
        and (plain(path.stem) != path.stem or is_for_masks(path.parent.name))
        and may_be_labels(path, most)
    }
    unknown = [one for one in known.unknown if one.path not in maps]
    return Sorted(known.masks, unknown, without(known.others, maps)), sorted(maps)


def _about_label_maps(maps: Sequence[Path], source: Path) -> list[str]:
    if not maps:
        return []
    return [
        f"{source}: label maps beside masks of one bone each, left out (import them from a folder of their own):"
        f" {len(maps):,}: {listed(maps, source)}"
    ]


class _Found(NamedTuple):
    """Masks of a layout, and pictures that are neither masks nor radiographs."""

    layout: str
    masks: Sequence[MaskOf]
    others: Sequence[Path]


@dataclass(frozen=True)
class _OneBone:
    """The mask of one bone in a file, read when it is drawn."""

    path: Path
    bounds: None = field(default=None, init=False)

    def draw(self, size: tuple[int, int]) -> np.ndarray:
        """Return the (H, W) bool mask."""
        return read_mask(self.path).mask


def _with_radiographs(named: Sequence[OfBone], films: Sequence[Path], source: Path) -> list[MaskOf]:
    by_name = Radiographs(films)
    found = [(one, by_name.find(one.case)) for one in named]
    missing = [one for one, film in found if film is None]
    if missing:
        path, case, _ = missing[0]
        folders = sorted({str(film.parent) for film in films}) or [str(source)]
        other = next((file for file in source.rglob(f"{escape(case)}.*") if file.suffix.lower() in _DICOM), None)
        remedy = f"save {other} as PNG or TIFF" if other else "name its folder with --images, or take the mask away"
        raise DataError(
            f"{path}: its radiograph {case} (.png, .bmp, ...) is not in {folders[0]}; {remedy}"
            f"{_more(len({one.case for one in missing}))}"
        )
    return [MaskOf(one.path, one.name, film) for one, film in found]


def _more(count: int) -> str:
    return f" (the same of {count - 1} more)" if count > 1 else ""


def _radiographs(
    found: _Found,
    films: Sequence[Path],
    source: Path,
    mapping: Mapping[str, str | None],
    anatomy: Anatomy,
    notes: Sequence[str],
) -> list[AnnotatedRadiograph]:
    """Make radiographs of the masks of one bone each.

    Raises:
        DataError: There are none, or they do not fit each other.
    """
    if not found.masks:
        raise DataError(f"{source}: {found.layout}: all names are left out by --map; name a bone")
    match_names(sorted({mask.name for mask in found.masks}), mapping, source, anatomy)
    by_film: dict[Path, list[MaskOf]] = defaultdict(list)
    for mask in found.masks:
        by_film[mask.radiograph].append(mask)
    examined = names_erosion((mask.name for mask in found.masks), mapping)
    soft, inverted, empty, radiographs = [], [], [], []
    for film, masks in sorted(by_film.items()):
        meanings = match_names({mask.name for mask in masks}, mapping, source, anatomy)
        if found.layout == _BONES:
            _refuse_twice(masks, mapping, anatomy)
        drawn, sizes = [], {}
        for mask in masks:
            values = read_mask(mask.path)
            sizes.setdefault(values.mask.shape, mask.path)
            soft += [mask.path] * values.soft
            inverted += [mask.path] * values.inverted
            if values.mask.any():
                drawn.append((meanings[mask.name], Region(f"{mask.path}", [_OneBone(mask.path)])))
            else:
                empty.append(mask.path)
        if len(sizes) > 1:
            (one, first), (other, second) = list(sizes.items())[:2]
            raise DataError(
                f"{second}: {other[1]} x {other[0]} pixels, but {first} has {one[1]} x {one[0]}; masks must have the"
                " size of their radiograph"
            )
        size = next(iter(sizes))
        radiographs.append(AnnotatedRadiograph.of(film, size, drawn, masks[0].path, examined, anatomy=anatomy))
    said = [f"{source}: {found.layout}: {number_of(len(found.masks), 'mask')} of {number_of(len(by_film), 'film')}"]
    for paths, what in (
        (soft, "masks with values besides 0 and one more, of which those from the middle upwards were taken"),
        (inverted, "masks with dark bones on a bright ground, which were inverted"),
        (empty, "masks without a pixel, so that the bone counts as absent"),
        ([film for film in films if film not in by_film], "pictures without masks, left out"),
        (found.others, "pictures that are neither masks nor radiographs, left out"),
    ):
        if paths:
            said.append(f"{source}: {what}: {len(paths):,}: {listed(paths, source)}")
    radiographs[0] = replace(radiographs[0], notes=(said[0], *notes, *said[1:]))
    return radiographs


def _refuse_twice(masks: Sequence[MaskOf], mapping: Mapping[str, str | None], anatomy: Anatomy) -> None:
    """Refuse two masks of one bone, which may be older and newer; parts with names of their own are united."""
    meanings = match_names({mask.name for mask in masks}, mapping, masks[0].path, anatomy)
    first: dict[object, MaskOf] = {}
    for mask in masks:
        meaning = meanings[mask.name]
        several = mask.name in mapping or meaning.bone is None or bool(anatomy.bones[meaning.bone].parts)
        other = first.setdefault((meaning, fold(mask.name) if several else ""), mask)
        if other is not mask:
            raise DataError(f"{mask.path}: {other.path} is a mask of the same bone; keep one of them")
