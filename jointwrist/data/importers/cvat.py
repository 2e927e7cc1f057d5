"""Import annotations of CVAT (cvat.ai), saved as "CVAT for images 1.1", one XML file for all images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.images import MAX_SIDE
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.find_image import find_image
from jointwrist.data.importers.visible_files import is_visible
from jointwrist.data.shapes.annotation_json import MAX_JSON_BYTES, as_points, beneath, in_pixels, positive_size
from jointwrist.data.shapes.label_names import Meaning, match_names, names_erosion
from jointwrist.data.shapes.other_programs import XML_OF_CVAT, program_of, program_of_xml, what_it_holds
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.data.shapes.region import Part, Patch, Polygon, Region
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Name of the file in an export.
FILE = "annotations.xml"
_MARKS = frozenset(("polyline", "points", "skeleton"))
_SHAPES = frozenset(("polygon", "box", "ellipse", "mask"))
#: Corners of the polygon that stands for an ellipse: at a radius of 100 pixels it is within 0.01 pixels.
_ELLIPSE_CORNERS = 256


def read_cvat(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "auto",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read an XML file, or the folder of an export that holds `annotations.xml` or one other XML file.

    Polygons, boxes, ellipses and masks are filled; points, polylines and skeletons are skipped with a note, tags
    without one. Images without shapes are skipped with a note. If a label of the task or of a shape means an erosion,
    all images count as examined for erosions.

    Args:
        source: File or folder.
        images: Folder of the images; None takes that of the file and the folder `images` in it. An image of a
            subset, as in the export of a project, is first looked for in the folder of the subset's name.
        mapping: Bones of unknown names, as from `shapes.label_names.read_map`.
        outline: Convention of polygons, one of `shapes.outline_convention.CONVENTIONS`.
        anatomy: The bones.

    Raises:
        DataError: The file is not such XML or holds tracks of a video, a label is unknown, a shape is damaged or
            unknown, or an image is missing.
    """
    source = Path(source)
    path = _only_xml(source) if source.is_dir() else source
    root = _read_xml(path)
    if root.find("track") is not None:
        raise DataError(f"{path}: holds tracks of a video; export the task as `CVAT for images 1.1`")
    folders = [Path(images)] if images else [path.parent / "images", path.parent]
    entries = [(entry, list(_shapes(entry, path))) for entry in root.findall("image")]
    labels = {str(shape.get("label")) for _, shapes in entries for shape in shapes}
    meanings = match_names(labels, mapping or {}, path, anatomy)
    examined = names_erosion(
        {*labels, *(label.text or "" for label in root.iterfind("meta//label/name"))}, mapping or {}
    )
    convention = Convention(outline)
    radiographs, bare = [], []
    for entry, shapes in entries:
        name = entry.get("name", "")
        if not shapes:
            bare.append(name)
            continue
        drawn, notes = _drawn(shapes, meanings, f"{path}: {name}", convention)
        size = positive_size(entry.get("height"), entry.get("width"))
        subset = entry.get("subset")
        places = [place for folder in folders if subset and (place := beneath(folder, subset))]
        image = find_image([*places, *folders], name, path)
        radiographs.append(AnnotatedRadiograph.of(image, size, drawn, path, examined, notes, anatomy))
    if not radiographs:
        raise DataError(f"{path}: no shape is drawn on any image; draw polygons, and export again")
    if bare:
        more = f" and {len(bare) - 5} more" if len(bare) > 5 else ""
        note = f"{path}: images without annotations left out: {', '.join(bare[:5])}{more}"
        radiographs[0] = replace(radiographs[0], notes=(note, *radiographs[0].notes))
    return radiographs


