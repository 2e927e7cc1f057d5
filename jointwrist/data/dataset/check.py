"""Check a dataset folder in the released layout: list every fault instead of stopping at the first."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from jointwrist.anatomy import NOT_SCORED, Anatomy, shows_wrist
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.case import Case, load_crop, radiograph_boxes
from jointwrist.data.dataset.label_files import read_masks, read_truth
from jointwrist.data.dataset.layout import SPLITS, parse_identifier
from jointwrist.data.dataset.mask_alignment import misplaced
from jointwrist.data.dataset.mask_plausibility import oddities
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.dataset.tables import read_spacings
from jointwrist.data.faults import Fault, FaultError
from jointwrist.data.images import read_image
from jointwrist.data.outliers import without_outliers
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.ops.wrist_scale import spacing_doubt
from jointwrist.text import number_of

Value = TypeVar("Value")


#: Splits that a command reads; each has to have a radiograph.
COMMANDS = {"train": ("train", "val"), "evaluate": ("test",), "run_all": SPLITS}


def check_dataset(root: str | Path, command: str | None = None) -> list[Fault]:
    """Read a whole folder and list its faults, errors first.

    Errors make the command fail. Warnings are for the user to judge: skipped files, implausible labels, and faults that
    concern another command. Kinds of faults are those of the tables and of the listing (`duplicate identifier`,
    `identifier in two splits`, `identifier without side`, `mask without image`, `no pixel spacing`, `score out of
    range`, `score without image`, `unknown joint`, `unreadable table`, ...), and those found here.

    Args:
        root: The folder.
        command: One of `COMMANDS`; None checks everything, and allows empty splits.
    """
    root = Path(root)
    splits = COMMANDS[command] if command else SPLITS
    refused: list[Fault] = []
    found: list[Fault] = []
    try:
        dataset = RamW600.open(root, found.append)
        RamW600.open(root, refused.append, splits)
    except DataError as error:
        return [*found, Fault("no dataset", root, _message(error, root))]
    faults = [fault if fault in refused else _spared(fault) for fault in found]
    faults += _empty_splits(dataset, splits) if command else []
    faults += _links(root)
    faults += _unknown_splits(root)
    shared = _patients_in_two_splits(dataset)
    faults += shared if "train" in splits else map(_spared, shared)
    unread = {fault.path for fault in found if fault.kind == "unreadable table"}
    faults += _missing(dataset, unread)
    faults += _metadata(dataset, unread)
    faults += _contents(dataset, splits)
    return sorted(faults, key=lambda fault: (fault.severity, str(fault.path), fault.kind, fault.message))


def _spared(fault: Fault) -> Fault:
    """Downgrade a fault that the command does not encounter to a warning."""
    return replace(fault, severity="warning")


def _empty_splits(dataset: RamW600, splits: Sequence[str]) -> Iterable[Fault]:
    for split in splits:
        if not dataset.segmentation(split) and not dataset.erosion(split):
            message = (
                f"holds no {split} images; put masks into {layout.MASKS / split}, or crops into {layout.CROPS / split}"
            )
            yield Fault("empty split", dataset.root, message)


def _message(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _links(root: Path) -> Iterable[Fault]:
    inside = root.resolve()
    for folder, folders, files in os.walk(root):
        for path in (Path(folder, name) for name in sorted(folders + files)):
            if not path.is_symlink():
                continue
            if not path.exists():
                yield Fault("broken link", path, "is a broken link and is left out; copy the file itself", "warning")
            elif not path.resolve().is_relative_to(inside):
                message = f"points out of the folder, to {path.resolve()}; copy the file itself"
                yield Fault("link out of the folder", path, message, "warning")


def _unknown_splits(root: Path) -> Iterable[Fault]:
    for parent in (layout.MASKS, layout.CROPS):
        for folder in layout.list_folders(root / parent):
            if folder.name not in SPLITS:
                yield Fault("unknown split", folder, f"is not read; splits are {', '.join(SPLITS)}", "warning")


def _patients_in_two_splits(dataset: RamW600) -> Iterable[Fault]:
    tasks = ((layout.MASKS, "segmentation_split"), (layout.CROPS, "erosion_split"))
    for folder, task in tasks:
        splits: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for case in dataset.cases:
            if getattr(case, task):
                splits[case.patient][getattr(case, task)].append(case.identifier)
        for patient, found in splits.items():
            if len(found) > 1:
                where = ", ".join(f"{split}: {' '.join(found[split])}" for split in SPLITS if split in found)
                message = f"patient {patient} is in {len(found)} splits ({where}); keep a patient in one"
                yield Fault("patient in two splits", dataset.root / folder, message)


def _missing(dataset: RamW600, unread: Collection[Path]) -> Iterable[Fault]:
    """Missing files of a case; of a table that cannot be read, no row is missing."""
    root, eroded = dataset.root, dataset.anatomy.eroded_joints
    scores_known = any(case.scored for case in dataset.cases) or root / layout.SCORES not in unread
    segmentation_images = layout.list_images(root / layout.MASK_IMAGES, lambda _: None)
    for case in dataset.cases:
        if case.identifier in segmentation_images and case.mask is None:
            message = f"has no mask in {layout.MASKS}; add the mask or remove the image"
            yield Fault("image without mask", segmentation_images[case.identifier], message, "warning")
        if case.mask is not None and case.identifier not in segmentation_images:
            message = f"has no image in {layout.MASK_IMAGES}, only in {layout.SCORE_IMAGES}; copy the image"
            yield Fault("mask without image", case.mask, message, "warning")
        scored = [joint for joint in eroded if case.scores[joint.index] != NOT_SCORED]
        missing = [joint.name for joint in scored if joint.index not in case.crops]
        if missing:
            folder = root / layout.CROPS / (case.erosion_split or "") / case.identifier
            message = f"scored joints without a crop are left out by classifiers: {', '.join(missing)}; add the crops"
            yield Fault("missing crop", folder, message, "warning")
        if case.crops and not scored and scores_known:
            folder = next(iter(case.crops.values())).parent
            message = f"has no scores in {layout.SCORES.name} and is left out; add them"
            yield Fault("crop without score", folder, message, "warning")
        elif 0 < len(scored) < len(eroded):
            message = f"{case.identifier}: scores of {number_of(len(eroded) - len(scored), 'joint')} are missing"
            yield Fault("joint without score", root / layout.SCORES, message, "warning")
    if any(case.erosion_split for case in dataset.cases) and not (root / layout.BOXES).is_file():
        yield Fault("missing table", root / layout.BOXES, "no such file; joint boxes stay unknown", "warning")


def _metadata(dataset: RamW600, unread: Collection[Path]) -> Iterable[Fault]:
    path = dataset.root / layout.METADATA
    if not path.is_file():
        message = (
            "no such file; pixel spacings stay unknown and distances are in pixels. `jointwrist data import` writes it"
            " from a --table with a column spacing_mm"
        )
        yield Fault("missing table", path, message, "warning")
        return
    studies = read_spacings(path, lambda _: None)  # the faults of the table itself are listed already
    if not studies and path in unread:
        return
    for stem in sorted({parse_identifier(case.identifier).stem for case in dataset.cases} - studies.keys()):
        if not stem.startswith("EXT_"):
            yield Fault("missing metadata", path, f"has no row for study {stem}; add it", "warning")


def _contents(dataset: RamW600, splits: Sequence[str]) -> list[Fault]:
    """Read every image, mask and crop; faults in splits that are not needed are warnings."""
    reader = _Reader()
    pictures: dict[bytes, Case] = {}
    score_images = layout.list_images(dataset.root / layout.SCORE_IMAGES, lambda _: None)
    for case in tqdm(dataset.cases, desc="check", unit="case", disable=None, leave=False):
        reader.needed = bool({case.segmentation_split, case.erosion_split} & set(splits))
        image = reader.read(case.image, "unreadable image", read_image, case.image)
        if image is not None:
            reader.faults += _same_picture(case, pictures.setdefault(sha256(image.tobytes()).digest(), case))
            reader.faults += _outliers(case.image, image)
            reader.faults += _box_faults(dataset.root, case, image.shape)
        other = score_images.get(case.identifier, case.image)
        if other != case.image:
            reader.faults += _other_copy(case, image, other, reader.read(other, "unreadable image", read_image, other))
        size = None if image is None else image.shape
        if case.mask is not None:
            bits = reader.read(case.mask, "unreadable array", read_masks, case.mask, size, case.anatomy)
            if bits is not None:
                reader.faults += _empty_bones(case.mask, bits, case.anatomy)
                reader.faults += [
                    Fault(kind, case.mask, text, "warning") for kind, text in oddities(bits, case.anatomy)
                ]
                reader.faults += [] if image is None or bits.shape != size else _misplaced(case.mask, image, bits)
                reader.faults += _doubtful_spacing(dataset.root, case, bits)
        if case.truth is not None:
            reader.read(case.truth, "unreadable array", read_truth, case.truth, size)
        for joint, path in case.crops.items():
            reader.read(path, "unreadable image", load_crop, case, joint)
    return reader.faults


class _Reader:
    """Call readers and collect the faults that they raise."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        #: Whether faults in the files being read now are errors.
        self.needed = True

    def read(self, path: Path, kind: str, function: Callable[..., Value], *arguments: object) -> Value | None:
        """Return the value of a reader, or None after recording its fault, of this kind if the reader names none."""
        try:
            return function(*arguments)
        except FaultError as error:
            fault = error.fault
        except DataError as error:
            fault = Fault(kind, path, _message(error, path))
        self.faults.append(fault if self.needed else _spared(fault))
        return None


