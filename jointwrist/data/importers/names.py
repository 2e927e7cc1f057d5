"""What annotators call the bones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jointwrist.anatomy import BONE_NAMES, bone_index
from jointwrist.config import read_yaml
from jointwrist.errors import DataError

#: Usual abbreviations, in the order of the bones; case does not matter.
ABBREVIATIONS: tuple[tuple[str, ...], ...] = (
    ("Cap",), ("Rad", "DR"), ("Uln", "DU"), ("Ham",), ("Lun",), ("Tri", "Triq", "Pis"), ("Sca",), ("Tzm",), ("Tzd",),
    ("MC1",), ("MC2",), ("MC3",), ("MC4",), ("MC5",),
)  # fmt: skip
_BY_ABBREVIATION = {name.lower(): bone for bone, names in enumerate(ABBREVIATIONS) for name in names}


def read_map(path: Path) -> dict[str, str | None]:
    """Read a YAML mapping of annotators' names to bones; null leaves what has that name out.

    Raises:
        DataError: A value is no bone.
        ConfigError: The file is missing or no YAML mapping.
    """
    names: dict[str, str | None] = {}
    for name, bone in read_yaml(path).items():
        if bone is not None:
            _known(str(bone), f"{path}: {name}")
        names[str(name)] = None if bone is None else str(bone)
    return names


def match_bones(names: Iterable[str], mapping: Mapping[str, str | None], source: Path) -> dict[str, int | None]:
    """Find the bone of every name: by the mapping, else by the bone's name or abbreviation in any case.

    Args:
        names: Names as they stand in the annotations.
        mapping: As from `read_map`; asked first, and exactly.
        source: The annotation file, for messages.

    Returns:
        Bone by name, None for those that the mapping leaves out.

    Raises:
        DataError: No bone is known for some names; the message lists all of them.
    """
    found: dict[str, int | None] = {}
    unknown = []
    for name in names:
        target = mapping.get(name, name)
        try:
            found[name] = None if target is None else _bone(target)
        except KeyError:
            unknown.append(name)
    if unknown:
        raise DataError(
            f"{source}: no bone is known for {', '.join(map(repr, sorted(unknown)))}; name them in a YAML file for"
            f" --map, as in `{sorted(unknown)[0]}: Capitate`, or `null` to leave them out; bones are"
            f" {', '.join(BONE_NAMES)}"
        )
    return found


def _bone(name: str) -> int:
    bone = _BY_ABBREVIATION.get(name.strip().lower())
    return bone_index(name) if bone is None else bone


def _known(name: str, where: str) -> None:
    try:
        _bone(name)
    except KeyError as error:
        raise DataError(f"{where}: {error.args[0]}") from None
