"""Read the outputs with Python packages: `python -m interop.probes FOLDER` prints lines of the table as JSON.

Each probe goes by the package's own documented way and imports nothing of jointwrist, so that it runs where that is not
installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from interop.reading import PROBES, Reading, Truth, probe, run, to_json

__all__ = ["PROBES", "run"]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def from_bits(bits: np.ndarray) -> np.ndarray:
    """Bit b of a (H, W) map is bone b; a map of another type than 16 bits has lost some."""
    if bits.dtype != np.uint16 or bits.ndim != 2:
        raise ValueError(f"gives {bits.dtype} of {' x '.join(map(str, bits.shape))}, no 16-bit map")
    return np.stack([(bits >> bone) & 1 for bone in range(14)]).astype(bool)


@probe("seg.dcm", "pydicom")
@probe("seg_odd.dcm", "pydicom")
def pydicom_seg(path: Path, truth: Truth) -> Reading:
    import pydicom

    seg = pydicom.dcmread(path)
    masks = seg.pixel_array.astype(bool)
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    right = np.allclose(measures.PixelSpacing, truth.facts["spacing"])
    if path.stem.endswith("odd"):
        return Reading(right=bool((masks == truth.masks[..., : masks.shape[2]]).all()), place=right)
    return Reading(masks, place=right)


@probe("seg.dcm", "highdicom")
def highdicom_seg(path: Path, truth: Truth) -> Reading:
    import highdicom as hd

    seg = hd.seg.segread(path)
    pixels = seg.get_pixels_by_source_instance([seg.get_source_image_uids()[0][2]])
    return Reading(np.moveaxis(pixels[0], -1, 0).astype(bool), note="by source image; it has no place in space")


@probe("seg.dcm", "SimpleITK")
@probe("sc.dcm", "SimpleITK")
@probe("wrist_masks.seg.nrrd", "SimpleITK")
@probe("wrist_masks.nii.gz", "SimpleITK")
@probe("wrist_masks.png", "SimpleITK")
def simpleitk(path: Path, truth: Truth) -> Reading:
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image)
    spacing = np.allclose(image.GetSpacing()[:2], truth.facts["spacing"][::-1])
    place = spacing and np.allclose(image.GetOrigin(), 0)
    if path.suffix == ".dcm":
        return Reading(right=captured(values[0], path))
    if path.suffix == ".png":
        return Reading(from_bits(values), note="spacing 1, as of every picture")
    if path.suffix == ".nrrd":
        names = [image.GetMetaData(f"Segment{number}_Name") for number in range(values.shape[-1])]
        found = {name: values[0, ..., number] > 0 for number, name in enumerate(names)}
        return Reading(truth.by_name(found), place=place and np.allclose(image.GetDirection(), IDENTITY))
    return Reading(values[:, 0] > 0, place=place and np.allclose(image.GetDirection(), np.eye(4).ravel()))


def captured(values: np.ndarray, path: Path) -> bool:
    """Whether a picture is the overlay as it was drawn."""
    return np.array_equal(values, np.load(path.with_name("overlay.npy")))


@probe("wrist_masks.seg.nrrd", "slicerio")
def slicerio_seg(path: Path, truth: Truth) -> Reading:
    import slicerio

    segmentation = slicerio.read_segmentation(str(path))
    voxels = segmentation["voxels"]  # (layer, x, y, 1)
    found = {
        segment["name"]: (voxels[segment["layer"], ..., 0] == segment["labelValue"]).T
        for segment in segmentation["segments"]
    }
    matrix = np.array(segmentation["ijkToLPS"])
    height, width = truth.facts["spacing"]
    colours = all("color" in segment for segment in segmentation["segments"])
    return Reading(
        truth.by_name(found),
        place=np.allclose(matrix, np.diag([width, height, 1, 1])),
        note="names and colours" if colours else "names without colours",
    )


@probe("wrist_masks.seg.nrrd", "pynrrd")
def pynrrd_seg(path: Path, truth: Truth) -> Reading:
    import nrrd

    values, header = nrrd.read(str(path))
    found = {
        header[f"Segment{number}_Name"]: values[int(header[f"Segment{number}_Layer"]), ..., 0].T > 0
        for number in range(len(values))
    }
    height, width = truth.facts["spacing"]
    place = np.allclose(header["space directions"][1:], np.diag([width, height, 1]))
    return Reading(truth.by_name(found), place=place, note="names and colours in the header")


@probe("wrist_masks.nii.gz", "nibabel")
def nibabel_stack(path: Path, truth: Truth) -> Reading:
    import nibabel

    image = nibabel.load(path)
    height, width = truth.facts["spacing"]
    place = np.allclose(image.affine, np.diag([-width, -height, 1, 1]))
    masks = np.asarray(image.dataobj)[:, :, 0].transpose(2, 1, 0) > 0
    return Reading(masks, place=place, note="order of the bones by the documentation; no names")


@probe("wrist_masks.nii.gz", "MONAI", "monai")
@probe("wrist_masks.seg.nrrd", "MONAI", "monai")
def monai_load(path: Path, truth: Truth) -> Reading:
    from monai.transforms import LoadImage

    image = LoadImage(image_only=True, ensure_channel_first=True)(str(path))
    values = np.asarray(image)
    if path.suffix == ".nrrd":
        return Reading(values[..., 0].transpose(0, 2, 1) > 0)
    height, width = truth.facts["spacing"]
    place = np.allclose(np.asarray(image.affine), np.diag([-width, -height, 1, 1]))
    return Reading(values[..., 0].transpose(0, 2, 1) > 0, place=place)


@probe("wrist_masks.png", "Pillow", "pillow")
def pillow_bits(path: Path, truth: Truth) -> Reading:
    from PIL import Image

    return Reading(from_bits(np.asarray(Image.open(path))))


@probe("wrist_masks.png", "OpenCV", "opencv-python-headless")
def opencv_bits(path: Path, truth: Truth) -> Reading:
    import cv2

    usual = cv2.imread(str(path))
    return Reading(
        from_bits(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)),
        note=f"with IMREAD_UNCHANGED; by default {usual.shape[2]} channels of {usual.dtype}, which lose the masks",
    )


@probe("wrist_masks.npz", "NumPy", "numpy")
def numpy_bits(path: Path, truth: Truth) -> Reading:
    with np.load(path) as archive:
        assert archive["names"].tolist() == truth.names
        return Reading(from_bits(archive["bits"]), note="with names")


@probe("coco/instances.json", "pycocotools")
def pycocotools_masks(path: Path, truth: Truth) -> Reading:
    from pycocotools.coco import COCO

    coco = COCO(str(path))
    names = {entry["id"]: entry["name"] for entry in coco.loadCats(coco.getCatIds())}
    found = {names[drawn["category_id"]]: coco.annToMask(drawn) > 0 for drawn in coco.loadAnns(coco.getAnnIds())}
    return Reading(truth.by_name(found), note="names and colours")


@probe("labelme/wrist.json", "labelme")
def labelme_masks(path: Path, truth: Truth) -> Reading:
    from labelme import utils

    masks = {name: np.zeros(truth.masks.shape[1:], bool) for name in truth.names}
    for shape in json.loads(path.read_text())["shapes"]:
        mask = utils.shape_to_mask(masks[shape["label"]].shape, shape["points"], shape["shape_type"])
        masks[shape["label"]] |= mask
    found = truth.by_name(masks)
    missing, more = int((truth.masks & ~found).sum()), int((found & ~truth.masks).sum())
    share = 100 * (missing + more) / truth.masks.sum()
    return Reading(found, note=f"it fills polygons with their border: {share:.1f} % of the pixels differ")


@probe("sr.dcm", "highdicom")
def report(path: Path, truth: Truth) -> Reading:
    import highdicom as hd

    groups = hd.sr.srread(path).content.get_planar_roi_measurement_groups()
    boxes = [np.concatenate([group.roi.value.min(0), group.roi.value.max(0)]) for group in groups]
    values = [group.get_measurements()[0].value for group in groups]
    return Reading(
        right=np.allclose(values, truth.facts["probabilities"]),
        place=np.allclose(boxes, truth.facts["boxes"], atol=1e-3),
        note="boxes and probabilities",
    )


@probe("pr.dcm", "pydicom")
def presentation_state(path: Path, truth: Truth) -> Reading:
    import pydicom
    from matplotlib.path import Path as Polygon

    state = pydicom.dcmread(path)
    layers = {layer.GraphicLayer: layer.GraphicLayerDescription for layer in state.GraphicLayerSequence}
    height, width = truth.masks.shape[1:]
    y, x = np.mgrid[:height, :width] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], 1)
    masks = np.zeros(truth.masks.shape, bool)
    for annotation in state.GraphicAnnotationSequence:
        if annotation.GraphicLayer.startswith("BONE"):
            assert layers[annotation.GraphicLayer]
            mask = masks[int(annotation.GraphicLayer.split()[1]) - 1]
            for item in annotation.GraphicObjectSequence:
                line = np.reshape(item.GraphicData, (-1, 2))
                mask ^= Polygon(line, closed=True).contains_points(centres).reshape(mask.shape)
    return Reading(masks, note="outlines, filled; names and boxes as texts and lines")


@probe("sc.dcm", "pydicom")
def secondary_capture(path: Path, truth: Truth) -> Reading:
    import pydicom

    return Reading(right=captured(pydicom.dcmread(path).pixel_array, path))


@probe("seg.dcm", "itkwasm-dicom")
def itkwasm_seg(path: Path, truth: Truth) -> Reading:
    from itkwasm_dicom import read_segmentation

    return Reading(np.asarray(read_segmentation(str(path))[0].data) > 0)


@probe("sr.dcm", "itkwasm-dicom")
def itkwasm_report(path: Path, truth: Truth) -> Reading:
    from itkwasm_dicom import structured_report_to_text

    text = structured_report_to_text(str(path))
    return Reading(right=text.count("Probability:") >= 5 or text.count("Probability") >= 5, note="as text")


@probe("pr.dcm", "itkwasm-dicom")
def itkwasm_state(path: Path, truth: Truth) -> Reading:
    from itkwasm_dicom import apply_presentation_state_to_image

    image = apply_presentation_state_to_image(str(path.with_name("radiograph.dcm")), str(path))[1]
    return Reading(right=np.asarray(image.data).size > 0, note="grey scale without the outlines")


if __name__ == "__main__":
    print(to_json(run(Path(sys.argv[1]))))
