"""Read the released folder of RAM-H1200: radiographs with masks, scores and metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.importers.clean_file_names import without_decoration
from jointwrist.data.importers.spreadsheet import read_sheet
from jointwrist.data.mask_formats.coco import region_of
from jointwrist.data.shapes.annotation_json import beneath, read_json
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.data.shapes.region import Note, Region
from jointwrist.data.spacing import parse_spacing
from jointwrist.errors import DataError
from jointwrist.renamed_names import former_names

BONES = "_annotations_bone_rle.coco.json"
LESIONS = "_annotations_be_rle.coco.json"
EROSION_SCORES = "SvdH_BE_Scoring", "_annotation_be_scores.json", "BE_"
NARROWING_SCORES = "SvdH_JSN_Scoring", "_annotation_jsn_scores.json", "JSN_"
#: Largest difference of the scales of rows and columns at which a radiograph counts as resampled from one or two hands.
_SAME_SCALE = 0.01
_NAME = re.compile(r"(?P<patient>[A-Za-z0-9]+_[A-Za-z0-9]+_P\d+)_(?P<date>\d{8})_(?P<code>\d+)_(?P<side>[LR])")


class Name(NamedTuple):
    """Parts of `JP_<centre>_P<number>_<yyyymmdd>_<4 digits>_<L|R>`; the release shifts the dates."""

    patient: str
    date: str
    code: str
    side: str


class Row(NamedTuple):
    """A row of the metadata: patient, pixel spacing of the original in mm, and its two sides in pixels, if given."""

    patient: str
    spacing: float | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class ReleasedRadiograph:
    """A radiograph of one hand with its labels.

    Attributes:
        stem: File name without its ending.
        name: Parts of that name.
        image: Image file.
        split: Split of the release.
        bones: Pairs of category and region.
        lesions: Pairs of category and region; None if the file of erosions does not list the radiograph.
        erosion: Erosion scores by site.
        narrowing: Scores of joint-space narrowing by site.
        row: Row of the metadata, or None.
    """

    stem: str
    name: Name
    image: Path
    split: str
    bones: Sequence[tuple[str, Region]]
    lesions: Sequence[tuple[str, Region]] | None
    erosion: Mapping[str, int]
    narrowing: Mapping[str, int]
    row: Row | None

    def spacing(self, height: int, width: int) -> float | None:
        """Return the pixel spacing in mm of a released radiograph of this size, which may have been resampled."""
        if self.row is None or self.row.spacing is None:
            return None
        return self.row.spacing * resampling(self.row.size, height, width)


def resampling(original: tuple[int, int] | None, height: int, width: int) -> float:
    """Return the number of original pixels per pixel of a released radiograph.

    The metadata's two sides are of an original that shows one hand or two side by side; their order is not stated.
    The order in which rows and columns have one scale is taken, and that of rows and columns if neither has.
    """
    if original is None or height in original:
        return 1.0
    for rows, columns in (original, original[::-1]):
        for hands in (1, 2):
            if abs(columns / hands / width / (rows / height) - 1) < _SAME_SCALE:
                return rows / height
    return original[0] / height


def read_release(root: Path, note: Note) -> list[ReleasedRadiograph]:
    """List the radiographs of all splits, sorted by name.

    Raises:
        DataError: A file is missing or damaged, a radiograph is listed twice, or its name is not of the release.
    """
    if not (root / "Segmentation").is_dir():
        raise DataError(f"{root}: has no folder Segmentation; give the folder RAM-H1200-v1 as it was downloaded")
    table = root / "Metadata.xlsx"
    rows = _read_metadata(table, note) if table.is_file() else {}
    if not rows:
        note(f"{table}: not there; no radiograph has a pixel spacing")
    radiographs: dict[str, ReleasedRadiograph] = {}
    for split in SPLITS:
        for radiograph in _read_split(root, split, rows, note):
            if radiograph.stem in radiographs:
                raise DataError(
                    f"{radiograph.image}: is also in {radiographs[radiograph.stem].split}; download the data again"
                )
            radiographs[radiograph.stem] = radiograph
    return [radiographs[stem] for stem in sorted(radiographs)]


def parse_name(stem: str, where: Path) -> Name:
    """Split a file name into its parts.

    Raises:
        DataError: It is not a name of the release.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise DataError(f"{where}: {stem!r} is not JP_<centre>_P<number>_<date>_<digits>_L or _R")
    return Name(match["patient"].replace("_", "-"), match["date"], match["code"], match["side"])


