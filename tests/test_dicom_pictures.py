"""Presentation state and secondary capture of a phantom wrist: outlines on the masks' edges, the image's own grey."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import programs
import pydicom
import pytest
from dicom_results import SIZE, Recall, assert_valid, write_radiograph
from matplotlib.path import Path as Polygon
from PIL import Image
from scipy.ndimage import distance_transform_edt

from jointwrist.anatomy import BONES
from jointwrist.data.dicom.read import read_dicom
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.ops.outlines import closed_outlines
from jointwrist.outputs import dicom_pr
from jointwrist.outputs.dicom_instance import save_dataset
from jointwrist.outputs.dicom_pr import build_pr
from jointwrist.outputs.dicom_sc import build_sc
from jointwrist.outputs.overlay import draw_overlay

pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")


@pytest.fixture(scope="module", params=["L", "R"])
def case(request, tmp_path_factory):
    """A radiograph, its prediction, and the objects as they are read back from files."""
    folder = tmp_path_factory.mktemp(f"pictures_{request.param}")
    path, masks = write_radiograph(folder, request.param)
    result = Predictor(Recall(masks, request.param), image_size=SIZE, name="recall", postprocess=False, localise=False)(
        path
    ).single()
    for name, build in (("pr", build_pr), ("sc", build_sc)):
        for deidentify in (False, True):
            save_dataset(build(result, deidentify), folder / f"{name}_{deidentify}.dcm")
    return SimpleNamespace(folder=folder, radiograph=path, masks=masks, result=result)


def graphics(state):
    """Points of every polyline, and texts, by the description of their layer."""
    names = {layer.GraphicLayer: layer.GraphicLayerDescription for layer in state.GraphicLayerSequence}
    lines, texts = {}, {}
    for annotation in state.GraphicAnnotationSequence:
        name = names[annotation.GraphicLayer]
        objects = annotation.get("GraphicObjectSequence") or []
        lines[name] = [np.reshape(item.GraphicData, (-1, 2)).astype(float) for item in objects]
        texts[name] = [item.UnformattedTextValue for item in annotation.TextObjectSequence]
    return lines, texts


def filled(lines, shape):
    """Pixels whose centres lie within the lines, holes left out."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], 1)
    inside = np.zeros(len(centres), int)
    for line in lines:
        inside += Polygon(line, closed=True).contains_points(centres)
    return (inside % 2 == 1).reshape(shape)


def test_outlines_enclose_the_masks_and_lie_on_their_edges(case):
    lines, texts = graphics(pydicom.dcmread(case.folder / "pr_False.dcm"))
    shape = case.masks.shape[1:]
    for bone in BONES:
        mask = case.masks[bone.index]
        np.testing.assert_array_equal(filled(lines[bone.display], shape), mask)
        assert texts[bone.display] == [bone.display]
        # pixel corners where the mask ends, in coordinates of the image's corner
        padded = np.pad(mask, 1)
        corners = [padded[y : y + shape[0] + 1, x : x + shape[1] + 1] for y in (0, 1) for x in (0, 1)]
        edge = np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)
        fine = np.ones((10 * shape[0] + 1, 10 * shape[1] + 1), bool)
        fine[::10, ::10] = ~edge
        for axis in (0, 1):  # edges between neighbouring pixels, a tenth of a pixel fine
            ends = np.diff(padded, axis=axis)
            ends = ends[:, 1:-1] if axis == 0 else ends[1:-1]
            for y, x in np.argwhere(ends):
                if axis == 0:
                    fine[10 * y, 10 * x : 10 * x + 11] = False
                else:
                    fine[10 * y : 10 * y + 11, 10 * x] = False
        distance = distance_transform_edt(fine) / 10
        for line in lines[bone.display]:
            steps = np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(line)])
            at = np.clip(np.rint(10 * steps).astype(int), 0, np.array(fine.shape[::-1]) - 1)
            assert distance[at[:, 1], at[:, 0]].max() <= 0.5


def test_joint_boxes_and_calls_are_named(case):
    lines, texts = graphics(pydicom.dcmread(case.folder / "pr_False.dcm"))
    eroded = case.result.scored & (case.result.probabilities >= case.result.threshold)
    healthy = case.result.scored & ~eroded
    for name, chosen in (("Eroded joint surfaces", eroded), ("Healthy joint surfaces", healthy)):
        boxes = np.array([[*line.min(0), *line.max(0)] for line in lines[name]])
        wanted = np.clip(case.result.boxes[chosen], 0, SIZE)
        np.testing.assert_allclose(boxes, wanted, atol=1e-3)
        assert len(texts[name]) == chosen.sum() and all("(probability 0." in text for text in texts[name])
    assert any("not a medical device" in text for text in texts["What this is"])