def _only_xml(folder: Path) -> Path:
    """Return the file of an export: `annotations.xml`, else the only XML file, as datumaro names it after the subset.

    Raises:
        DataError: There is none, or there are several.
    """
    if (folder / FILE).is_file():
        return folder / FILE
    found = sorted(path for path in folder.glob("*.xml") if is_visible(path.name))
    if len(found) > 1:
        raise DataError(f"{folder}: holds several XML files; give one of them")
    if not found:
        other = what_it_holds(folder) or "give the folder of the export"
        raise DataError(f"{folder}: holds no {FILE}; {other}")
    return found[0]


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, which CVAT does not write: its entities can expand to any size."""

    def doctype(self, *_: object) -> None:
        raise ValueError("a document type is not allowed")


def _read_xml(path: Path) -> Element:
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise DataError(f"{path}: larger than the {MAX_JSON_BYTES:,} bytes allowed; export fewer images into one file")
    try:
        root = ElementTree.parse(path, ElementTree.XMLParser(target=_NoDoctype())).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        other = program_of_xml(path) or program_of(path)
        if not other or other == XML_OF_CVAT:
            other = f"not valid XML ({error}); export it again"
        raise DataError(f"{path}: {other}") from None
    if root.tag != "annotations":
        other = program_of_xml(path) or "is not XML of CVAT; export the task as `CVAT for images 1.1`"
        raise DataError(f"{path}: {other}")
    return root


def _shapes(entry: Element, path: Path) -> Iterator[Element]:
    """Yield the shapes of an image.

    Raises:
        DataError: A shape is of an unknown kind.
    """
    for shape in entry:
        if shape.tag in _SHAPES | _MARKS:
            yield shape
        elif shape.tag != "tag":
            raise DataError(f"{path}: {entry.get('name')}: a {shape.tag} is not a mask; draw a polygon")


def _drawn(
    shapes: list[Element], meanings: Mapping[str, Meaning | None], where: str, convention: Convention
) -> tuple[list[tuple[Meaning, Region]], list[str]]:
    """Return regions with their meanings, and notes on what was left out."""
    drawn, notes = [], []
    for number, shape in enumerate(shapes, 1):
        label = str(shape.get("label"))
        place, meaning = f"{where}, shape {number}, {label}", meanings[label]
        if meaning is None:
            continue
        if shape.tag in _MARKS:
            notes.append(f"{place}: a {shape.tag} has no area; left out")
        else:
            drawn.append((meaning, Region(place, [_part(shape, place, convention)])))
    return drawn, notes


def _part(shape: Element, where: str, convention: Convention) -> Part:
    if shape.tag == "mask":
        return _patch(shape, where)
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair.strip()]
        return Polygon(in_pixels(as_points(pairs, where), where), convention)
    if shape.tag == "box":
        x0, y0, x1, y1 = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"), where)
        points, centre = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), np.array([x0 + x1, y0 + y1]) / 2
    else:
        *centre, across, down = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
        angles = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)
        points = np.stack([across * np.cos(angles), down * np.sin(angles)], axis=1) + centre
    turn = np.deg2rad(_numbers(shape, ("rotation",), where)[0]) if shape.get("rotation") else 0.0
    # clockwise on the screen, whose y runs down
    turned = (points - centre) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + centre
    return Polygon(turned, Convention("edges"))


def _patch(shape: Element, where: str) -> Patch:
    """Decode run lengths of the pixels of a box, row by row, beginning with background."""
    left, top, width, height = (int(value) for value in _numbers(shape, ("left", "top", "width", "height"), where))
    try:
        runs = np.array([int(run) for run in shape.get("rle", "").split(",")])
    except ValueError:
        runs = np.array([-1])
    if max(width, height) > MAX_SIDE:
        raise DataError(f"{where}: {width} x {height} pixels; a side may have {MAX_SIDE:,}, export it again")
    if (runs < 0).any() or min(width, height) < 1 or sum(runs.tolist()) != width * height:
        raise DataError(f"{where}: its run lengths do not add up to {height} x {width} pixels; export it again")
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return Patch(mask, left, top)


def _numbers(shape: Element, names: tuple[str, ...], where: str) -> list[float]:
    """Return attributes as numbers, within the bounds of coordinates."""
    values = [shape.get(name) for name in names]
    return as_points([[value, 0] for value in values], f"{where}, {', '.join(names)}")[:, 0].tolist()
