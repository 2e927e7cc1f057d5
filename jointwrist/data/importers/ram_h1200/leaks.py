"""Films that two splits of RAM-H1200 share, and a split without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jointwrist.data.importers.ram_h1200.release import Film

#: Splits from the one that keeps a film to the one that gives it up.
_KEEPS = ("test", "val", "train")


class Leak(NamedTuple):
    """A film that the clean split leaves out: its name, its split, the reason, and the film that stays."""

    film: str
    split: str
    reason: str
    kept: str


@dataclass(frozen=True)
class Patients:
    """Who is on which film.

    Attributes:
        of: Patient by film; one name for all numbers that belong to one person.
        united: Groups of patient numbers that belong to one person.
    """

    of: Mapping[str, str]
    united: Sequence[tuple[str, ...]]


def find_patients(films: Sequence[Film], digests: Mapping[str, bytes]) -> Patients:
    """Find out which patient numbers belong to one person.

    They do if the metadata gives them one `Normalized PatientID`, or if they have a film with the same pixels.

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
    """List the films that the clean split leaves out.

    Of films with the same pixels one stays: that of test, else of val, else the first; all of test stay. Of a patient
    in several splits the films of test stay, else those of val.
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
