"""What a tool makes of an output, and how it is judged. Imported by probes in environments without jointwrist."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

OUTPUTS = {
    "seg.dcm": "DICOM segmentation (`--dicom seg`)",
    "seg_odd.dcm": "DICOM segmentation of an image whose width is no multiple of 8",
    "sr.dcm": "DICOM structured report (`--dicom sr`)",
    "pr.dcm": "DICOM presentation state (`--dicom pr`)",
    "sc.dcm": "DICOM secondary capture (`--dicom sc`)",
    "wrist_masks.seg.nrrd": "3D Slicer segmentation (`--also nrrd`)",
    "wrist_masks.nii.gz": "NIfTI stack (`--also nifti`)",
    "wrist_masks.png": "16-bit bit map, `_masks.png`",
    "wrist_masks.npz": "NumPy archive, `_masks.npz`",
    "coco/instances.json": "COCO (`--for coco`)",
    "labelme/wrist.json": "labelme (`--for labelme`)",
}


@dataclass
class Truth:
    """What the outputs of a folder hold.

    Attributes:
        folder: Where they lie.
        masks: (14, H, W) bool.
        names: Of the bones, as files name them.
        facts: Spacing in mm, boxes, probabilities and UIDs, as `outputs.write_outputs` states them.
    """

    folder: Path
    masks: np.ndarray = field(init=False)
    facts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.masks = np.load(self.folder / "truth.npy")
        self.facts = json.loads((self.folder / "truth.json").read_text())

    @property
    def names(self) -> list[str]:
        return self.facts["names"]

    def by_name(self, found: dict[str, np.ndarray]) -> np.ndarray:
        """Put masks by name into the order of the bones; a bone that is missing is empty."""
        unknown = found.keys() - set(self.names)
        if unknown:
            raise ValueError(f"names that are no bones: {sorted(unknown)}")
        return np.stack([found.get(name, np.zeros(self.masks.shape[1:], bool)) for name in self.names])


@dataclass
class Reading:
    """What a tool makes of an output.

    Attributes:
        masks: (14, H, W) bool as the tool gives them; None where the output has none, or the tool gives none.
        right: Whether the content is right, where it is no masks.
        place: Whether it lies where the radiograph lies, with its spacing; None where the output states no place.
        note: What else there is to see.
    """

    masks: np.ndarray | None = None
    right: bool | None = None
    place: bool | None = None
    note: str = ""


@dataclass
class Cell:
    """One line of the table; each entry but the last three names is yes, no or a dash."""

    output: str
    tool: str
    version: str
    opens: str
    content: str = "-"
    place: str = "-"
    overlap: str = "-"
    note: str = ""


#: (output, tool): distribution and function.
PROBES: dict[tuple[str, str], tuple[str, Callable[[Path, Truth], Reading]]] = {}


def probe(output: str, tool: str, package: str = "") -> Callable:
    """Register a function that reads an output with a tool; `package` is the distribution that has the version."""

    def register(function: Callable[[Path, Truth], Reading]) -> Callable[[Path, Truth], Reading]:
        PROBES[output, tool] = (package or tool, function)
        return function

    return register


def judge(cell: Cell, reading: Reading, truth: Truth) -> Cell:
    """Fill the entries of a line from a reading."""
    yes = {True: "yes", False: "no", None: "-"}
    right = reading.right
    if reading.masks is not None:
        several = truth.masks.sum(0) > 1
        right = reading.masks.shape == truth.masks.shape and bool((reading.masks == truth.masks).all())
        kept = reading.masks.shape == truth.masks.shape and (reading.masks == truth.masks)[:, several].all()
        cell.overlap = yes[bool(kept)]
    cell.content, cell.place, cell.note = yes[right], yes[reading.place], reading.note
    return cell


def failure(error: BaseException, folder: Path) -> str:
    """Return the last line of a message, without folders and source places."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = re.sub(r"(/[\w.+-]+)+/", "", lines[-1].replace(f"{folder}/", "")).replace("|", "/")
    return text[:140]


def run(folder: Path, tools: set[str] | None = None) -> list[Cell]:
    """Run the probes whose packages are here; `tools` chooses some."""
    truth = Truth(folder)
    cells = []
    for (output, tool), (package, function) in PROBES.items():
        if tools is not None and tool not in tools:
            continue
        try:
            version = package[1:] if package.startswith("=") else importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        try:
            cell = judge(Cell(output, tool, version, "yes"), function(folder / output, truth), truth)
        except Exception as error:  # the tool's own errors are what is asked for
            cell = Cell(output, tool, version, "no", note=failure(error, folder))
        cells.append(cell)
    return cells


def to_json(cells: list[Cell]) -> str:
    return json.dumps([asdict(cell) for cell in cells])
