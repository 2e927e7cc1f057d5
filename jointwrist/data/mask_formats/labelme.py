"""Files of labelme (github.com/wkentaro/labelme): one JSON file per image, with polygons and mask pictures."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.images import MAX_SIDE
from jointwrist.data.mask_formats.layers import Layer, Named, check_fit
from jointwrist.data.shapes.annotation_json import as_points, in_pixels, positive_size, read_json
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.data.shapes.region import Disc, Part, Patch, Polygon, Region
from jointwrist.data.shapes.trace import exact_polygons
from jointwrist.errors import DataError
from jointwrist.files import write_text

#: Version stated in the files; labelme warns about other major versions.
_VERSION = "5.5.0"


def read(path: Path, size: tuple[int, int], anatomy: Anatomy = WRIST) -> list[Named]:
    """Draw the shapes of an image by their labels.

    Args:
        path: JSON file.
        size: Height and width of the radiograph.
        anatomy: Ignored; for the same signature as other formats.

    Raises:
        DataError: The file or a shape is damaged, or the annotated image has another size.
    """
    content = read_json(path)
    stated = positive_size(content.get("imageHeight"), content.get("imageWidth"))
    if stated is not None:
        check_fit(stated, size, path)
    convention = Convention()
    try:
        regions = [
            (str(shape["label"]), Region(where, [part_of(shape, where, convention)]))
            for number, shape in enumerate(content["shapes"], 1)
            if shape.get("shape_type") not in MARKS
            for where in [f"{path}: shape {number}, {shape['label']}"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a labelme file ({error!r}); save it with labelme") from error
    return [(label, region.draw(size).mask) for label, region in regions]


def write(path: Path, image: str, layers: Sequence[Layer], size: tuple[int, int]) -> None:
    """Write the regions of an image, whole or not at all.

    Each connected piece becomes a polygon with draggable corners that `data import` restores exactly; regions with
    holes become mask pictures.

    Args:
        path: JSON file, in the image's folder.
        image: File name of the image.
        layers: Regions with their names; labelme chooses the colours.
        size: Height and width of the image.
    """
    shapes = [shape for layer in layers for shape in _shapes(layer)]
    content = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
    write_text(path, json.dumps(content, indent=1))


def _shapes(layer: Layer) -> list[dict[str, Any]]:
    polygons = exact_polygons(layer.mask)
    if polygons is None:
        return [_shape(layer.name, "mask", *_picture(layer.mask))]
    return [_shape(layer.name, "polygon", polygon.tolist()) for polygon in polygons]


def _shape(label: str, kind: str, points: list[list[float]], mask: str | None = None) -> dict[str, Any]:
    shape = {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}}
    return {**shape, "mask": mask}


def _picture(mask: np.ndarray) -> tuple[list[list[float]], str]:
    """Return the corners of the bounding box, and the mask within it as a PNG in base64."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    patch = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    buffer = io.BytesIO()
    Image.fromarray(patch.astype(np.uint8)).save(buffer, "PNG")
    corners = [[float(columns[0]), float(rows[0])], [float(columns[-1]), float(rows[-1])]]
    return corners, base64.b64encode(buffer.getvalue()).decode("ascii")


#: Shapes without an area.
MARKS = frozenset(("point", "points", "line", "linestrip"))


def part_of(shape: dict[str, Any], where: str, convention: Convention) -> Part:
    """Return the part of a region that a shape covers.

    Args:
        shape: Entry of the file, not one of `MARKS`.
        where: File and shape, for messages.
        convention: Convention by which polygons count pixels.

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
    """Sort the corners of a rectangle along its outline; programs that convert files may change their order."""
    x, y = (corners - corners.mean(axis=0)).T
    return corners[np.argsort(np.arctan2(y, x))]


def _decode(text: str, where: str) -> np.ndarray:
    """Decode the PNG picture that a mask is kept as."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE:
                raise ValueError(f"more than {MAX_SIDE:,} pixels per side")
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: damaged mask ({error}); draw it again") from error
