"""Prepare unlabelled radiographs for the insertion of erosions: segment their wrists, and keep these in a folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from jointwrist.anatomy import shows_wrist
from jointwrist.data.dicom.suitability import suitability_cautions
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.result_files import JSON_ERRORS
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.ops.wrist_scale import CARPALS
from jointwrist.renamed_names import former_arguments, former_names
from jointwrist.text import number_of

#: Side in pixels of a prepared window: that of the radiograph within these bounds.
SIDES = (640, 1024)
#: Version of the prepared files; those of other versions are prepared again.
_FORM = 1


@former_arguments(films="radiographs")
def prepare_radiographs(
    radiographs: Sequence[Path],
    folder: Path,
    predictor: Predictor,
    weights: Path,
    side: str | None = None,
    refused: Callable[[DataError], None] | None = None,
    progress: bool = False,
) -> list[Path]:
    """Segment the bones on radiographs and keep them in a subfolder of `folder` that belongs to the weights.

    Radiographs that were prepared before, of the same content and path, are skipped, so an interrupted call continues.
    Of files with the same content the first is prepared.

    Args:
        radiographs: Files.
        folder: Folder of prepared radiographs; nothing of it leaves the machine.
        predictor: Predictor that finds wrists and bones.
        weights: Weight file of the predictor.
        side: Hand on the radiographs; see `load_radiograph`.
        refused: Called with the error of a radiograph that cannot be read, shows no wrist, lacks a carpal bone, or is
            outside the weights' scope, or is a copy of another one; None raises it, but takes copies for one.
        progress: Show a progress bar.

    Returns:
        Prepared wrists in the order of the radiographs; a radiograph of both hands has two, a refused one none.
    """
    if not shows_wrist(predictor.anatomy):
        bones = f"segments the anatomy {predictor.anatomy.name}, and erosions are inserted into wrists only"
        raise DataError(f"{weights}: {bones}; give weights of wrists")
    bones_folder = folder / f"bones-{weights_key(weights)}"
    found: list[Path] = []
    first: dict[str, Path] = {}
    for radiograph in tqdm(radiographs, desc="find bones", disable=not progress, mininterval=1.0):
        try:
            content = _read(radiograph)
            other = first.setdefault(_digest(content), radiograph)
            if other == radiograph:
                found += _prepare(radiograph, content, bones_folder, predictor, side)
            elif refused is not None:
                refused(DataError(f"{radiograph}: is a copy of {other}, which is used in its place"))
        except DataError as error:
            if refused is None:
                raise
            refused(error)
    return found


def remove_others(prepared: Sequence[Path]) -> None:
    """Remove what earlier calls prepared from the folder of these files, such as a radiograph that was taken out."""
    for other in set(prepared[0].parent.glob("*.npz")) - set(prepared):
        other.unlink(missing_ok=True)  # another process may have removed it


def weights_key(weights: Path) -> str:
    """Return a hash of the content of a weight file."""
    return _digest(weights.read_bytes())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def _record(path: Path) -> dict[str, Any]:
    """Read what is kept of a prepared radiograph; nothing if there is none or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except JSON_ERRORS:
        return {}
    return found if isinstance(found, dict) else {}


def _prepare(path: Path, content: bytes, bones_folder: Path, predictor: Predictor, side: str | None) -> list[Path]:
    key = _digest(content + f"{side} {predictor.localise} {predictor.rotation} {_FORM}".encode())
    record = bones_folder / f"{key}.json"
    entry = _record(record)
    kept = [bones_folder / name for name in entry.get("wrists", [])]
    # side and patient come from the name where nothing else states them
    if entry.get("path") == str(path) and all(wrist.is_file() for wrist in kept):
        if "refused" in entry:
            raise DataError(entry["refused"])
        return kept
    try:
        wrists = [_prepared(path, result) for result in predictor(path, side)]
    except DataError as error:
        write_text(record, json.dumps({"path": str(path), "refused": str(error)}))
        raise
    names = [f"{key}-{number}.npz" for number in range(len(wrists))]
    for name, wrist in zip(names, wrists, strict=True):
        wrist.write(bones_folder / name)
    write_text(record, json.dumps({"path": str(path), "wrists": names}))
    return [bones_folder / name for name in names]


def _prepared(path: Path, result: WristResult) -> PreparedRadiograph:
    missing = [bone for bone in CARPALS if not result.found[bone]]
    if missing:
        raise DataError(f"{path}: no mask of {number_of(len(missing), 'carpal bone')}, so no erosion can be inserted")
    if outside := _outside_scope(result):
        raise DataError(f"{path}: {outside} Erosions are inserted only into radiographs within the weights' scope")
    placement = result.placement
    upright = placement.upright()
    square = max(upright.pixels.shape)
    side = int(np.clip(square, *SIDES))
    spacing = upright.spacing_mm and upright.spacing_mm * square / side
    masks = np.stack([_view(placement, mask.astype(np.float32), side) > 0.5 for mask in result.masks])
    image = _view(placement, result.radiograph.pixels, side)
    return PreparedRadiograph(
        result.name,
        patient_of(path, result.radiograph),
        result.side,
        MaskedRadiograph.of(image, masks, spacing or None),
    )


def _outside_scope(result: WristResult) -> str:
    """Say in a sentence why a radiograph is outside the weights' scope, by its header or by what it shows; or ""."""
    header = result.radiograph.header
    stated = suitability_cautions(header) if header is not None else ()
    if stated:
        return stated[0]
    findings = result.scope.findings if result.scope is not None else ()
    return f"It seems to show: {', '.join(findings)}." if findings else ""


def _view(placement: Placement, pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the radiograph's pixels in the network's orientation."""
    return replace(placement, radiograph=replace(placement.radiograph, pixels=pixels)).image(side)[0]


def patient_of(path: Path, radiograph: Radiograph) -> str:
    """Return a key for the patient: from the DICOM header, a file name PATIENT_STUDY_SIDE, the study, or else the file.

    The key is a hash, which does not name the patient.
    """
    header = radiograph.header
    stated = str(header.get("PatientID") or "") if header is not None else ""
    if stated and header.get("IssuerOfPatientID"):  # two hospitals may give one number to two patients
        stated += f"^{header.IssuerOfPatientID}"
    named = re.fullmatch(r"(.+)_[^_]+_[LRlr]", path.stem)
    known = stated or (str(path.parent / named[1]) if named else None) or radiograph.study or str(path)
    return _digest(known.encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


__getattr__ = former_names(__name__, prepare_films="prepare_radiographs")
