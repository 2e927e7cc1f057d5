"""Read anatomies from YAML: the package's by name, users' by file, with a clear error for every fault.

The classes here are the schema of the file; `parse_anatomy` makes an `Anatomy` of it and `to_values` the reverse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml

from jointwrist.anatomy.definition import Anatomy, Bone, Code, JointSurface, Score, fold, spellings
from jointwrist.anatomy.palette import colour_of
from jointwrist.config import ConfigError, Range, build, read_yaml

#: Anatomies that come with the package.
FOLDER = Path(__file__).parent
#: Most bones and most joint surfaces: the bits of the largest bit map without its sign.
MOST = 63
#: Names of tables of results, which no score can have.
RESERVED = {"segmentation", "label_map", "families", "anatomy", "leaks"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")
_Byte = Annotated[int, Range(0, 255)]
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class BoneEntry:
    """A bone of the file; see `Bone`. Without a colour it takes one of a palette."""

    name: str = ""
    display: str = ""
    spellings: tuple[str, ...] = ()
    colour: tuple[_Byte, _Byte, _Byte] | None = None
    code: Code | None = None
    parts: tuple[Code, ...] = ()


@dataclass(frozen=True)
class JointEntry:
    """A joint surface of the file, its bones by name; see `JointSurface`."""

    name: str = ""
    display: str = ""
    released: str = ""
    spellings: tuple[str, ...] = ()
    bone: str = ""
    end: bool = False
    articulating: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreEntry:
    """A score of the file; see `Score`. By default, every score has a level of its own, and all joints are scored."""

    name: str = ""
    display: str = ""
    highest: Annotated[int, Range(1, 99)] = 5
    levels: Annotated[int, Range(2, 100)] | None = None
    joints: tuple[str, ...] | None = None


@dataclass(frozen=True)
class AnatomyFile:
    """The keys of the file.

    With `base`, the bones, joints, overlap pairs and scores are added to those of another anatomy of the package.
    """

    name: str = ""
    base: str = ""
    region: Code | None = None
    bones: tuple[Any, ...] = ()
    joints: tuple[Any, ...] = ()
    overlaps: tuple[tuple[str, str], ...] = ()
    scores: tuple[Any, ...] = ()
    sides: bool = True


def list_anatomies() -> list[str]:
    """Return the names of the anatomies that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_anatomy(source: str | Path) -> Anatomy:
    """Return an anatomy of the package by its name, or that of a YAML file.

    Raises:
        ConfigError: There is none, or its file is faulty.
    """
    return _packaged(str(source)) if str(source) in list_anatomies() else read_anatomy(Path(source))


def read_anatomy(path: Path) -> Anatomy:
    """Read the anatomy of a YAML file.

    Raises:
        ConfigError: The file is missing or faulty; the message names it, the entry and the remedy.
    """
    if not list_anatomies():
        raise ConfigError(f"{FOLDER}: the package's files are not there; unpack the archive it is in, or install it")
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such anatomy; name a YAML file, or one of the package: {', '.join(list_anatomies())}"
        )
    return parse_anatomy(read_yaml(path), str(path))


@cache
def _packaged(name: str) -> Anatomy:
    return read_anatomy(FOLDER / f"{name}.yaml")


