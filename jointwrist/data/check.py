"""Validator of a folder in the released layout: lists every fault and stops at none."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import BONES, JOINTS, NOT_SCORED
from jointwrist.data import layout
from jointwrist.data.faults import Fault, FaultError, Report
from jointwrist.data.images import read_image
from jointwrist.data.ram_w600 import Case, Release, read_masks, read_truth
from jointwrist.errors import DataError

__all__ = ["Fault", "check_release"]

_T = TypeVar("_T")


def check_release(root: str | Path) -> list[Fault]:
    """List the faults of a folder, of its tables first and then of every radiograph; an empty list means a sound one.

    An "error" is what the reader refuses or what would make results wrong; the rest are warnings. Every image and mask
    is read, which takes about a minute for the release.
    """
    root = Path(root)
    faults: list[Fault] = []
    try:
        release = Release.open(root, faults.append)
    except DataError as error:
        return [*faults, _as_fault(error, "no release", root)]
    faults += _tables(release)
    faults += _patients(release)
    faults += _links(root)
    for case in tqdm(release.cases, desc="check", unit="wrist", disable=None):
        _check_files(release, case, faults.append)
        faults += _labels(release, case)
    return faults


def _as_fault(error: DataError, kind: str, path: Path) -> Fault:
    known = error.fault if isinstance(error, FaultError) else None
    return known or Fault(kind, path, str(error).removeprefix(f"{path}: "))


def _tables(release: Release) -> Iterator[Fault]:
    """Tables that are missing, and folders that the reader does not look into."""
    root = release.root
    for table, holds in ((layout.METADATA, "pixel spacings"), (layout.BOXES, "joint boxes")):
        if not (root / table).is_file():
            yield Fault("missing table", root / table, f"is missing; {holds} stay unknown", "warning")
    if not (root / layout.SCORES).is_file() and any(case.erosion_split for case in release.cases):
        yield Fault("missing table", root / layout.SCORES, "is missing; the joint crops have no scores")
    for parent in (root / layout.MASKS, root / layout.CROPS):
        for folder in layout.list_folders(parent):
            if folder.name not in layout.SPLITS:
                message = f"is not read; splits are {', '.join(layout.SPLITS)}"
                yield Fault("unknown split", folder, message, "warning")


def _patients(release: Release) -> Iterator[Fault]:
    """Patients in more than one split of a task, and those whom the tasks put into different splits."""
    tasks = (("segmentation_split", layout.MASKS), ("erosion_split", layout.CROPS))
    everywhere: dict[str, set[str]] = defaultdict(set)
    for attribute, folder in tasks:
        splits: dict[str, set[str]] = defaultdict(set)
        for case in release.cases:
            if split := getattr(case, attribute):
                splits[case.patient].add(split)
                everywhere[case.patient].add(split)
        for patient, found in sorted(splits.items()):
            if len(found) > 1:
                message = f"patient {patient} is in {' and '.join(sorted(found))}; keep a patient in one split"
                yield Fault("patient in two splits", release.root / folder, message)
    crossing = sorted(patient for patient, found in everywhere.items() if len(found) > 1)
    if crossing:
        message = f"{len(crossing)} patients are in different splits of the two tasks; the joint set leaves them out"
        yield Fault("patient across tasks", release.root, f"{message} of training: {', '.join(crossing)}", "warning")


def _links(root: Path) -> Iterator[Fault]:
    """Symbolic links to somewhere outside the folder."""
    home = root.resolve()
    for folder, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = Path(folder, name)
            if path.is_symlink() and not _target(path).is_relative_to(home):
                yield Fault("link out of the folder", path, "leads out of the folder; copy the file", "warning")


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _labels(release: Release, case: Case) -> Iterator[Fault]:
    """Labels of one radiograph that are missing."""
    scored = max(case.scores) != NOT_SCORED
    if case.mask is None and case.image.is_relative_to(release.root / layout.MASK_IMAGES):
        yield Fault("image without mask", case.image, f"has no mask in {layout.MASKS}; add one or remove the image")
    if case.erosion_split and not scored:
        message = f"{case.identifier} has joint crops but no scores in {layout.SCORES.name}; add them"
        yield Fault("crops without scores", release.root / layout.CROPS, message)
    if case.mask is None and not scored:
        yield Fault("image without labels", case.image, "has neither masks nor scores; it is not used", "warning")
    if not scored:
        return
    crops = release.root / layout.CROPS / (case.erosion_split or "") / case.identifier
    missing = [joint.name for joint in JOINTS if joint.index not in case.crops]
    if missing:
        yield Fault("missing crops", crops, f"no crop of {', '.join(missing)}; add them")
    unscored = [joint.name for joint in JOINTS if case.scores[joint.index] == NOT_SCORED]
    if unscored:
        message = f"{case.identifier} has no score of {', '.join(unscored)}"
        yield Fault("joint without score", release.root / layout.SCORES, message, "warning")


def _check_files(release: Release, case: Case, report: Report) -> None:
    """Read every file of one radiograph."""

    def attempt(kind: str, path: Path, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except DataError as error:
            report(_as_fault(error, kind, path))
            return None

    image = attempt("unreadable image", case.image, lambda: read_image(case.image))
    size = None if image is None else image.shape
    other = release.score_images.get(case.identifier)
    if other not in (None, case.image):
        second = attempt("unreadable image", other, lambda: read_image(other))
        if second is not None and size is not None and second.shape != size:
            report(Fault("size mismatch", other, f"is {second.shape}, {case.image} is {size}; export it again"))
    for joint, path in sorted(case.crops.items()):
        attempt("unreadable image", path, lambda path=path: read_image(path))
    if case.mask is not None:
        bits = attempt("unreadable mask", case.mask, lambda: read_masks(case.mask, size))
        if bits is not None:
            empty = [bone.name for bone in BONES if not (bits >> np.uint16(bone.index) & 1).any()]
            if empty:
                report(Fault("empty bone mask", case.mask, f"no pixel of {', '.join(empty)}", "warning"))
    if case.truth is not None and size is not None:
        attempt("unreadable array", case.truth, lambda: read_truth(case.truth, size))
    if case.boxes is not None and size is not None:
        pass
