"""The files that labelme writes (github.com/wkentaro/labelme): one JSON an image, beside the image."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jointwrist.data.images import MAX_SIDE
from jointwrist.data.importers.names import Meaning, match_names, names_erosion
from jointwrist.data.importers.outline import Convention
from jointwrist.data.importers.radiograph import (
    AnnotatedRadiograph,
    as_points,
    beneath,
    in_pixels,
    positive_size,
    read_json,
)
from jointwrist.data.importers.region import Disc, Part, Patch, Polygon, Region
from jointwrist.errors import DataError

#: Shapes without an area: what they mark is no region.
MARKS = frozenset(("point", "points", "line", "linestrip"))


def read_labelme(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "auto",
) -> list[AnnotatedRadiograph]:
    """Read the JSON files of a folder and the folders in it, or one file, as labelme and X-AnyLabeling write them.

    Polygons, rectangles of two or four points, turned ones (`oriented_rectangle`, `rotation`), quadrilaterals, circles
    and masks are filled as these tools show them. Points and lines are left out with a note, and so are files without
    any region. Where one file has an erosion, the erosions of all are known.

    Args:
        source: Folder or file.
        images: Folder of the images; None takes the path that each file states, which must not lead out of its folder.
        mapping: Bones of labels that are none of ours, as from `importers.names.read_map`.
        outline: How polygons count pixels, one of `importers.outline.CONVENTIONS`.

    Raises:
        DataError: There are no such files, a label is no bone, a shape is damaged or unknown, or an image is missing.
    """
    source = Path(source)
    files = sorted(source.rglob("*.json")) if source.is_dir() else [source]
    if not files:
        raise DataError(f"{source}: holds no JSON files; give the folder that labelme saved into")
    convention = Convention(outline)
    radiographs = [_read(path, Path(images) if images else None, mapping or {}, convention) for path in files]
    if all(radiograph.erosions is None for radiograph in radiographs):
        return radiographs
    return [replace(radiograph, erosions=radiograph.erosions or ()) for radiograph in radiographs]


def _read(
    path: Path, images: Path | None, mapping: Mapping[str, str | None], convention: Convention
) -> AnnotatedRadiograph:
    content = read_json(path)
    drawn: list[tuple[Meaning, Region]] = []
    notes = []
    try:
        shapes, name = content["shapes"], str(content["imagePath"]).replace("\\", "/")
        labels = [str(shape["label"]) for shape in shapes]
        meanings = match_names(set(labels), mapping, path)
        for number, (shape, label) in enumerate(zip(shapes, labels, strict=True), 1):
            where, meaning = f"{path}: shape {number}, {label}", meanings[label]
            if meaning is None:
                continue
            if shape.get("shape_type") in MARKS:
                notes.append(f"{where}: a {shape['shape_type']} has no area; left out")
            else:
                drawn.append((meaning, Region(where, [part_of(shape, where, convention)])))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a labelme file ({error!r}); save it with labelme") from error
    if notes and not drawn:
        raise DataError(f"{notes[0].removesuffix('; left out')}, and nothing else is drawn; draw a polygon")
    size = positive_size(content.get("imageHeight"), content.get("imageWidth"))
    tells_erosions = names_erosion(labels, mapping)
    return AnnotatedRadiograph.of(_find(path, images, name), size, drawn, path, tells_erosions, notes)


def _find(path: Path, images: Path | None, name: str) -> Path:
    """Find the image of a file in the folder of the images, else where the file states it, or beside the file."""
    base = Path(name).name
    stated = [beneath(images, name), beneath(images, base)] if images else [beneath(path.parent, name)]
    for image in (*stated, path.parent / base if not images else None):
        if image is not None and image.is_file():
            return image
    if stated[-1] is None:
        raise DataError(f"{path}: its image {name} is outside of the folder; name the images' folder with --images")
    raise DataError(f"{path}: its image {stated[-1]} is missing; copy it there, or name its folder with --images")


def part_of(shape: dict[str, Any], where: str, convention: Convention) -> Part:
    """Return what a shape covers.

    Args:
        shape: As it stands in the file; none of `MARKS`.
        where: File and shape, for messages.
        convention: How polygons count pixels.

    Raises:
        DataError: The shape is damaged or of an unknown type.
    """
    kind = shape.get("shape_type") or "polygon"
    points = as_points(shape["points"], where)
    if kind == "mask":
        if not shape.get("mask"):
            raise DataError(f"{where}: is a mask without its picture; draw it again")
        column, row = np.round(points[0]).astype(int).tolist()
        return Patch(_decode(shape["mask"], where), column, row)
    if kind != "polygon" or len(points) > 2:
        in_pixels(points, where)
    match kind, len(points):
        case "polygon", _:
            return Polygon(points, convention)
        case "rectangle" | "rotation", 2:
            (x0, y0), (x1, y1) = points
            return Polygon(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), Convention("edges"))
        case "rectangle" | "rotation" | "oriented_rectangle", 4:
            return Polygon(_ring(points), Convention("edges"))
        case "quadrilateral", 4:
            return Polygon(points, Convention("edges"))
        case "circle", 2:
            return Disc(points[0], float(np.linalg.norm(points[1] - points[0])))
        case "rectangle" | "rotation" | "oriented_rectangle" | "quadrilateral" | "circle", count:
            raise DataError(f"{where}: a {kind} of {count} points; draw it again")
    raise DataError(f"{where}: shapes of the type {kind!r} are not known; draw a polygon")


def _ring(corners: np.ndarray) -> np.ndarray:
    """Put the corners of a rectangle in an order that goes round it; tools that convert files mix them up."""
    x, y = (corners - corners.mean(axis=0)).T
    return corners[np.argsort(np.arctan2(y, x))]


def _decode(text: str, where: str) -> np.ndarray:
    """Decode the PNG picture that a mask is kept as."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE:
                raise ValueError(f"more than {MAX_SIDE:,} pixels a side")
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: damaged mask ({error}); draw it again") from error