def _same_picture(case: Case, first: Case) -> Iterable[Fault]:
    if first is not case:
        message = f"shows the same picture as {first.identifier}; keep one, or both in one split"
        yield Fault("same picture twice", case.image, message, "warning")


def _outliers(path: Path, image: np.ndarray) -> Iterable[Fault]:
    radiograph = Radiograph(image)
    if without_outliers(radiograph) is not radiograph:
        message = (
            "has faulty lines, outlying grey values or a bright frame, which only prediction corrects; crop it,"
            " or export it again"
        )
        yield Fault("outlying grey values", path, message, "warning")


def _other_copy(case: Case, image: np.ndarray | None, path: Path, other: np.ndarray | None) -> Iterable[Fault]:
    if image is None or other is None:
        return
    if image.shape != other.shape:
        message = f"is {other.shape} pixels (height, width), {case.image} is {image.shape}; boxes and masks disagree"
        yield Fault("size mismatch", path, message, "warning")
    elif not np.array_equal(image, other):
        yield Fault("different copy", path, f"differs from {case.image}, which is the one that is read", "warning")


def _empty_bones(path: Path, bits: np.ndarray, anatomy: Anatomy) -> Iterable[Fault]:
    present = int(np.bitwise_or.reduce(bits, axis=None))
    empty = [bone.name for bone in anatomy.bones if not present >> bone.index & 1]
    if empty:
        yield Fault("empty mask", path, f"no pixel of {', '.join(empty)}", "warning")


