"""Import labelme files (github.com/wkentaro/labelme): one JSON file per image, in the same folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.visible_files import visible_files
from jointwrist.data.mask_formats.labelme import MARKS, part_of
from jointwrist.data.result_files import describes_result
from jointwrist.data.shapes.annotation_json import beneath, positive_size, read_json
from jointwrist.data.shapes.label_names import Meaning, match_names, names_erosion
from jointwrist.data.shapes.other_programs import PREDICTED, what_it_holds, written_by
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.data.shapes.region import Region
from jointwrist.errors import DataError


def read_labelme(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "auto",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read the JSON files of a folder and the folders in it, or one file, as labelme and X-AnyLabeling write them.

    Polygons, rectangles of two or four points, rotated ones (`oriented_rectangle`, `rotation`), quadrilaterals, circles
    and masks are filled as these tools show them. Points, lines, files without regions and results of predictions are
    skipped with a note. If one file has an erosion, all count as examined for erosions.

    Args:
        source: Folder or file.
        images: Folder of the images; None takes the path that each file states, which must not lead out of its folder.
        mapping: Bones of unknown names, as from `shapes.label_names.read_map`.
        outline: Convention of polygons, one of `shapes.outline_convention.CONVENTIONS`.
        anatomy: The bones.

    Raises:
        DataError: There are no such files, a label is unknown, a shape is damaged or unknown, or an image is missing.
    """
    source = Path(source)
    files = [source]
    if source.is_dir():
        files = sorted(path for path in visible_files(source) if path.suffix == ".json")
    if not files:
        other = what_it_holds(source) or "give the folder that labelme saved into"
        raise DataError(f"{source}: holds no JSON files; {other}")
    convention = Convention(outline)
    found = [_read(path, Path(images) if images else None, mapping or {}, convention, anatomy) for path in files]
    radiographs = [radiograph for radiograph in found if radiograph is not None]
    if not radiographs:
        raise DataError(f"{source}: {PREDICTED}")
    if len(radiographs) < len(found):
        note = f"{source}: results of `jointwrist predict` left out: {len(found) - len(radiographs)}"
        radiographs[0] = replace(radiographs[0], notes=(note, *radiographs[0].notes))
    if all(radiograph.erosions is None for radiograph in radiographs):
        return radiographs
    return [replace(radiograph, erosions=radiograph.erosions or ()) for radiograph in radiographs]


def _read(
    path: Path, images: Path | None, mapping: Mapping[str, str | None], convention: Convention, anatomy: Anatomy
) -> AnnotatedRadiograph | None:
    """Read a file; None for a result of a prediction, which may lie beside the radiograph."""
    content = read_json(path)
    if describes_result(content):
        return None
    drawn: list[tuple[Meaning, Region]] = []
    notes = []
    try:
        shapes, name = content["shapes"], str(content["imagePath"]).replace("\\", "/")
        labels = [str(shape["label"]) for shape in shapes]
        meanings = match_names(set(labels), mapping, path, anatomy)
        for number, (shape, label) in enumerate(zip(shapes, labels, strict=True), 1):
            where, meaning = f"{path}: shape {number}, {label}", meanings[label]
            if meaning is None:
                continue
            if shape.get("shape_type") in MARKS:
                notes.append(f"{where}: a {shape['shape_type']} has no area; left out")
            else:
                drawn.append((meaning, Region(where, [part_of(shape, where, convention)])))
    except (KeyError, TypeError, AttributeError) as error:
        tool = written_by(content) if "shapes" not in content else ""
        raise DataError(f"{path}: {tool or f'not a labelme file ({error!r}); save it with labelme'}") from error
    if notes and not drawn:
        raise DataError(f"{notes[0].removesuffix('; left out')}, and nothing else is drawn; draw a polygon")
    size = positive_size(content.get("imageHeight"), content.get("imageWidth"))
    examined = names_erosion(labels, mapping)
    return AnnotatedRadiograph.of(_find(path, images, name), size, drawn, path, examined, notes, anatomy)


def _find(path: Path, images: Path | None, name: str) -> Path:
    """Find the image of a file in the folder of the images, else where the file says, or in the file's own folder."""
    base = Path(name).name
    stated = [beneath(images, name), beneath(images, base)] if images else [beneath(path.parent, name)]
    for image in (*stated, path.parent / base if not images else None):
        if image is not None and image.is_file():
            return image
    if stated[-1] is None:
        raise DataError(f"{path}: its image {name} is outside of the folder; name the images' folder with --images")
    raise DataError(f"{path}: its image {stated[-1]} is missing; copy it there, or name its folder with --images")
