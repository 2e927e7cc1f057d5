"""Read and write COCO masks predicted by a tool; `importers.coco_annotations` reads human annotations."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.mask_formats.label_map import numbers_of
from jointwrist.data.mask_formats.layers import Layer, Named, check_fit, palette
from jointwrist.data.shapes.annotation_json import as_points, in_pixels, positive_size
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.data.shapes.region import Part, Polygon, Region, Runs
from jointwrist.errors import DataError, require
from jointwrist.files import write_text


@dataclass(frozen=True)
class CocoMasks:
    """Masks of many radiographs in one file.

    Attributes:
        path: The file.
        radiographs: Results by the image's file name, or by its id as text where no file names are given; each with
            category name, region, and score or None.
    """

    path: Path
    radiographs: Mapping[str, Sequence[tuple[str, Region, float | None]]]

    def read(self, radiograph: str, size: tuple[int, int]) -> list[Named]:
        """Draw the masks of one radiograph by name; of several scored results for one name, the best is used.

        Raises:
            DataError: A segmentation is missing or damaged, or has another size than the radiograph.
        """
        best: dict[str, tuple[Region, float]] = {}
        drawn = []
        for name, region, score in self.radiographs[radiograph]:
            if not region.parts:
                raise DataError(f"{self.path}: {region.where}: has no segmentation; a box is not a mask")
            if score is None:
                drawn.append((name, region))
            elif name not in best or score > best[name][1]:
                best[name] = (region, score)
        drawn += [(name, region) for name, (region, _) in best.items()]
        for _, region in drawn:
            for runs in region.parts:
                if isinstance(runs, Runs) and runs.size is not None:
                    check_fit(runs.size, size, self.path)
        return [(name, region.draw(size).mask) for name, region in drawn]


def masks_of(path: Path, content: Any, described: Any = None, anatomy: Anatomy = WRIST) -> CocoMasks:
    """Group results by radiograph.

    Args:
        path: The file, for messages.
        content: Content of the file: a list of results, or instances with `images`, `annotations` and `categories`.
        described: Instances that describe images and categories of a list of results. Without it, `image_id` is the
            identifier or file name of the radiograph, and the category is a name, or b + 1 for bone b.
        anatomy: The bones.

    Raises:
        DataError: The content is neither, an image or category is unknown, or an id is not unique.
    """
    results = content if isinstance(content, list) else content.get("annotations")
    described = described if isinstance(content, list) else content
    try:
        images = _by_id(described["images"], "file_name", path) if described else None
        categories = _by_id(described["categories"], "name", path) if described else None
        radiographs: dict[str, list[tuple[str, Region, float | None]]] = defaultdict(list)
        convention, numbers = Convention(), numbers_of(anatomy)
        for result in results:
            radiograph, name = _radiograph(result["image_id"], images), _category(result, categories, numbers)
            score = None if result.get("score") is None else float(result["score"])
            radiographs[radiograph].append((name, region_of(result, f"{radiograph}, {name}", path, convention), score))
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not a list of COCO results, or one with unknown images or categories ({error!r}); put the file of"
            " instances that describes them into the same folder"
        ) from error
    return CocoMasks(path, radiographs)


class CocoImage(NamedTuple):
    """An image and its encoded regions, ready to be written.

    Attributes:
        file: File name.
        size: Height and width.
        regions: Name, segmentation, area and box of every region.
    """

    file: str
    size: tuple[int, int]
    regions: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, file: str, size: tuple[int, int], layers: Sequence[Layer]) -> CocoImage:
        """Encode the regions of an image as run lengths.

        Raises:
            MissingExtraError: pycocotools is not installed.
        """
        coco = require("pycocotools.mask", "formats")
        regions = []
        for layer in layers:
            runs = coco.encode(np.asfortranarray(layer.mask, np.uint8))
            segmentation = {"size": list(size), "counts": runs["counts"].decode("ascii")}
            box = [float(edge) for edge in coco.toBbox(runs)]
            area = int(np.count_nonzero(layer.mask))
            regions.append({"name": layer.name, "segmentation": segmentation, "area": area, "bbox": box})
        return cls(file, size, regions)


def write(path: Path, images: Sequence[CocoImage], erosions: bool = False, anatomy: Anatomy = WRIST) -> None:
    """Write instances, one annotation per region, whole or not at all.

    Args:
        path: JSON file.
        images: Images and their regions.
        erosions: Whether every image was examined for erosions. If so, the categories of erosions are listed even
            when none is drawn.
        anatomy: The bones.
    """
    entries, annotations, colours = [], [], palette(anatomy)
    identifiers = {name: number for number, name in enumerate(colours, 1)}
    for number, image in enumerate(images, 1):
        height, width = image.size
        entries.append({"id": number, "file_name": image.file, "height": height, "width": width})
        for region in image.regions:
            place = {"id": len(annotations) + 1, "image_id": number, "category_id": identifiers[region["name"]]}
            drawn = {key: region[key] for key in ("segmentation", "area", "bbox")}
            # COCO reserves run lengths for crowds; datumaro, used by CVAT, turns those of single objects into polygons
            annotations.append({**place, **drawn, "iscrowd": 1})
    used = {region["name"] for image in images for region in image.regions}
    categories = [
        {"id": identifiers[name], "name": name, "supercategory": anatomy.name, "color": list(colour)}
        for name, colour in colours.items()
        if name in anatomy.bone_names or name in used or erosions
    ]
    write_text(path, json.dumps({"images": entries, "annotations": annotations, "categories": categories}))


def region_of(annotation: dict[str, Any], name: str, path: Path, convention: Convention) -> Region:
    """Return the region that an annotation covers.

    Args:
        annotation: Entry of the file.
        name: Name of its category, for messages.
        path: The file, for messages.
        convention: Convention by which polygons count pixels.

    Raises:
        DataError: The outline is damaged or of an unknown kind.
    """
    where = f"{path}: annotation {annotation.get('id')}, {name}"
    match annotation.get("segmentation"):
        case [int() | float(), *_] as polygon:
            return Region(where, _polygons([polygon], where, convention))
        case list() as polygons:
            return Region(where, _polygons(polygons, where, convention))
        case {"counts": str() | list() as counts, "size": [height, width]}:
            return Region(where, [Runs(counts, positive_size(height, width), where)])
        case None:
            return Region(where, [])
    raise DataError(f"{where}: its outline is neither polygons nor run lengths; export it as COCO instances")


def _polygons(polygons: list[Any], where: str, convention: Convention) -> list[Part]:
    parts: list[Part] = []
    for number, flat in enumerate(polygons, 1):
        place = where if len(polygons) == 1 else f"{where}, part {number}"
        if not isinstance(flat, list) or len(flat) % 2:
            raise DataError(f"{place}: a polygon must be a list x, y, x, y, ...; export it again")
        points = as_points([flat[i : i + 2] for i in range(0, len(flat), 2)], place) if flat else np.empty((0, 2))
        parts.append(Polygon(in_pixels(points, place) if len(points) > 2 else points, convention))
    return parts


def _radiograph(image: Any, images: Mapping[Any, str] | None) -> str:
    return str(image) if images is None else images[image]


def _category(result: Mapping[str, Any], categories: Mapping[Any, str] | None, numbers: Mapping[str, str]) -> str:
    """Return the name of a result's category, if necessary by its number."""
    if categories is not None:
        return categories[result["category_id"]]
    category = result["category_id"] if "category_id" in result else result["category_name"]
    if isinstance(category, str):
        return numbers.get(category, category)
    return numbers[f"{category:g}" if isinstance(category, float) else str(category)]


def _by_id(entries: Any, key: str, path: Path) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for entry in entries:
        if entry["id"] in found:
            raise DataError(
                f"{path}: the id {entry['id']!r} is used for {found[entry['id']]} and {entry[key]}; give each its own"
            )
        found[entry["id"]] = str(entry[key])
    return found
