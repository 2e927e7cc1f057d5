"""Which patients a network was trained on: hashes that its weight file keeps, and looking patients up in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from hashlib import pbkdf2_hmac, sha256
from os import SEEK_END
from typing import Any

from jointwrist.data.dataset.case import Case

#: Rounds of the hash: a millisecond a patient, and as much for every identifier that somebody tries.
ROUNDS = 2000


def shared_patients(splits: Mapping[str, Iterable[Case]]) -> dict[str, tuple[str, ...]]:
    """Find the patients with radiographs in more than one split: patient, and the splits they are in."""
    found: dict[str, list[str]] = defaultdict(list)
    for split, cases in splits.items():
        for patient in {case.patient for case in cases}:
            found[patient].append(split)
    return {patient: tuple(names) for patient, names in sorted(found.items()) if len(names) > 1}


def radiograph_prints(cases: Iterable[Case]) -> tuple[str, ...]:
    """Return what tells the radiographs of a folder from all others: a hash of the middle 4 KB of every file."""
    prints = set()
    for case in cases:
        with case.image.open("rb") as file:
            size = file.seek(0, SEEK_END)
            file.seek(max(size // 2 - 2048, 0))
            prints.add(sha256(b"%d " % size + file.read(4096)).hexdigest()[:24])
    return tuple(sorted(prints))


def patient_record(patients: Collection[str], salt: str, prints: Collection[str] = ()) -> dict[str, Any]:
    """Return what a weight file keeps of its training patients: a salt and a hash of each, in no order of theirs.

    Equal identifiers are found again, and a reader of the file sees none. Short numbers can still be found by trying
    them all, so the hash is no anonymisation of identifiers that are secret themselves.

    Args:
        patients: Identifiers.
        salt: What makes the hashes those of this record alone.
        prints: `radiograph_prints` of the data set, by which a folder is known to number the same patients.
    """
    radiographs = {"films": sorted(_radiograph_hash(found, salt) for found in set(prints))} if prints else {}
    return {"salt": salt, "hashes": sorted(_hash(patient, salt) for patient in set(patients)), **radiographs}


def recorded_patients(
    found: Iterable[Mapping[str, Any]], patients: Iterable[str], prints: Collection[str] | None = None
) -> list[str]:
    """Return those of the patients whom any of the records holds.

    Args:
        found: Records.
        patients: Identifiers.
        prints: `radiograph_prints` of their folder. A record of a data set that has no radiograph in common with it
            numbers other people. None, and records from before radiographs were kept, go by the identifiers alone.
    """
    asked = set(patients)
    same = [record for record in found if prints is None or _same_data(record, prints)]
    return sorted({p for record in same for p in asked if _hash(p, record["salt"]) in set(record["hashes"])})


def _same_data(record: Mapping[str, Any], prints: Collection[str]) -> bool:
    radiographs = set(record.get("films", ()))
    return not radiographs or any(_radiograph_hash(found, record["salt"]) in radiographs for found in prints)


def _radiograph_hash(found: str, salt: str) -> str:
    return sha256(f"{salt} {found}".encode()).hexdigest()[:16]


def _hash(patient: str, salt: str) -> str:
    return pbkdf2_hmac("sha256", patient.encode(), salt.encode(), ROUNDS, dklen=12).hex()
