"""Import label maps in picture files: one number or colour a bone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jointwrist.anatomy import Anatomy
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.picture_folder import PictureFolder, listed, without
from jointwrist.data.importers.picture_names import Radiographs, is_for_masks, key, plain
from jointwrist.data.mask_formats import label_map, nnunet
from jointwrist.data.mask_formats.label_colours import colours_in, named_colours
from jointwrist.data.mask_formats.label_table import read_label_table
from jointwrist.data.mask_formats.picture import holds_numbers, may_be_labels, read_colours, read_labels
from jointwrist.data.shapes.label_names import match_names, names_erosion
from jointwrist.data.shapes.other_programs import MAY_HOLD_PICTURES, PREDICTED, what_it_holds
from jointwrist.data.shapes.region import Region
from jointwrist.errors import DataError
from jointwrist.text import number_of

_LAYOUTS = (
    "known are a picture of each bone (case_L_Lunate.png, case_L/Lunate.png or Lunate/case_L.png beside the radiograph"
    " case_L.png), label maps (case_L_seg.png, or masks/case_L.png), or Label Studio's"
    " task-7-annotation-3-by-1-tag-Lunate-0.png"
)
#: Names of the colours of a data set in the layout of Pascal VOC, as CVAT writes it.
_COLOUR_TABLE = "labelmap.txt"


class _Named(NamedTuple):
    """What a table names.

    Attributes:
        colours: Colours of 24 bits.
        numbers: Whether it names numbers.
    """

    colours: frozenset[int]
    numbers: bool


@dataclass(frozen=True)
class _OneLabel:
    """A number or colour of a label map, read when it is drawn."""

    path: Path
    name: str
    named: _Named
    bounds: None = field(default=None, init=False)

    def draw(self, size: tuple[int, int]) -> np.ndarray:
        """Return the (H, W) bool mask."""
        values, coloured = _labels(self.path, self.path.stat().st_mtime_ns, self.named)
        return values == (int(self.name[1:], 16) if coloured else int(self.name))


@lru_cache(maxsize=1)
def _labels(path: Path, changed: int, named: _Named) -> tuple[np.ndarray, bool]:
    """Read a label map as of a time of change; cached, since its bones are requested one after another.

    Returns:
        (H, W) numbers, or colours of 24 bits; and whether they are colours.
    """
    if named.colours and (colours := read_colours(path)) is not None:
        values = named_colours(colours, named.colours, path, refuse=not (named.numbers and holds_numbers(path)))
        if values is not None:
            return values, True
    return read_labels(path), False


def read_label_maps(
    folder: PictureFolder, source: Path, mapping: Mapping[str, str | None], anatomy: Anatomy
) -> list[AnnotatedRadiograph]:
    """Read the label maps of a folder: `CASE_seg.png`, `masks/CASE.png`, or of the same name beside a radiograph.

    Their values are numbers, or colours if the mapping or a file `labelmap.txt` names these.

    Args:
        folder: Its pictures.
        source: The folder.
        mapping: Names of numbers and colours (`#rrggbb`), and bones of names; without numbers or colours in it, those
            of `mask_formats.nnunet` or `labelmap.txt` count.
        anatomy: The bones.

    Raises:
        DataError: There are none, two belong to one radiograph, a number has no name, or the values are no labels.
    """
    pairs, images, others = _pairs(folder, source, anatomy)
    if not pairs:
        held = f"its JSON {PREDICTED}" if folder.results else what_it_holds(source)
        known = _LAYOUTS if not held or held.startswith(MAY_HOLD_PICTURES) else held
        raise DataError(f"{source}: holds no mask pictures with the name of a radiograph; {known}")
    places = dict.fromkeys((*(path.parent for path in pairs.values()), source))
    known = colours_in(mapping) or any(str(name).isdecimal() for name in mapping)
    stated = next(filter(None, (_stated(place, mapping, not known) for place in places)), None)
    assumed = not stated and not known
    names = {**(label_map.numbers_of(anatomy) if assumed else stated or {}), **mapping}
    named = _Named(colours_in(names), any(str(name).isdecimal() for name in names))
    used: dict[Path, list[str]] = {}
    sizes = {}
    for image, path in pairs.items():
        labels, coloured = _labels(path, path.stat().st_mtime_ns, named)
        used[image] = (
            [f"#{code:06x}" for code in np.unique(labels) if code]
            if coloured
            else [name for name, _ in label_map.by_number(labels, path, anatomy)]
        )
        sizes[image] = labels.shape
    label_map.refuse_ones(used.values(), source, anatomy, {**(stated or {}), **mapping})
    examined = names_erosion((name for numbers in used.values() for name in numbers), names)
    radiographs = []
    for image, path in sorted(pairs.items()):
        meanings = match_names(used[image], names, path, anatomy)
        drawn = [
            (meaning, Region(f"{path}: {name}", [_OneLabel(path, name, named)])) for name, meaning in meanings.items()
        ]
        radiographs.append(AnnotatedRadiograph.of(image, sizes[image], drawn, path, examined, anatomy=anatomy))
    notes = [
        f"{source}: label maps: {number_of(len(pairs), 'radiograph')}; a label map cannot hold overlaps, so that where"
        " bones overlap all but one of them lack their hidden part"
    ]
    if assumed and any(used.values()):
        bones = ", ".join(f"{number} {names[number]}" for number in sorted(set().union(*used.values()), key=int))
        notes.append(f"{source}: nothing says what the numbers mean; taken as {bones} (--labels or --map changes it)")
    for paths, what in (
        ([image for image in images if image not in pairs], "radiographs without a label map, left out"),
        (others, "pictures without a radiograph of their name, left out"),
    ):
        if paths:
            notes.append(f"{source}: {what}: {len(paths):,}: {listed(paths, source)}")
    radiographs[0] = replace(radiographs[0], notes=(notes[0], *folder.notes, *notes[1:]))
    return radiographs


def _stated(place: Path, mapping: Mapping[str, str | None], with_colours: bool) -> dict[str, str | None] | None:
    """Return what numbers mean by nnU-Net's `dataset.json`, or else colours by `labelmap.txt`; None without either."""
    if stated := nnunet.stated_names(place, mapping):
        return stated
    for folder in (place, place.parent):
        if with_colours and (folder / _COLOUR_TABLE).is_file():
            table = read_label_table(folder / _COLOUR_TABLE)
            return {label: mapping.get(name, name) if name else None for label, name in table.items()}
    return None


