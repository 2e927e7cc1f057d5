"""Instances in COCO's format (cocodataset.org, "Data format"), as CVAT, Label Studio and others export them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jointwrist.data.importers.film import AnnotatedFilm, Region, as_points, beneath, positive_size, read_json
from jointwrist.data.importers.names import match_names, names_erosion
from jointwrist.data.importers.raster import decode_run_lengths, fill_polygon
from jointwrist.errors import DataError


def read_coco(
    path: str | Path, images: str | Path | None = None, mapping: Mapping[str, str | None] | None = None
) -> list[AnnotatedFilm]:
    """Read a file of instances, as polygons or as run lengths.

    Categories that no annotation uses may have any name. Images without annotations are left out. Where a category is
    an erosion, the erosions of all images are known.

    Args:
        path: JSON file.
        images: Folder of the images; None takes that of the file.
        mapping: Bones of category names that are none of ours, as from `importers.names.read_map`.

    Raises:
        DataError: The file is no such file, a category is no bone, or an image is missing.
    """
    path = Path(path)
    content = read_json(path)
    try:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        entries = {image["id"]: image for image in content["images"]}
        by_image: dict[Any, list[dict]] = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        used = {annotation["category_id"] for annotation in content["annotations"]}
        meanings = match_names({names[category] for category in used}, mapping or {}, path)
        tells_erosions = names_erosion(names.values(), mapping or {})
        folder = Path(images) if images else path.parent
        return [
            AnnotatedFilm.of(
                image=_find(folder, str(entries[image]["file_name"]), path),
                size=positive_size(entries[image].get("height"), entries[image].get("width")),
                drawn=[
                    (meaning, _region(annotation, path))
                    for annotation in annotations
                    if (meaning := meanings[names[annotation["category_id"]]]) is not None
                ],
                source=path,
                tells_erosions=tells_erosions,
            )
            for image, annotations in by_image.items()
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a COCO file of instances ({error!r}); export it as COCO") from error


def _find(folder: Path, name: str, source: Path) -> Path:
    """Find an image by its path in the folder, or by its name alone."""
    for candidate in (beneath(folder, name), beneath(folder, re.split(r"[/\\]", name)[-1])):
        if candidate is not None and candidate.is_file():
            return candidate
    raise DataError(f"{source}: its image {name} is not in {folder}; name the folder of the images with --images")


def _region(annotation: dict[str, Any], path: Path) -> Region:
    where = f"{path}: annotation {annotation.get('id')}"
    match annotation.get("segmentation"):
        case [_, *_] as polygons:
            return partial(_draw_polygons, [_polygon(polygon, where) for polygon in polygons])
        case {"counts": str() | list() as counts, "size": [height, width]}:
            return partial(_draw_runs, counts, positive_size(height, width), where)
    raise DataError(f"{where}: has no outline, neither polygons nor run lengths; a box is no mask")


def _polygon(flat: Any, where: str) -> np.ndarray:
    if not isinstance(flat, list) or len(flat) % 2:
        raise DataError(f"{where}: a polygon must be a list x, y, x, y, ...; export it again")
    return as_points([flat[i : i + 2] for i in range(0, len(flat), 2)], where, 3)


def _draw_polygons(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    return np.any([fill_polygon(polygon, size) for polygon in polygons], axis=0)


def _draw_runs(
    counts: str | list[int], stated: tuple[int, int] | None, where: str, size: tuple[int, int]
) -> np.ndarray:
    if stated != size:
        raise DataError(f"{where}: its run lengths are of {stated} pixels (height, width), the image has {size}")
    try:
        return decode_run_lengths(counts, size)
    except ValueError as error:
        raise DataError(f"{where}: {error}; export it again") from error
