"""Read the outputs with programs: dcmtk, dcmqi, dcm2niix, an Orthanc that is running, and tools in Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
from pathlib import Path

import numpy as np
from interop.reading import Cell, Reading, Truth, failure, judge
from orthanc import Orthanc
from PIL import Image

from jointwrist.data.load import load_radiograph

NODE_PROBES = Path(__file__).with_name("probes.mjs")


class RefusedError(Exception):
    """A program ended with an error."""


def call(*command: object, timeout: float = 120) -> str:
    """Run a program; return what it printed.

    Raises:
        RefusedError: It ended with another code than 0; the message is its last line that speaks of an error.
    """
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout)
    printed = f"{run.stdout}\n{run.stderr}"
    if run.returncode:
        lines = [line for line in printed.splitlines() if re.search("error|missing|cannot|unable", line, re.I)]
        raise RefusedError((lines or [f"exit code {run.returncode}"])[0])
    return printed


def measured(output: str, tool: str, version: str, truth: Truth, read) -> Cell:
    """Return the line of a tool that reads an output by calling `read`."""
    try:
        return judge(Cell(output, tool, version, "yes"), read(), truth)
    except Exception as error:  # the tool's own errors are what is asked for
        return Cell(output, tool, version, "no", note=failure(error, truth.folder))


def dcmtk(folder: Path) -> list[Cell]:
    """The programs of dcmtk that show images and reports."""
    truth = Truth(folder)
    work = folder / "dcmtk"
    work.mkdir(exist_ok=True)
    version = re.search(r"v(\d[\d.]+)", call("dcmdump", "--version"))[1]

    def frames() -> Reading:
        call("dcmj2pnm", "--all-frames", "+op", folder / "seg.dcm", work / "f")
        pictures = [np.asarray(Image.open(work / f"f.{number}.pgm")) for number in range(14)]
        return Reading(np.stack(pictures) > 0, note=f"a picture per bone, {max(map(np.max, pictures))} of 255 bright")

    def capture() -> Reading:
        call("dcmj2pnm", "+op", folder / "sc.dcm", work / "sc.ppm")
        shown = np.asarray(Image.open(work / "sc.ppm"))
        return Reading(right=np.array_equal(shown, np.load(folder / "overlay.npy")))

    def state() -> Reading:
        call("dcmp2pgm", "-p", folder / "pr.dcm", folder / "radiograph.dcm", work / "pr.pgm")
        shown = np.asarray(Image.open(work / "pr.pgm"), float) / 255
        wanted = load_radiograph(folder / "radiograph.dcm").pixels
        return Reading(
            right=bool(np.abs(shown - wanted).max() <= 1.5 / 255), note="the grey scale; it draws no graphics"
        )

    def report() -> Reading:
        page = call("dsr2html", folder / "sr.dcm")
        scored = len(truth.facts["boxes"])
        names = ("Probability", "Bone erosion", "Sharp/van der Heijde erosion score of joint surface")
        counts = [page.count(f"<b>{name}:</b>") for name in names]
        return Reading(right=counts == [scored, scored + 1, scored], note="a page with names and values")

    return [
        measured("seg.dcm", "dcmtk dcmj2pnm", version, truth, frames),
        measured("sr.dcm", "dcmtk dsr2html", version, truth, report),
        measured("pr.dcm", "dcmtk dcmp2pgm", version, truth, state),
        measured("sc.dcm", "dcmtk dcmj2pnm", version, truth, capture),
    ]


def dcmqi(folder: Path, programs: Path, version: str) -> list[Cell]:
    """The readers of dcmqi, which 3D Slicer uses for DICOM segmentations and reports."""
    truth = Truth(folder)
    work = folder / "dcmqi"
    work.mkdir(exist_ok=True)

    def segmentation() -> Reading:
        reader = programs / "segimage2itkimage"
        call(reader, "--inputDICOM", folder / "seg.dcm", "--outputDirectory", work, "--outputType", "nrrd")
        return Reading(right=len(list(work.glob("*.nrrd"))) == 14)

    def report() -> Reading:
        file = work / "sr.json"
        call(programs / "tid1500reader", "--inputDICOM", folder / "sr.dcm", "--outputMetadata", file)
        groups = json.loads(file.read_text())["Measurements"]
        values = [float(group["measurementItems"][0]["value"]) for group in groups if group.get("measurementItems")]
        return Reading(
            right=np.allclose(sorted(values), sorted(truth.facts["probabilities"])), note="without the boxes"
        )

    return [
        measured("seg.dcm", "dcmqi (3D Slicer)", version, truth, segmentation),
        measured("sr.dcm", "dcmqi (3D Slicer)", version, truth, report),
    ]


def dcm2niix(folder: Path, program: Path, version: str) -> list[Cell]:
    """The converter of DICOM to NIfTI."""
    import nibabel

    truth = Truth(folder)
    work = folder / "dcm2niix"
    work.mkdir(exist_ok=True)

    def segmentation() -> Reading:
        call(program, "-f", "seg", "-o", work, "-s", "y", folder / "seg.dcm")
        (file,) = work.glob("seg*.nii")
        values = np.asarray(nibabel.load(file).dataobj).squeeze()
        masks = np.moveaxis(values, -1, 0).swapaxes(1, 2) > 0
        turned = masks.shape == truth.masks.shape and bool((masks[:, ::-1] == truth.masks).all())
        return Reading(masks, note="upside down" if turned else "")

    return [measured("seg.dcm", "dcm2niix", version, truth, segmentation)]


def orthanc(folder: Path, archive: Orthanc) -> list[Cell]:
    """Frames and pictures that Orthanc renders."""
    truth = Truth(folder)
    version = json.loads(archive.get("/system"))["Version"]

    def shown(name: str, frame: int = 0) -> np.ndarray:
        number = archive.upload((folder / name).read_bytes())
        picture = folder / "shown.png"
        try:
            picture.write_bytes(archive.get(f"/instances/{number}/frames/{frame}/rendered", "image/png"))
        except urllib.error.HTTPError as error:
            raise RefusedError(f"HTTP {error.code}: {error.reason}") from None
        return np.asarray(Image.open(picture))

    def segmentation(name: str) -> Reading:
        masks = np.stack([shown(name, frame) for frame in range(14)]) > 0
        return Reading(masks[..., :3].any(-1) if masks.ndim == 4 else masks, note="one rendered frame per bone")

    def capture() -> Reading:
        return Reading(right=np.array_equal(shown("sc.dcm")[..., :3], np.load(folder / "overlay.npy")))

    tool = "Orthanc, rendered"
    return [
        measured("seg.dcm", tool, version, truth, lambda: segmentation("seg.dcm")),
        measured("seg_odd.dcm", tool, version, truth, lambda: segmentation("seg_odd.dcm")),
        measured("sr.dcm", tool, version, truth, lambda: Reading(right=shown("sr.dcm").size > 0)),
        measured("pr.dcm", tool, version, truth, lambda: Reading(right=shown("pr.dcm").size > 0)),
        measured("sc.dcm", tool, version, truth, capture),
    ]


def node(folder: Path, modules: Path) -> list[Cell]:
    """dcmjs and the adapters of Cornerstone (OHIF) in Node; `modules` is the folder that they are installed in."""
    truth = Truth(folder)
    script = modules / NODE_PROBES.name
    shutil.copyfile(NODE_PROBES, script)
    printed = subprocess.run(["node", script, folder], capture_output=True, text=True, timeout=300)
    cells = []
    for line in printed.stdout.splitlines():
        if line.startswith("{"):
            read = json.loads(line)
            cell = Cell(
                read["output"], read["tool"], read["version"], read["opens"], note=read["note"].replace("|", "/")
            )
            cell.content = read.get("content", "-")
            if read.get("masks"):
                masks = np.fromfile(read["masks"], np.uint8).reshape(truth.masks.shape) > 0
                cell = judge(cell, Reading(masks, note=cell.note), truth)
            elif read.get("boxes") is not None:
                boxes = np.array(read["boxes"])
                cell.content = "yes" if len(boxes) == len(truth.facts["boxes"]) else "no"
                cell.place = "yes" if cell.content == "yes" and np.allclose(boxes, truth.facts["boxes"]) else "no"
            cells.append(cell)
    if not cells:
        raise RuntimeError(printed.stderr[-500:])
    return cells