def _pairs(folder: PictureFolder, source: Path, anatomy: Anatomy) -> tuple[dict[Path, Path], list[Path], list[Path]]:
    """Return label maps by radiograph, all radiographs, and other pictures."""
    maps, images = list(folder.pictures), folder.radiographs
    if images is None:
        stems = Counter(key(path.stem) for path in maps)
        maps = [path for path in maps if _is_label_map(path, stems[key(path.stem)] > 1, source, anatomy)]
        images = without(folder.pictures, maps)
    pairs: dict[Path, Path] = {}
    by_name, others = Radiographs(images), []
    for path in maps:
        found = [by_name.find(case) for case in dict.fromkeys((path.stem, plain(path.stem)))]
        image = next(filter(None, found), None)
        if image is None:
            others.append(path)
        elif image in pairs:
            raise DataError(f"{path}: {pairs[image]} is a label map of the same radiograph, {image}; keep one of them")
        else:
            pairs[image] = path
    return pairs, images, others


def _is_label_map(path: Path, has_twin: bool, source: Path, anatomy: Anatomy) -> bool:
    """Whether a picture is a label map by its name or folder, or by its values if another one has the same name."""
    if plain(path.stem) != path.stem:
        return True
    if any(map(is_for_masks, path.relative_to(source).parts[:-1])):
        return True
    return has_twin and may_be_labels(path, 2 * len(anatomy.bones) + 1)
