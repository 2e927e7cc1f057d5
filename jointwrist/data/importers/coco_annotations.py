"""Read COCO annotations (cocodataset.org, "Data format") as exported by CVAT, Label Studio and others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.find_image import find_image
from jointwrist.data.mask_formats.coco import region_of
from jointwrist.data.shapes.annotation_json import positive_size, read_json
from jointwrist.data.shapes.label_names import match_names, names_erosion
from jointwrist.data.shapes.other_programs import written_by
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.errors import DataError

#: Images without annotations that a note names.
_SHOWN = 5


def read_coco(
    path: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "auto",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read a file of instances, as polygons or as run lengths.

    Unused categories may have any name. Images without annotations are skipped with a note. If there is a category of
    erosions, all images count as examined for them.

    Args:
        path: JSON file.
        images: Folder of the images; None takes that of the file.
        mapping: Bones of unknown names, as from `shapes.label_names.read_map`.
        outline: Convention of polygons, one of `shapes.outline_convention.CONVENTIONS`.
        anatomy: The bones.

    Raises:
        DataError: The file is not COCO, an identifier is not unique, a category is unknown, or an image is missing.
    """
    path = Path(path)
    content = read_json(path)
    try:
        names = {key: str(entry["name"]) for key, entry in _by_id(content["categories"], "category", path).items()}
        entries = _by_id(content["images"], "image", path)
        annotations = content["annotations"]
        _by_id([entry for entry in annotations if entry.get("id") is not None], "annotation", path)
        by_image: dict[Any, list[dict]] = defaultdict(list)
        for annotation in annotations:
            _known(annotation, "image_id", entries, path)
            _known(annotation, "category_id", names, path)
            by_image[annotation["image_id"]].append(annotation)
        used = {annotation["category_id"] for annotation in annotations}
        meanings = match_names({names[category] for category in used}, mapping or {}, path, anatomy)
        examined = names_erosion(names.values(), mapping or {})
        folder = Path(images) if images else path.parent
        convention = Convention(outline)
        radiographs = [
            AnnotatedRadiograph.of(
                image=find_image([folder], str(entries[image]["file_name"]), path),
                size=positive_size(entries[image].get("height"), entries[image].get("width")),
                drawn=[
                    (meaning, region_of(annotation, names[annotation["category_id"]], path, convention))
                    for annotation in annotations
                    if (meaning := meanings[names[annotation["category_id"]]]) is not None
                ],
                source=path,
                examined=examined,
                anatomy=anatomy,
            )
            for image, annotations in by_image.items()
        ]
        bare = [str(entry["file_name"]) for key, entry in entries.items() if key not in by_image]
        if radiographs and bare:
            more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
            note = f"{path}: images without annotations left out: {', '.join(bare[:_SHOWN])}{more}"
            radiographs[0] = replace(radiographs[0], notes=(note,))
        return radiographs
    except (KeyError, TypeError, AttributeError) as error:
        tool = "" if isinstance(content.get("categories"), list) else written_by(content)
        raise DataError(f"{path}: {tool or f'not a COCO file of instances ({error!r}); export it as COCO'}") from error


def _by_id(entries: list[dict[str, Any]], kind: str, path: Path) -> dict[int | str, dict[str, Any]]:
    """Return entries by their identifiers.

    Raises:
        DataError: An identifier is neither an integer nor a text, is not unique, or numbers and texts are mixed.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for entry in entries:
        key = entry["id"]
        whole = isinstance(key, int) or (isinstance(key, float) and key.is_integer())
        if isinstance(key, bool) or not (whole or isinstance(key, str)):
            raise DataError(f"{path}: {kind} id {key!r} is neither a whole number nor a text; renumber them")
        if key in found:
            raise DataError(f"{path}: two of its {kind} entries have the id {key!r}; give every {kind} its own id")
        found[key] = entry
    for key in found:
        if isinstance(key, str) != isinstance(next(iter(found)), str):
            first = next(iter(found))
            raise DataError(f"{path}: {kind} ids are numbers and texts, such as {first!r} and {key!r}; renumber them")
    return found


def _known(annotation: dict[str, Any], key: str, entries: Mapping[Any, Any], path: Path) -> None:
    """Refuse an annotation whose image or category is not in the file."""
    kind, value = key.removesuffix("_id"), annotation[key]
    if isinstance(value, bool) or value not in entries:
        other = next((known for known in entries if str(known) == str(value)), None)
        reason = f"{other!r} is there; write both alike" if other is not None else "export the file again"
        raise DataError(
            f"{path}: annotation {annotation.get('id')} is of {kind} {value!r}, which is not in it; {reason}"
        )
