"""Import outlines in the text files of YOLO segmentation (docs.ultralytics.com, "Instance Segmentation Datasets")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.config import read_yaml
from jointwrist.data.images import IMAGE_SUFFIXES, read_image
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.importers.visible_files import is_visible
from jointwrist.data.shapes.label_names import Meaning, match_names, names_erosion
from jointwrist.data.shapes.other_programs import what_it_holds
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.data.shapes.region import Polygon, Region
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: The YAML file of an export, which is read before others.
_FILE = "data.yaml"
#: Files with one name of a class per line.
_NAME_LISTS = ("classes.txt", "obj.names", "labels.txt")
#: Shares within this distance of half a pixel's multiple are it: files have six decimals or more.
_ROUNDING = 1e-6
#: Shares beyond the image's sides that programs write nevertheless.
_BEYOND = 0.01


def read_yolo(
    source: str | Path,
    images: str | Path | None = None,
    mapping: Mapping[str, str | None] | None = None,
    outline: str = "auto",
    anatomy: Anatomy = WRIST,
) -> list[AnnotatedRadiograph]:
    """Read a folder with the names of the classes and a text file for each image.

    The names are in a YAML file with the key `names`, or in a file `classes.txt`. Text files are in folders called
    `labels`, and the images in folders called `images` in their place; or both lie side by side. Several outlines of
    one class are united. If a class is an erosion, all images count as examined for erosions.

    Args:
        source: Folder, or its YAML file.
        images: Folder of the images; None takes the place described.
        mapping: Bones of unknown names, as from `shapes.label_names.read_map`.
        outline: Convention of polygons, one of `shapes.outline_convention.CONVENTIONS`.
        anatomy: The bones.

    Raises:
        DataError: There are no such files, a line is no outline, a class has no name, or an image is missing.
    """
    source = Path(source)
    folder = source.parent if source.is_file() else source
    if not folder.is_dir():
        raise DataError(f"{source}: {why_unreadable(source)}")
    if source.is_file() and source.suffix.lower() not in (".yaml", ".yml"):
        raise DataError(f"{source}: is not YOLO's YAML file; give the folder that holds {_FILE} or {_NAME_LISTS[0]}")
    names, described = _class_names(source)
    files = _label_files(folder)
    if not files:
        raise DataError(f"{folder}: holds no text files of YOLO; give the folder that holds `labels` and `images`")
    lines = {path: _lines(path, names, described) for path in files}
    used = {names[number] for content in lines.values() for number, _ in content}
    meanings = match_names(used, mapping or {}, described, anatomy)
    examined = names_erosion(names.values(), mapping or {})
    convention = Convention(outline)
    radiographs = []
    for path, content in lines.items():
        image = _image(path, folder, Path(images) if images else None)
        size = read_image(image).shape
        drawn: list[tuple[Meaning | None, Region]] = []
        for number, (kind, shares) in enumerate(content, 1):
            where = f"{path}: line {number}, {names[kind]}"
            drawn.append((meanings[names[kind]], Region(where, [Polygon(_in_pixels(shares, size), convention)])))
        radiographs.append(AnnotatedRadiograph.of(image, size, drawn, path, examined, anatomy=anatomy))
    return radiographs


def _class_names(source: Path) -> tuple[dict[int, str], Path]:
    """Return the names of the classes by number, and the file that states them."""
    folder = source.parent if source.is_file() else source
    described = [path for ending in ("yaml", "yml") for path in folder.glob(f"*.{ending}") if is_visible(path.name)]
    described.sort(key=lambda path: (path.name != _FILE, path))
    for path in [source] if source.is_file() else described:
        content = read_yaml(path)
        names = content.get("names")
        if "kpt_shape" in content:
            raise DataError(f"{path}: describes key points, and points are no masks; export outlines")
        if isinstance(names, list):
            return dict(enumerate(map(str, names))), path
        if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
            return {int(number): str(name) for number, name in names.items()}, path
    for path in (folder / place / name for name in _NAME_LISTS for place in ("", "labels")):
        if path.is_file():
            return dict(enumerate(path.read_text("utf-8-sig", errors="replace").split("\n"))), path
    if not _label_files(folder) and (other := what_it_holds(folder)):
        raise DataError(f"{source}: holds no text files of YOLO; {other}")
    raise DataError(
        f"{source}: nothing says which bone a number is; add the data.yaml of the export, or classes.txt with one name"
        " a line"
    )


def _label_files(folder: Path) -> list[Path]:
    """List the text files in folders called `labels`, or those that lie beside an image of their name."""
    found = [path for path in sorted(folder.rglob("*.txt")) if is_visible(path.name)]
    found = [path for path in found if path.name not in _NAME_LISTS]
    in_labels = [path for path in found if "labels" in path.relative_to(folder).parts[:-1] or folder.name == "labels"]
    return in_labels or [path for path in found if _beside(path)]


def _beside(path: Path) -> Path | None:
    """Return the image in the folder of a text file that has its name."""
    images = (path.with_name(path.stem + ending) for ending in sorted(_endings()))
    return next((image for image in images if image.is_file()), None)


def _endings() -> set[str]:
    endings = IMAGE_SUFFIXES - {".npy"}
    return endings | {ending.upper() for ending in endings}


def _image(path: Path, folder: Path, images: Path | None) -> Path:
    """Find the image of a text file.

    Raises:
        DataError: There is none.
    """
    if images is None and (beside := _beside(path)):
        return beside
    parts = list(path.relative_to(folder.parent).parts)
    if "labels" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("labels")] = "images"
    place = images or folder.parent.joinpath(*parts[:-1])
    if found := _beside(place / path.name):
        return found
    raise DataError(f"{path}: its image {path.stem} (.png, .bmp, ...) is not in {place}; name its folder with --images")


def _lines(path: Path, names: Mapping[int, str], described: Path) -> list[tuple[int, np.ndarray]]:
    """Return the class and the (N, 2) shares of every outline of a file.

    Raises:
        DataError: A line is no outline, or its class has no name.
    """
    if problem := why_unreadable(path):
        if path.is_file() and not path.stat().st_size:
            return []  # an image without objects
        raise DataError(f"{path}: {problem}")
    outlines = []
    for number, line in enumerate(path.read_text("utf-8-sig", errors="replace").splitlines(), 1):
        where = f"{path}: line {number}"
        if not (words := line.split()):
            continue
        try:
            values = np.array([float(word) for word in words])
        except ValueError:
            raise DataError(f"{where}: is no list of numbers; export it as YOLO segmentation") from None
        if len(values) == 5:
            raise DataError(f"{where}: is a box, and a box is not a mask; export it as YOLO segmentation")
        if len(values) < 7 or len(values) % 2 == 0:
            raise DataError(
                f"{where}: {len(values)} numbers are no class and pairs x, y of at least three corners; export it"
                " without confidences or tracks"
            )
        if not values[0].is_integer() or int(values[0]) not in names or not names[int(values[0])].strip():
            raise DataError(f"{where}: the class {words[0]} has no name in {described}; add it")
        shares = values[1:].reshape(-1, 2)
        if not ((shares >= -_BEYOND) & (shares <= 1 + _BEYOND)).all():  # also true of nan
            raise DataError(f"{where}: its coordinates must be shares of the image's sides, 0 to 1; export it again")
        outlines.append((int(values[0]), shares))
    return outlines


def _in_pixels(shares: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return shares of the image's sides in pixels, without the rounding of the file for whole and half pixels."""
    sides = np.array(size[::-1], np.float64)
    points = shares * sides
    halves = np.round(points * 2) / 2
    return np.where(np.abs(points - halves) <= _ROUNDING * sides, halves, points)
