"""Files of labelme (github.com/wkentaro/labelme): one JSON an image, with polygons and pictures of masks."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jointwrist.data.formats.layers import Layer, Named, check_fit
from jointwrist.data.formats.polygon import exact_polygons
from jointwrist.data.importers.labelme import MARKS, part_of
from jointwrist.data.importers.outline import Convention
from jointwrist.data.importers.radiograph import positive_size, read_json
from jointwrist.data.importers.region import Region
from jointwrist.errors import DataError
from jointwrist.files import write_text

#: Version whose files these are; labelme warns of other major ones.
_VERSION = "5.5.0"


def read(path: Path, size: tuple[int, int]) -> list[Named]:
    """Draw the shapes of an image by their labels.

    Args:
        path: JSON file.
        size: Height and width of the radiograph.

    Raises:
        DataError: The file is damaged, a shape is damaged, or the image that was drawn on has another size.
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

    A region is one polygon a piece, whose corners can be dragged, where `data import` fills it again pixel by pixel; a
    region with holes is a picture.

    Args:
        path: JSON file, beside the image.
        image: File name of the image.
        layers: Regions by name; labelme chooses the colours.
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
    """Return the corners of the first and the last pixel, and what lies between them as PNG in base64."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    patch = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    buffer = io.BytesIO()
    Image.fromarray(patch.astype(np.uint8)).save(buffer, "PNG")
    corners = [[float(columns[0]), float(rows[0])], [float(columns[-1]), float(rows[-1])]]
    return corners, base64.b64encode(buffer.getvalue()).decode("ascii")