def test_holes_pieces_and_frame_are_outlined(monkeypatch):
    mask = np.zeros((40, 50), bool)
    mask[0:12, 0:9] = mask[20:40, 30:50] = mask[15, 3] = True
    mask[25:30, 35:44] = False
    lines = [line + 0.5 for line in closed_outlines(mask)]
    assert len(lines) == 4
    assert max(len(line) for line in lines) == 9, "straight runs need no points of their own"
    np.testing.assert_array_equal(filled(lines, mask.shape), mask)
    monkeypatch.setattr(dicom_pr, "MAX_POINTS", 4)
    parts = list(dicom_pr._parts(lines[0]))
    assert max(map(len, parts)) <= 4
    np.testing.assert_array_equal(np.concatenate([parts[0], *(part[1:] for part in parts[1:])]), lines[0])
    assert all((a[-1] == b[0]).all() for a, b in pairwise(parts))


def lut_item(first):
    """A table of 12-bit entries that saturates half-way."""
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [4096, first, 12])
    item.add_new("LUTData", "US", [min(4095, 2 * value) for value in range(4096)])
    return item


@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": 2048, "WindowWidth": 4096},
        {"WindowCenter": 1500, "WindowWidth": 1800},
        {"WindowCenter": 1500, "WindowWidth": 1800, "PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": 400, "WindowWidth": 900, "RescaleSlope": 0.5, "RescaleIntercept": -100},
        {"VOILUTSequence": "lut", "PhotometricInterpretation": "MONOCHROME1"},
        {"VOILUTSequence": "signed lut", "RescaleSlope": 1, "RescaleIntercept": -2048},
    ],
    ids=["full", "window", "inverse", "rescaled", "lut", "signed"],
)
def test_the_state_keeps_the_radiographs_grey_scale(tmp_path, attributes):
    program = programs.need("dcmp2pgm", "dcmtk")
    if attributes.get("VOILUTSequence"):
        first = -2048 if "signed" in attributes["VOILUTSequence"] else 0
        attributes = attributes | {"VOILUTSequence": pydicom.Sequence([lut_item(first)])}
    path, masks = write_radiograph(tmp_path, "R", **attributes)
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    state = save_dataset(build_pr(result), tmp_path / "pr.dcm")
    assert_valid([state])
    run = subprocess.run([program, "-p", state, path, tmp_path / "shown.pgm"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shown = np.asarray(Image.open(tmp_path / "shown.pgm"), float) / 255
    np.testing.assert_allclose(shown, result.radiograph.pixels, atol=1.5 / 255)


def modality_item(bits):
    """A table that inverts 12-bit values, with entries of a number of bits."""
    item = pydicom.Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4096, 0, bits], "US"
    item.add_new("LUTData", "OW", (np.arange(4095, -1, -1) << (bits - 12)).astype("<u2").tobytes())
    return item


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
def test_the_state_keeps_the_modality_table(tmp_path, bits, big_endian):
    program = programs.need("dcmp2pgm", "dcmtk")
    window = {"WindowCenter": 2**bits / 2, "WindowWidth": 2**bits}
    path, masks = write_radiograph(tmp_path, "R", ModalityLUTSequence=pydicom.Sequence([modality_item(bits)]), **window)
    if big_endian:
        subprocess.run([programs.need("dcmconv", "dcmtk"), "+tb", path, path], check=True)
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    state = save_dataset(build_pr(result), tmp_path / "pr.dcm")
    assert pydicom.dcmread(state).ModalityLUTSequence[0].LUTDescriptor[2] == 16
    if bits == 16:  # dciodvfy wants entries up to the largest of 16 bits; those of this table have a unit
        assert_valid([state])
    run = subprocess.run([program, "-p", state, path, tmp_path / "shown.pgm"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shown = np.asarray(Image.open(tmp_path / "shown.pgm"), float) / 255
    np.testing.assert_allclose(shown, result.radiograph.pixels, atol=1.5 / 255)


@pytest.mark.parametrize(
    "attributes",
    [
        {"RescaleSlope": 2}, {"RescaleIntercept": 2}, {"RescaleSlope": "", "RescaleIntercept": ""},
        {"ModalityLUTSequence": pydicom.Sequence([]), "VOILUTSequence": pydicom.Sequence([])},
        {"WindowCenter": [1, 2], "WindowWidth": 500},
    ],
    ids=["slope", "intercept", "empty rescaling", "empty tables", "two centres"],
)  # fmt: skip
def test_incomplete_attributes_of_the_grey_scale_are_left_out(tmp_path, attributes):
    path, masks = write_radiograph(tmp_path, "R", **attributes)
    state = build_pr(Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single())
    assert_valid([save_dataset(state, tmp_path / "pr.dcm")])
    item = state.SoftcopyVOILUTSequence[0]
    assert not set(attributes) & {element.keyword for element in state} and "VOILUTSequence" not in item
    assert item["WindowCenter"].VM == item["WindowWidth"].VM == 1


@pytest.mark.parametrize(("function", "kept"), [("LINEAR", False), ("LINEAR_EXACT", True), ("SIGMOID", True)])
def test_a_narrow_window_is_kept_where_its_function_allows_it(tmp_path, function, kept):
    rescaling = {"RescaleSlope": "0.0001", "RescaleIntercept": 0}
    path, masks = write_radiograph(
        tmp_path, "R", WindowCenter="0.2", WindowWidth="0.4", VOILUTFunction=function, **rescaling
    )
    state = build_pr(Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single())
    assert (state.SoftcopyVOILUTSequence[0].WindowWidth == 0.4) == kept


@pytest.mark.parametrize("window", [{"WindowCenter": "2,5"}, {"WindowWidth": 0, "WindowCenter": 5}])
def test_a_window_that_cannot_be_used_is_left_out(tmp_path, window):
    path, masks = write_radiograph(tmp_path, "R")
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    for name, value in window.items():
        result.radiograph.header[name] = pydicom.DataElement(name, "LO" if isinstance(value, str) else "DS", value)
    assert "SoftcopyVOILUTSequence" not in build_pr(result)


@pytest.mark.parametrize(
    ("attributes", "window"),
    [
        ({}, 0),
        ({"BitsStored": 16, "HighBit": 15}, 0),
        ({"PhotometricInterpretation": "MONOCHROME1"}, 0),
        ({"RescaleSlope": "0.001", "RescaleIntercept": "-2"}, 0),
        ({"WindowCenter": [5000, 1500], "WindowWidth": [10, 1800]}, 0),
        ({"WindowCenter": [2048, 1500], "WindowWidth": [4096, 1800]}, 1),
        ({"WindowCenter": 2048, "WindowWidth": 0}, 0),
    ],
    ids=["none", "16 bits", "inverse", "rescaled", "blank", "second", "invalid"],
)
def test_the_state_has_the_one_window_that_was_used(tmp_path, attributes, window):
    """The definition of a linear window (PS3.3, C.11.2.1.2) gives the grey values of the radiograph."""
    path, masks = write_radiograph(tmp_path, "R", **attributes)
    radiograph = read_dicom(path, window=window)
    predictor = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)
    state = build_pr(predictor.predict([Placement(radiograph)])[0])
    assert_valid([save_dataset(state, tmp_path / "pr.dcm")])
    item = state.SoftcopyVOILUTSequence[0]
    center, width = float(item.WindowCenter), float(item.WindowWidth)
    values = pydicom.dcmread(path).pixel_array * float(state.get("RescaleSlope", 1)) + float(
        state.get("RescaleIntercept", 0)
    )
    shown = np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    inverse = state.PresentationLUTShape == "INVERSE"
    np.testing.assert_allclose(1 - shown if inverse else shown, radiograph.pixels, atol=1e-4)


def test_pixels_that_are_not_square_are_shown_so(tmp_path):
    path, masks = write_radiograph(tmp_path, "R")
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    result = replace(result, placement=Placement(replace(result.radiograph, aspect=2.0)))
    area = build_pr(result).DisplayedAreaSelectionSequence[0]
    assert list(area.PresentationPixelAspectRatio) == [2000, 1000]


def test_the_capture_is_the_overlay(case):
    capture = pydicom.dcmread(case.folder / "sc_False.dcm")
    np.testing.assert_array_equal(capture.pixel_array, np.asarray(draw_overlay(case.result)))
    source = pydicom.dcmread(case.radiograph)
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert (capture.BurnedInAnnotation, capture.StudyInstanceUID) == ("YES", source.StudyInstanceUID)
    assert "PixelSpacing" not in capture and "ImagerPixelSpacing" not in capture


def test_dciodvfy_finds_no_error_and_no_needless_patient_data(case):
    for name in ("pr", "sc"):
        bare = (case.folder / f"{name}_True.dcm").read_bytes()
        for secret in (b"Doe", b"secret-17", b"19500101", b"20200131", b"A-77", b"Roe", b"Secret"):
            assert secret not in bare
        assert b"Doe^Jane" in (case.folder / f"{name}_False.dcm").read_bytes()
    programs.need("dciodvfy", "dicom3tools")
    assert_valid(sorted(case.folder.glob("*_*.dcm")))
