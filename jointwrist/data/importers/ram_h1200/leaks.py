"""Find radiographs shared by two splits of RAM-H1200, and make a split without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jointwrist.data.importers.ram_h1200.release import Film

#: Splits from the one that keeps a film to the one that gives it up.
_KEEPS = ("test", "val", "train")


class Leak(NamedTuple):
    """A radiograph excluded from the clean split: its name, its split, the reason, and the radiograph that stays."""

    film: str
    split: str
    reason: str
    kept: str


@dataclass(frozen=True)
class Patients:
    """Patients of the radiographs.

    Attributes:
        of: Patient by film; one name for all numbers that belong to one person.
        united: Groups of patient numbers that belong to one person.
    """

    of: Mapping[str, str]
    united: Sequence[tuple[str, ...]]


def find_patients(films: Sequence[Film], digests: Mapping[str, bytes]) -> Patients:
    """Find the patient numbers that belong to one person.

    They do if the metadata give them the same `Normalized PatientID`, or if they share a radiograph with identical
    pixels.

    Args:
        films: All films.
        digests: Hash of the pixels of each film, by its stem.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    for film in films:
        keys = [film.name.patient, f"pixels {digests[film.stem].hex()}"]
        keys += [f"metadata {film.row.patient}"] if film.row and film.row.patient else []
        for key in keys[1:]:
            first, second = sorted((root(keys[0]), root(key)))
            parents[second] = first
    groups = defaultdict(set)
    for film in films:
        groups[root(film.name.patient)].add(film.name.patient)
    names = {patient: min(group) for group in groups.values() for patient in group}
    united = sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)
    return Patients({film.stem: names[film.name.patient] for film in films}, united)


def find_leaks(films: Sequence[Film], digests: Mapping[str, bytes], patients: Patients) -> list[Leak]:
    """List the radiographs excluded from the clean split.

    Of radiographs with identical pixels one stays: that in test, else in val, else the first; all of test stay. For a
    patient in several splits, the radiographs in test stay, else those in val.
    """
    leaks: dict[str, Leak] = {}
    same, person = defaultdict(list), defaultdict(list)
    for film in sorted(films, key=lambda film: (_KEEPS.index(film.split), film.stem)):
        same[digests[film.stem]].append(film)
        person[patients.of[film.stem]].append(film)
    for reason, groups in (("same pixels", same.values()), ("same patient", person.values())):
        for first, *others in groups:
            for film in others:
                again = film.split != first.split or (reason == "same pixels" and film.split != "test")
                if again and film.stem not in leaks:
                    leaks[film.stem] = Leak(film.stem, film.split, reason, first.stem)
    return sorted(leaks.values())
