"""The files that labelme writes (github.com/wkentaro/labelme): one JSON an image, beside the image."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jointwrist.data.images import MAX_SIDE
from jointwrist.data.importers.film import AnnotatedFilm, Region, as_points, beneath, positive_size, read_json
from jointwrist.data.importers.names import match_names, names_erosion
from jointwrist.data.importers.raster import fill_polygon
from jointwrist.errors import DataError

#: Corners of the polygon that a circle becomes.
_CIRCLE_CORNERS = 180


def read_labelme(
    source: str | Path, images: str | Path | None = None, mapping: Mapping[str, str | None] | None = None
) -> list[AnnotatedFilm]:
    """Read the JSON files of a folder, or one of them; shapes are polygons, rectangles, circles or masks.

    Where one of them has an erosion, the erosions of all are known.

    Args:
        source: Folder or file.
        images: Folder of the images; None takes the path that each file states, which must not lead out of its folder.
        mapping: Bones of labels that are none of ours, as from `importers.names.read_map`.

    Raises:
        DataError: There are no such files, a label is no bone, a shape has no area, or an image is missing.
    """
    source = Path(source)
    files = sorted(source.glob("*.json")) if source.is_dir() else [source]
    if not files:
        raise DataError(f"{source}: holds no JSON files; give the folder that labelme saved into")
    films = [_read(path, Path(images) if images else None, mapping or {}) for path in files]
    if all(film.erosions is None for film in films):
        return films
    return [replace(film, erosions=film.erosions or ()) for film in films]


def _read(path: Path, images: Path | None, mapping: Mapping[str, str | None]) -> AnnotatedFilm:
    content = read_json(path)
    try:
        shapes, name = content["shapes"], str(content["imagePath"]).replace("\\", "/")
        labels = [str(shape["label"]) for shape in shapes]
        meanings = match_names(set(labels), mapping, path)
        drawn = [
            (meaning, _region(shape, f"{path}: shape {number}, {label}"))
            for number, (shape, label) in enumerate(zip(shapes, labels, strict=True), 1)
            if (meaning := meanings[label]) is not None
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a labelme file ({error!r}); save it with labelme") from error
    image = beneath(images, Path(name).name) if images else beneath(path.parent, name)
    if image is None:
        raise DataError(f"{path}: its image {name} is outside of the folder; name the images' folder with --images")
    if not image.is_file():
        raise DataError(f"{path}: its image {image} is missing; copy it there, or name its folder with --images")
    size = positive_size(content.get("imageHeight"), content.get("imageWidth"))
    return AnnotatedFilm.of(image, size, drawn, path, names_erosion(labels, mapping))


def _region(shape: dict[str, Any], where: str) -> Region:
    kind = shape.get("shape_type", "polygon")
    match kind:
        case "polygon":
            return partial(fill_polygon, as_points(shape["points"], where, 3))
        case "rectangle":
            (x0, y0), (x1, y1) = as_points(shape["points"], where, 2)[:2]
            return partial(fill_polygon, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        case "circle":
            centre, edge = as_points(shape["points"], where, 2)[:2]
            angle = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
            unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            return partial(fill_polygon, centre + np.linalg.norm(edge - centre) * unit)
        case "mask":
            corner = as_points(shape["points"], where, 1)[0]
            return partial(_place, _decode(shape["mask"], where), np.round(corner).astype(int), where)
    raise DataError(f"{where}: a {kind} has no area; draw a polygon")


def _decode(text: str, where: str) -> np.ndarray:
    """Decode the PNG picture that a mask is kept as."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE:
                raise ValueError(f"more than {MAX_SIDE:,} pixels a side")
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: damaged mask ({error}); draw it again") from error


def _place(patch: np.ndarray, corner: np.ndarray, where: str, size: tuple[int, int]) -> np.ndarray:
    x, y = corner.tolist()
    height, width = patch.shape
    if x < 0 or y < 0 or x + width > size[1] or y + height > size[0]:
        raise DataError(f"{where}: the mask reaches beyond the image; draw it again")
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = patch
    return mask