def parse_anatomy(values: Mapping[str, Any], where: str) -> Anatomy:
    """Build an anatomy from the values of a file.

    Args:
        values: Content of the YAML file, or what `to_values` returned.
        where: Source to name in messages, such as the file.

    Raises:
        ConfigError: A key, type, name or reference is wrong.
    """
    try:
        return _parse(values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def to_yaml(anatomy: Anatomy) -> str:
    """Return the text of a YAML file that `read_anatomy` reads."""
    return yaml.safe_dump(to_values(anatomy), sort_keys=False, allow_unicode=True)


def to_values(anatomy: Anatomy) -> dict[str, Any]:
    """Return an anatomy as plain values for YAML and JSON, the inverse of `parse_anatomy`."""
    bones, joints = anatomy.bone_names, anatomy.joint_names
    return {
        "name": anatomy.name,
        "region": anatomy.region and list(anatomy.region),
        "bones": [
            {
                "name": bone.name,
                "display": bone.display,
                "spellings": list(bone.spellings),
                "colour": list(bone.colour),
                "code": bone.code and list(bone.code),
                "parts": [list(part) for part in bone.parts],
            }
            for bone in anatomy.bones
        ],
        "joints": [
            {
                "name": joint.name,
                "display": joint.display,
                "released": joint.released,
                "spellings": list(joint.spellings),
                "bone": bones[joint.bone],
                "end": joint.end,
                "articulating": [bones[bone] for bone in joint.articulating_bones],
            }
            for joint in anatomy.joints
        ],
        **({} if anatomy.sides else {"sides": False}),
        "overlaps": [[bones[a], bones[b]] for a, b in anatomy.overlaps],
        "scores": [
            {
                "name": score.name,
                "display": score.display,
                "highest": score.highest,
                "levels": score.levels,
                "joints": [joints[joint] for joint in score.joints],
            }
            for score in anatomy.scores
        ],
    }


def anatomy_info(anatomy: Anatomy) -> dict[str, Any]:
    """Return the metadata entries of an anatomy for a weight file; none for the wrist, as in older files."""
    return {} if anatomy == _packaged("wrist") else {"anatomy": to_values(anatomy)}


def info_anatomy(info: Mapping[str, Any]) -> Anatomy:
    """Return the anatomy of the metadata of a weight file.

    Raises:
        ConfigError: The metadata hold a faulty anatomy.
    """
    values = info.get("anatomy")
    if values is None:
        return _packaged("wrist")
    if not isinstance(values, Mapping):
        raise ConfigError("anatomy: needs keys and values")
    return parse_anatomy(values, "anatomy")


def _with_base(file: AnatomyFile) -> AnatomyFile:
    """Put the entries of the anatomy that a file builds on before its own."""
    if not file.base:
        return file
    if file.base not in list_anatomies():
        raise ConfigError(f"base is {file.base!r}; anatomies of the package are {', '.join(list_anatomies())}")
    base = build(AnatomyFile, to_values(_packaged(file.base)))
    lists = {key: getattr(base, key) + getattr(file, key) for key in ("bones", "joints", "overlaps", "scores")}
    return replace(file, region=file.region or base.region, **lists)


def _parse(values: Mapping[str, Any]) -> Anatomy:
    file = _with_base(build(AnatomyFile, values))
    _check_name(file.name, "name")
    bones = tuple(
        Bone(index, e.name, e.display or e.name, e.spellings, e.colour or colour_of(index), e.code, e.parts)
        for index, e in enumerate(_entries(BoneEntry, file.bones, "bones"))
    )
    if not bones:
        raise ConfigError("bones: lists no bone")
    _refuse_shared(bones, "bones")
    by_name = {bone.name: bone.index for bone in bones}
    joints = tuple(_joint(index, e, by_name) for index, e in enumerate(_entries(JointEntry, file.joints, "joints")))
    _refuse_shared(joints, "joints")
    overlaps = tuple(_pair(pair, by_name) for pair in file.overlaps)
    if not overlaps:
        raise ConfigError(
            "overlaps: lists no pair of bones; overlap figures and losses need one, so name at least one pair whose"
            " projections touch"
        )
    for one, other in combinations(overlaps, 2):
        if set(one) == set(other):
            raise ConfigError(f"overlaps: the pair {bones[one[0]].name}, {bones[one[1]].name} is listed twice")
    scores = tuple(_score(e, joints) for e in _entries(ScoreEntry, file.scores, "scores"))
    _refuse_repeated([score.name for score in scores], "scores")
    if taken := RESERVED & {score.name for score in scores}:
        raise ConfigError(f"scores: the name {min(taken)} is used by another results table; choose another")
    if joints and "erosion" not in [score.name for score in scores]:
        raise ConfigError(
            "scores: lists no erosion score, by which networks score the joints; add it, or drop the joints"
        )
    return Anatomy(file.name, file.region, bones, joints, overlaps, scores, file.sides)


def _entries(kind: type[Entry], values: Sequence[Any], key: str) -> list[Entry]:
    """Build the entries of a list, and check their number and names."""
    if len(values) > MOST:
        raise ConfigError(f"{key}: lists {len(values)}; at most {MOST} fit into a bit map")
    entries = []
    for number, value in enumerate(values, 1):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key}: entry {number} needs keys and values, not {value!r}")
        name = value.get("name")
        label = name if isinstance(name, str) and name else number
        entries.append(build(kind, value, f"{key}.{label}."))
        _check_name(entries[-1].name, f"{key}.{label}.name")
    return entries


