"""An example of every output, of a radiograph whose height and width differ, and what must be found in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
from dicom_results import BOXES, write_radiograph

from jointwrist.anatomy import BONE_NAMES, NOT_SCORED
from jointwrist.data.export_dataset import Export
from jointwrist.data.load import load_radiograph
from jointwrist.inference.placement import Placement
from jointwrist.inference.result import WristResult
from jointwrist.outputs.annotation import drawn_result
from jointwrist.outputs.dicom_instance import save_dataset
from jointwrist.outputs.dicom_objects import BUILDERS
from jointwrist.outputs.mask_files import MASK_FILES

#: Height and width of the radiographs, and what the outputs of the second are called besides.
SIZES = {"": (160, 152), "_odd": (160, 150)}


def write_outputs(folder: Path) -> None:
    """Write all outputs, `truth.npy` and `truth.json` into a folder."""
    path, masks = write_radiograph(folder, "R", WindowCenter=2048, WindowWidth=4096)
    dataset, whole = pydicom.dcmread(path), pydicom.dcmread(path).pixel_array
    for ending, (height, width) in SIZES.items():
        dataset.Rows, dataset.Columns = height, width
        dataset.PixelData = whole[:height, :width].tobytes()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        dataset.save_as(folder / f"radiograph{ending}.dcm")
        result = predicted(folder / f"radiograph{ending}.dcm", masks[:, :height, :width])
        for kind, build in BUILDERS.items():
            save_dataset(build(result), folder / f"{kind}{ending}.dcm")
        if not ending:
            write_rest(folder, result)
            np.save(folder / "truth.npy", result.masks)
            facts = {
                "names": list(BONE_NAMES),
                "spacing": [0.15, 0.15],
                "radiograph": dataset.SOPInstanceUID,
                "boxes": result.boxes[result.scored].tolist(),
                "probabilities": result.probabilities[result.scored].tolist(),
                "found": int(result.found.sum()),
            }
            (folder / "truth.json").write_text(json.dumps(facts))


def predicted(path: Path, masks: np.ndarray) -> WristResult:
    """A prediction with these masks, erosion in two joint surfaces, and one that was not scored."""
    return WristResult(
        placement=Placement(load_radiograph(path)),
        masks=masks,
        probabilities=np.array([0.75, 0.125, 0.25, 0.5, 0.0625, np.nan], np.float32),
        scores=np.array([3, 0, 0, 1, 0, NOT_SCORED]),
        boxes=np.where(np.arange(6)[:, None] < 5, BOXES.numpy(), np.nan).astype(np.float32),
        model="example",
    )


def write_rest(folder: Path, result: WristResult) -> None:
    """Write what is no DICOM object."""
    result.save(folder, "wrist")
    np.save(folder / "overlay.npy", np.asarray(result.plot()))
    for kind in MASK_FILES.values():
        kind.save(result, folder / f"wrist{kind.ending}")
    for tool in ("coco", "labelme"):
        export = Export(folder / tool, tool)
        export.add(drawn_result(result, "wrist"))
        export.finish()
