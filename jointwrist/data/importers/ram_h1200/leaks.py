"""Find radiographs shared by two splits of RAM-H1200, and make a split without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jointwrist.data.importers.ram_h1200.release import ReleasedRadiograph
from jointwrist.renamed_names import former_arguments, former_attribute

#: Splits, from the one that keeps a shared radiograph to the one that gives it up.
_KEEPS = ("test", "val", "train")


class Leak(NamedTuple):
    """A radiograph excluded from the clean split: its name, its split, the reason, and the radiograph that stays."""

    radiograph: str
    split: str
    reason: str
    kept: str
    film = former_attribute("film", "radiograph")


@dataclass(frozen=True)
class Patients:
    """Patients of the radiographs.

    Attributes:
        of: Patient by radiograph; one name for all numbers that belong to one person.
        united: Groups of patient numbers that belong to one person.
    """

    of: Mapping[str, str]
    united: Sequence[tuple[str, ...]]


@former_arguments(films="radiographs")
def find_patients(radiographs: Sequence[ReleasedRadiograph], digests: Mapping[str, bytes]) -> Patients:
    """Find the patient numbers that belong to one person.

    They do if the metadata give them the same `Normalized PatientID`, or if they share a radiograph with identical
    pixels.

    Args:
        radiographs: All radiographs.
        digests: Hash of the pixels of each radiograph, by its stem.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    for radiograph in radiographs:
        keys = [radiograph.name.patient, f"pixels {digests[radiograph.stem].hex()}"]
        keys += [f"metadata {radiograph.row.patient}"] if radiograph.row and radiograph.row.patient else []
        for key in keys[1:]:
            first, second = sorted((root(keys[0]), root(key)))
            parents[second] = first
    groups = defaultdict(set)
    for radiograph in radiographs:
        groups[root(radiograph.name.patient)].add(radiograph.name.patient)
    names = {patient: min(group) for group in groups.values() for patient in group}
    united = sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)
    return Patients({radiograph.stem: names[radiograph.name.patient] for radiograph in radiographs}, united)


@former_arguments(films="radiographs")
def find_leaks(
    radiographs: Sequence[ReleasedRadiograph], digests: Mapping[str, bytes], patients: Patients
) -> list[Leak]:
    """List the radiographs excluded from the clean split.

    Of radiographs with identical pixels one stays: that in test, else in val, else the first; all of test stay. For a
    patient in several splits, the radiographs in test stay, else those in val.
    """
    leaks: dict[str, Leak] = {}
    same, person = defaultdict(list), defaultdict(list)
    for radiograph in sorted(radiographs, key=lambda radiograph: (_KEEPS.index(radiograph.split), radiograph.stem)):
        same[digests[radiograph.stem]].append(radiograph)
        person[patients.of[radiograph.stem]].append(radiograph)
    for reason, groups in (("same pixels", same.values()), ("same patient", person.values())):
        for first, *others in groups:
            for radiograph in others:
                again = radiograph.split != first.split or (reason == "same pixels" and radiograph.split != "test")
                if again and radiograph.stem not in leaks:
                    leaks[radiograph.stem] = Leak(radiograph.stem, radiograph.split, reason, first.stem)
    return sorted(leaks.values())