def _check_name(name: str, where: str) -> None:
    if not name:
        raise ConfigError(f"{where} is missing")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where} is {name!r}; names are letters, digits, _, + and -, as they become file names")


def _refuse_repeated(names: Iterable[str], key: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{key}: the name {name} is given twice")
        seen.add(name)


def _refuse_shared(entries: Sequence[Bone] | Sequence[JointSurface], key: str) -> None:
    """Refuse a name or spelling that belongs to two entries."""
    _refuse_repeated([entry.name for entry in entries], key)
    owners: dict[str, str] = {}
    for entry in entries:
        for text in spellings(entry):
            owner = owners.setdefault(fold(text), entry.name)
            if owner != entry.name:
                raise ConfigError(f"{key}: {text!r} means both {owner} and {entry.name}; spellings must differ")


def _bone(name: str, by_name: Mapping[str, int], where: str) -> int:
    if name not in by_name:
        missing = f"{where} is missing" if not name else f"{where} names an unknown bone {name!r}"
        raise ConfigError(f"{missing}; bones are {', '.join(by_name)}")
    return by_name[name]


def _joint(index: int, entry: JointEntry, by_name: Mapping[str, int]) -> JointSurface:
    where = f"joints.{entry.name}"
    bone = _bone(entry.bone, by_name, f"{where}.bone")
    others = tuple(_bone(name, by_name, f"{where}.articulating") for name in entry.articulating)
    if not others:
        raise ConfigError(f"{where}.articulating: names no bone that {entry.bone} articulates with")
    if bone in others or len(set(others)) < len(others):
        raise ConfigError(f"{where}.articulating: names {entry.bone} itself, or a bone twice")
    released = entry.released or entry.name
    _check_name(released, f"{where}.released")
    return JointSurface(
        index, entry.name, entry.display or entry.name, entry.spellings, bone, entry.end, others, released
    )


def _pair(pair: tuple[str, str], by_name: Mapping[str, int]) -> tuple[int, int]:
    first, second = (_bone(name, by_name, "overlaps") for name in pair)
    if first == second:
        raise ConfigError(f"overlaps: {pair[0]} cannot overlap with itself")
    return first, second


def _score(entry: ScoreEntry, joints: Sequence[JointSurface]) -> Score:
    where = f"scores.{entry.name}"
    levels = entry.highest + 1 if entry.levels is None else entry.levels
    if levels > entry.highest + 1:
        raise ConfigError(f"{where}.levels is {levels}; scores 0 to {entry.highest} have at most {entry.highest + 1}")
    by_name = {joint.name: joint.index for joint in joints}
    names = tuple(by_name) if entry.joints is None else entry.joints
    for name in names:
        if name not in by_name:
            raise ConfigError(f"{where}.joints names an unknown joint {name!r}; joints are {', '.join(by_name)}")
    if not names:
        raise ConfigError(f"{where}.joints: names no joint")
    _refuse_repeated(names, f"{where}.joints")
    return Score(entry.name, entry.display or entry.name, entry.highest, levels, tuple(by_name[name] for name in names))