def _read_split(root: Path, split: str, rows: Mapping[str, Row], note: Note) -> list[ReleasedRadiograph]:
    folder = root / "Segmentation" / split
    bones = _read_regions(folder / BONES)
    lesions = _read_regions(folder / LESIONS) if (folder / LESIONS).is_file() else {}
    if not lesions:
        note(f"{folder / LESIONS}: not there or empty; erosions of {split} are not outlined")
    if unknown := sorted(lesions.keys() - bones.keys()):
        note(f"{folder / LESIONS}: radiographs without bones left out: {', '.join(unknown)}")
    erosion, narrowing = (_read_scores(root, split, *kind, note) for kind in (EROSION_SCORES, NARROWING_SCORES))
    radiographs = []
    for stem, regions in bones.items():
        image = beneath(folder, f"{stem}.bmp")
        if image is None or not image.is_file():
            raise DataError(f"{folder / BONES}: its radiograph {stem}.bmp is not in {folder}; download the data again")
        if stem[:-2] not in rows and rows:
            note(f"{image}: has no row in Metadata.xlsx")
        radiographs.append(
            ReleasedRadiograph(
                stem, parse_name(stem, image), image, split, regions, lesions.get(stem),
                erosion.get(stem, {}), narrowing.get(stem, {}), rows.get(stem[:-2]),
            )
        )  # fmt: skip
    return radiographs


def _read_regions(path: Path) -> dict[str, list[tuple[str, Region]]]:
    """Read category and region of every annotation by file stem; radiographs without any have an empty list."""
    content = read_json(path)
    try:
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        stems = {entry["id"]: _stem(entry) for entry in content["images"]}
        found: dict[str, list[tuple[str, Region]]] = {stem: [] for stem in stems.values()}
        if len(found) < len(stems):
            raise DataError(f"{path}: lists a radiograph twice; download the data again")
        convention = Convention()
        for entry in content["annotations"]:
            name = names[entry["category_id"]]
            found[stems[entry["image_id"]]].append((name, region_of(entry, name, path, convention)))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a COCO file of instances ({error!r}); download the data again") from error
    return found


def _stem(image: Mapping[str, Any]) -> str:
    extra = image.get("extra")
    name = extra["name"] if isinstance(extra, dict) and extra.get("name") else image["file_name"]
    return without_decoration(Path(str(name).replace("\\", "/")).stem)


def _read_scores(root: Path, split: str, folder: str, file: str, prefix: str, note: Note) -> dict[str, dict[str, int]]:
    """Read integer scores by radiograph and site; others are left out with a note."""
    path = root / "SvdH_Scoring" / folder / split / file
    if not path.is_file():
        note(f"{path}: not there; {split} has none of its scores")
        return {}
    found: dict[str, dict[str, int]] = {}
    for name, sites in read_json(path).items():
        if not isinstance(sites, dict):
            raise DataError(f"{path}: {name} has no scores by site; download the data again")
        scores = found.setdefault(without_decoration(Path(name).stem), {})
        for site, value in sites.items():
            if isinstance(value, int) and not isinstance(value, bool):
                scores[site.removeprefix(prefix)] = value
            elif value is not None:
                note(f"{path}: {name}, {site}: {value!r} is not a whole number; left out")
    return found


def _read_metadata(path: Path, note: Note) -> dict[str, Row]:
    rows = {}
    for _, values in read_sheet(path, "Mapped Image Stem", note):
        cells = {name.strip().lower(): text for name, text in values.items()}
        size = [int(number) for number in re.findall(r"\d+", cells.get("imagesize", ""))]
        rows[cells["mapped image stem"]] = Row(
            cells.get("normalized patientid", ""),
            parse_spacing(cells.get("pixelspacing", "")),
            (size[0], size[1]) if len(size) == 2 and min(size) > 0 else None,
        )
    return rows


__getattr__ = former_names(__name__, Film="ReleasedRadiograph")
