"""Records of a network's training patients: hashes in its weight file, by which they are recognised later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from hashlib import pbkdf2_hmac, sha256
from os import SEEK_END
from pathlib import Path
from typing import Any

from jointwrist.data.dataset.case import Case

#: Rounds of the hash: a millisecond per patient, and per guess of anyone who tries identifiers.
ROUNDS = 2000


def shared_patients(splits: Mapping[str, Iterable[Case]]) -> dict[str, tuple[str, ...]]:
    """Find the patients with radiographs in more than one split: patient, and the splits they are in."""
    found: dict[str, list[str]] = defaultdict(list)
    for split, cases in splits.items():
        for patient in {case.patient for case in cases}:
            found[patient].append(split)
    return {patient: tuple(names) for patient, names in sorted(found.items()) if len(names) > 1}


def radiograph_prints(cases: Iterable[Case]) -> tuple[str, ...]:
    """Return fingerprints of the radiographs in a folder: hashes of the middle 4 KB of each file."""
    return tuple(sorted({radiograph_print(case.image) for case in cases}))


def radiograph_print(path: Path) -> str:
    """Return the fingerprint of one radiograph."""
    with path.open("rb") as file:
        size = file.seek(0, SEEK_END)
        file.seek(max(size // 2 - 2048, 0))
        return sha256(b"%d " % size + file.read(4096)).hexdigest()[:24]


def patient_record(patients: Collection[str], salt: str, prints: Collection[str] = ()) -> dict[str, Any]:
    """Return the record of training patients for a weight file: a salt, and the sorted hashes of the patients.

    Identifiers can be recognised, but not read from the file. Short numbers can still be found by trying them all, so
    hashing does not anonymise identifiers that are secret themselves.

    Args:
        patients: Identifiers.
        salt: Text that makes the hashes specific to this record.
        prints: `radiograph_prints` of the dataset, to recognise folders with the same patients.
    """
    radiographs = {"films": sorted(_radiograph_hash(found, salt) for found in set(prints))} if prints else {}
    return {"salt": salt, "hashes": sorted(_hash(patient, salt) for patient in set(patients)), **radiographs}


def recorded_patients(
    found: Iterable[Mapping[str, Any]], patients: Iterable[str], prints: Collection[str] | None = None
) -> list[str]:
    """Return the patients that are in any of the records.

    Args:
        found: Records.
        patients: Identifiers.
        prints: `radiograph_prints` of their folder. A record of a dataset without a radiograph in common is of other
            people. With None, and for old records without fingerprints, identifiers alone decide.
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
