"""Refuse or report patient leakage: patients in two splits, or in the training data of a network that is tested."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.patient_records import radiograph_print, recorded_patients, shared_patients
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.run_data.training_record import inherited_info
from jointwrist.errors import DataError
from jointwrist.text import number_of

#: How many patients a message names.
NAMED = 5


def check_splits(config: RunConfig, root: Path, listed: Mapping[str, Collection[Case]]) -> tuple[str, ...]:
    """Refuse a training run with patients in more than one split.

    Args:
        config: Configuration of the run.
        root: Folder of the dataset, for messages.
        listed: Cases of every split.

    Returns:
        Notes: the official protocol keeps the splits as they were released, and says so.

    Raises:
        DataError: A patient is in two splits, in any other protocol.
    """
    shared = shared_patients(listed)
    if not shared:
        return ()
    if config.protocol != "official":
        raise DataError(f"{root}: {name_shared(shared)}; keep each in one; `jointwrist data check` lists the images")
    return (f"{name_shared(shared)}; the official protocol keeps them",)


def check_radiographs(paths: Iterable[Path], dataset: RamW600) -> None:
    """Refuse radiographs for training that belong to patients of the validation or test split.

    A radiograph is recognised by its content. If some of them are in the dataset, patients are recognised by file names
    too; otherwise equal names mean different people.

    Raises:
        DataError: There are such radiographs.
    """
    prints = {path: radiograph_print(path) for path in paths}
    patients = {radiograph_print(case.image): case.patient for case in dataset.cases}
    held_out = {
        case.patient for case in dataset.cases if {case.segmentation_split, case.erosion_split} & {"val", "test"}
    }
    same = any(found in patients for found in prints.values())
    refused = [
        path.name
        for path, found in prints.items()
        if patients.get(found) in held_out or (same and path.stem.rsplit("_", 2)[0] in held_out)
    ]
    if refused:
        raise DataError(
            f"{len(refused)} of the training radiographs show patients of the validation or test split of"
            f" {dataset.root}: {_list(refused[:NAMED], len(refused))}; take them out of the folder"
        )


def inheritance_notes(
    inherited: Collection[Mapping[str, Any]], listed: Mapping[str, Collection[Case]], prints: Collection[str]
) -> tuple[str, ...]:
    """Warn if a network that a run builds on was trained on validation or test patients.

    Args:
        inherited: As from `inherited_records`.
        listed: Cases of every split.
        prints: `radiograph_prints` of their folder.
    """
    unseen = {case.patient for name in ("val", "test") for case in listed[name]}
    trained = recorded_patients(inherited, unseen, prints)
    return (name_inherited(trained),) if trained else ()


def name_shared(shared: Mapping[str, tuple[str, ...]]) -> str:
    """Describe which patients are in which splits."""
    some = [f"{patient} ({' and '.join(splits)})" for patient, splits in list(shared.items())[:NAMED]]
    return f"patients in more than one split: {_list(some, len(shared))}"


def records(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records in a weight file's info: of its own training, and of the networks that it was built on.

    Converted files, files older than such records and files trained on phantoms made on the fly have none.
    """
    own = [info["patients"]] if "patients" in info else []
    return [*own, *info.get("inherited", [])]


def inherited_records(config: RunConfig) -> list[dict[str, Any]]:
    """Return the patient records of the networks that a run builds on, each once.

    Raises:
        DataError: A weight file cannot be read or fetched.
    """
    found = [record for info in inherited_info(config) for record in records(info)]
    return [record for index, record in enumerate(found) if record not in found[:index]]


def name_inherited(trained: Collection[str]) -> str:
    """Describe that a network builds on training data of its validation or test patients."""
    patients = number_of(len(trained), "patient")
    who = f"start, joint.pretrained or joint.segmenter were trained on {patients} of val and test"
    return _warning(who, trained)


def name_trained(trained: Collection[str], tested: int) -> str:
    """Describe that figures do not come from unseen patients."""
    who = (
        f"the model, or one that it is built on, was trained on {len(trained)} of the {tested} patients it is tested on"
    )
    return _warning(who, trained)


def _warning(who: str, trained: Collection[str]) -> str:
    return (
        f"WARNING: {who}: {_list(sorted(trained)[:NAMED], len(trained))}. The figures are not those of unseen patients"
        " (weights of earlier versions know identifiers alone, which another folder may give to other people)"
    )


def _list(names: list[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")
