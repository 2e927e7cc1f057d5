"""Patients in two splits, and patients that a network was trained on and is tested on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from hashlib import pbkdf2_hmac
from typing import Any

from jointwrist.data.ram_w600 import Case

#: Rounds of the hash: a millisecond a patient, and as much for every identifier that somebody tries.
ROUNDS = 2000
#: How many patients a message names.
NAMED = 5


def shared_patients(splits: Mapping[str, Iterable[Case]]) -> dict[str, tuple[str, ...]]:
    """Find the patients with radiographs in more than one split: patient, and the splits they are in."""
    found: dict[str, list[str]] = defaultdict(list)
    for split, cases in splits.items():
        for patient in {case.patient for case in cases}:
            found[patient].append(split)
    return {patient: tuple(names) for patient, names in sorted(found.items()) if len(names) > 1}


def name_shared(shared: Mapping[str, tuple[str, ...]]) -> str:
    """Say in words which patients are in which splits."""
    some = [f"{patient} ({' and '.join(splits)})" for patient, splits in list(shared.items())[:NAMED]]
    return f"patients in more than one split: {_list(some, len(shared))}"


def patient_record(patients: Collection[str], salt: str) -> dict[str, Any]:
    """Return what a weight file keeps of its training patients: a salt and a hash of each, in no order of theirs.

    Equal identifiers are found again, and a reader of the file sees none. Short numbers can still be found by trying
    them all, so the hash is no anonymisation of identifiers that are secret themselves.
    """
    return {"salt": salt, "hashes": sorted(_hash(patient, salt) for patient in set(patients))}


def trained_patients(info: Mapping[str, Any], patients: Iterable[str]) -> list[str]:
    """Return those of the patients whom the weights were trained on, by the info of the weight file.

    Files from before such records, converted ones and those trained on phantoms made on the fly name nobody.
    """
    record = info.get("patients")
    if record is None:
        return []
    hashes = set(record["hashes"])
    return sorted(patient for patient in set(patients) if _hash(patient, record["salt"]) in hashes)


def name_trained(trained: Collection[str], tested: int) -> str:
    """Say in words that figures are not those of unseen patients."""
    return (
        f"WARNING: the model was trained on {len(trained)} of the {tested} patients it is tested on:"
        f" {_list(sorted(trained)[:NAMED], len(trained))}. The figures are not those of unseen patients, unless this"
        " folder gives the same identifiers to other people"
    )


def _list(names: list[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")


def _hash(patient: str, salt: str) -> str:
    return pbkdf2_hmac("sha256", patient.encode(), salt.encode(), ROUNDS, dklen=12).hex()