def _misplaced(path: Path, image: np.ndarray, bits: np.ndarray) -> Iterable[Fault]:
    if where := misplaced(image, bits):
        message = f"the masks {where}; look at them, they may belong to another image or size"
        yield Fault("misplaced mask", path, message, "warning")


def _doubtful_spacing(root: Path, case: Case, bits: np.ndarray) -> Iterable[Fault]:
    if case.spacing_mm is None or not shows_wrist(case.anatomy):
        return
    if doubt := spacing_doubt(unpack_masks(bits, len(case.anatomy.bones)), (case.spacing_mm, case.spacing_mm)):
        message = f"{case.identifier}: {doubt}; correct it, by the factor of a resized copy or of another unit"
        yield Fault("doubtful spacing", root / layout.METADATA, message, "warning")


def _box_faults(root: Path, case: Case, size: tuple[int, ...]) -> Iterable[Fault]:
    boxes = radiograph_boxes(case, size)
    if boxes is None:
        return
    height, width = size
    for joint, (x0, y0, x1, y1) in zip(case.anatomy.joints, boxes, strict=True):
        if np.isnan(x0):
            yield Fault("missing box", root / layout.BOXES, f"{case.identifier}: no box of {joint.name}", "warning")
        elif x0 < -1 or y0 < -1 or x1 > width + 1 or y1 > height + 1:
            message = f"{case.identifier}: the box of {joint.name} reaches beyond the {width} x {height} image"
            yield Fault("box outside image", root / layout.BOXES, message, "warning")
