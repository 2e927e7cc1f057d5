"""The bone or erosion that a label of an annotation means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.anatomy.definition import fold, spellings
from jointwrist.config import read_yaml
from jointwrist.errors import DataError

_EROSION = re.compile(r"(^|[\s_-])erosions?([\s_-]of)?([\s_-]|$)", re.IGNORECASE)

#: Least similarity of a name that is suggested: `Metatarsal` is no misspelt metacarpal.
_NEAR = 0.85
#: Names that need no quotes as keys in YAML.
_PLAIN_KEY = re.compile(r"\w([\w ()/+.-]*[\w()/+.-])?")


class Meaning(NamedTuple):
    """The meaning of a label.

    Attributes:
        bone: The bone, or the bone with the eroded joint surface; None for an erosion at any bone.
        erosion: Whether the label means an erosion.
    """

    bone: int | None
    erosion: bool


def read_map(path: Path, anatomy: Anatomy = WRIST) -> dict[str, str | None]:
    """Read a YAML mapping from label names to bones or erosions; labels mapped to null are ignored.

    Raises:
        DataError: A value is neither a bone nor an erosion.
        ConfigError: The file is missing or not a YAML mapping, or has a name twice.
    """
    names: dict[str, str | None] = {}
    for name, bone in read_yaml(path, names=True).items():
        if bone is not None:
            _known(str(bone), f"{path}: {name}", anatomy)
        names[name] = None if bone is None else str(bone)
    return names


def match_names(
    names: Iterable[str], mapping: Mapping[str, str | None], source: Path, anatomy: Anatomy = WRIST
) -> dict[str, Meaning | None]:
    """Find the meaning of every name: by the mapping, or by a bone's name or abbreviation in any case.

    An erosion is `erosion` before or after the bone of the joint surface, or alone.

    Args:
        names: Names in the annotations.
        mapping: As from `read_map`; takes precedence, matched exactly.
        source: The annotation file, for messages.
        anatomy: The bones.

    Returns:
        Meaning by name, None for names that the mapping ignores.

    Raises:
        DataError: Some names are unknown; the message lists all of them.
    """
    found: dict[str, Meaning | None] = {}
    unknown = []
    for name in names:
        target = mapping.get(name, name)
        try:
            found[name] = None if target is None else _meaning(target, anatomy)
        except KeyError:
            unknown.append(name)
    if unknown:
        described = ", ".join(_described(name, mapping, anatomy) for name in sorted(unknown))
        raise DataError(
            f"{source}: no bone is known for {described}; name them in a YAML file for"
            f" --map, as in `{_as_key(sorted(unknown)[0])}: {anatomy.bone_names[0]}`, or `null` to leave them out;"
            f" bones are {', '.join(anatomy.bone_names)}; joint surfaces that may be eroded are"
            f" {', '.join(joint.name for joint in anatomy.eroded_joints)}"
        )
    return found


def is_known(name: str, mapping: Mapping[str, str | None], anatomy: Anatomy = WRIST) -> bool:
    """Whether a name means a bone or an erosion, or is to be ignored; see `match_names`."""
    target = mapping.get(name, name)
    try:
        return target is None or bool(_meaning(target, anatomy))
    except KeyError:
        return False


def names_erosion(names: Iterable[str], mapping: Mapping[str, str | None]) -> bool:
    """Whether any name means an erosion."""
    return any(_EROSION.search(mapping.get(name, name) or "") for name in names)


def _meaning(name: str, anatomy: Anatomy) -> Meaning:
    bone, erosions = _EROSION.subn(" ", name)
    if not erosions:
        return Meaning(anatomy.bone_index(name), False)
    if not bone.strip():
        return Meaning(None, True)
    meaning = Meaning(anatomy.bone_index(bone), True)
    if meaning.bone not in {joint.bone for joint in anatomy.eroded_joints}:
        raise KeyError(f"no joint surface of {bone.strip()} is scored")
    return meaning


def _described(name: str, mapping: Mapping[str, str | None], anatomy: Anatomy) -> str:
    """Quote an unknown name, with what it stands for and the bone whose spelling is nearest."""
    target = mapping.get(name) or name
    known = {fold(text): bone.name for bone in anatomy.bones for text in spellings(bone)}
    near = get_close_matches(fold(target), known, 1, _NEAR)
    stands = [repr(target)] if target != name else []
    stands += [f"perhaps {known[near[0]]}"] if near else []
    return f"{name!r} ({', '.join(stands)})" if stands else repr(name)


def _as_key(name: str) -> str:
    """Write a name as a key in YAML."""
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _known(name: str, where: str, anatomy: Anatomy) -> None:
    try:
        _meaning(name, anatomy)
    except KeyError as error:
        raise DataError(f"{where}: {error.args[0]}") from None
