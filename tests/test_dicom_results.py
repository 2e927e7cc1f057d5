"""DICOM segmentation and structured report of a phantom wrist: the right pixels and side, valid, no needless data."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import numpy as np
import programs
import pydicom
import pytest
import torch
from dicom_results import BOXES, SIZE, Recall, assert_valid, write_radiograph
from PIL import Image
from pydicom.sr.codedict import codes

from jointwrist.anatomy import BONES, JOINTS, NOT_SCORED, OVERLAP_PAIRS
from jointwrist.cli import main
from jointwrist.data.dicom.header import STORAGE_CLASSES
from jointwrist.data.load import load_radiograph
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.outputs.dicom_seg import build_seg
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights

hd = pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")


@pytest.fixture(scope="module", params=["L", "R"])
def case(request, tmp_path_factory):
    """A prediction, the files written of it, and the masks that must be in them."""
    folder = tmp_path_factory.mktemp(f"dicom_{request.param}")
    path, masks = write_radiograph(folder, request.param)
    result = Predictor(Recall(masks, request.param), image_size=SIZE, name="recall", postprocess=False, localise=False)(
        path
    ).single()
    for deidentify in (False, True):
        result.save_seg(folder / f"seg_{deidentify}.dcm", deidentify)
        result.save_sr(folder / f"sr_{deidentify}.dcm", deidentify)
    return SimpleNamespace(folder=folder, radiograph=path, masks=masks, result=result, side=request.param)


def test_highdicom_reads_the_masks_back(case):
    seg = hd.seg.segread(case.folder / "seg_False.dcm")
    source = pydicom.dcmread(case.radiograph)
    pixels = seg.get_pixels_by_source_instance([source.SOPInstanceUID])
    np.testing.assert_array_equal(np.moveaxis(pixels[0], -1, 0), case.masks)
    assert sum((case.masks[a] & case.masks[b]).any() for a, b in OVERLAP_PAIRS) >= 3, "the phantom must overlap"
    assert seg.SegmentationType == "BINARY"
    assert (seg.Rows, seg.Columns) == (source.Rows, source.Columns)
    assert list(seg.PatientOrientation) == list(source.PatientOrientation)
    assert spacing_of(seg) == list(source.ImagerPixelSpacing) == [0.15, 0.15]


def spacing_of(seg):
    """Pixel spacing that a segmentation states for all frames, or None."""
    measures = seg.SharedFunctionalGroupsSequence[0].get("PixelMeasuresSequence")
    return list(measures[0].PixelSpacing) if measures else None


@pytest.mark.parametrize(
    ("attributes", "spacing"),
    [
        ({"PixelSpacing": [0.14, 0.14]}, [0.14, 0.14]),
        ({"ImagerPixelSpacing": None}, None),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, [0.1, 0.2]),
        ({"ImagerPixelSpacing": [0.1, 0.9]}, None),
    ],
)
def test_spacing_is_that_of_the_radiograph(tmp_path, attributes, spacing):
    path, masks = write_radiograph(tmp_path, "R", **attributes)
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    assert spacing_of(pydicom.dcmread(result.save_seg(tmp_path / "seg.dcm"))) == spacing
    assert_valid([tmp_path / "seg.dcm"])


def test_spacing_that_was_asked_for_is_in_the_result(tmp_path):
    path, masks = write_radiograph(tmp_path, "R", ImagerPixelSpacing=None)
    radiograph = load_radiograph(path, spacing_mm=0.2)
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False).predict([Placement(radiograph)])[0]
    assert spacing_of(pydicom.dcmread(result.save_seg(tmp_path / "seg.dcm"))) == [0.2, 0.2]


def test_masks_of_a_field_lie_in_the_geometry_of_the_whole_radiograph(case, tmp_path):
    whole = load_radiograph(case.radiograph)
    left, top, right, bottom = field = (20, 30, 140, 150)
    predictor = Predictor(
        Recall(case.masks[:, top:bottom, left:right], case.side),
        image_size=120,
        name="recall",
        postprocess=False,
        localise=False,
    )
    result = predictor.predict([Placement(whole, crop=field)])[0]
    inside = np.zeros_like(case.masks)
    inside[:, top:bottom, left:right] = case.masks[:, top:bottom, left:right]
    result.save_seg(tmp_path / "seg.dcm")
    source = pydicom.dcmread(case.radiograph)
    seg = hd.seg.segread(tmp_path / "seg.dcm")
    pixels = seg.get_pixels_by_source_instance([source.SOPInstanceUID])
    np.testing.assert_array_equal(np.moveaxis(pixels[0], -1, 0), inside)
    assert spacing_of(seg) == list(source.ImagerPixelSpacing)
    assert (inside != case.masks).any()
    result.save_sr(tmp_path / "sr.dcm")
    groups = hd.sr.srread(tmp_path / "sr.dcm").content.get_planar_roi_measurement_groups()
    for joint, group in enumerate(groups):
        box = BOXES[joint].numpy()
        mirrored = np.array([120 - box[2], box[1], 120 - box[0], box[3]])
        expected = (mirrored if case.side == "L" else box) + np.array([left, top, left, top])
        np.testing.assert_allclose(
            np.concatenate([group.roi.value.min(0), group.roi.value.max(0)]), expected, atol=1e-3
        )


def test_pydicom_alone_reads_the_masks_back(case):
    seg = pydicom.dcmread(case.folder / "seg_False.dcm")
    np.testing.assert_array_equal(seg.pixel_array.astype(bool), case.masks)
    order = [
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in seg.PerFrameFunctionalGroupsSequence
    ]
    assert order == list(range(1, 15))


def test_segments_are_named_coded_and_sided(case):
    seg = hd.seg.segread(case.folder / "seg_False.dcm")
    side = {"L": codes.SCT.Left, "R": codes.SCT.Right}[case.side]
    for bone in BONES:
        segment = seg.get_segment_description(bone.index + 1)
        scheme, value, _ = bone.code
        assert segment.segment_label == bone.display
        assert (segment.segmented_property_type.scheme_designator, segment.segmented_property_type.value) == (
            scheme,
            value,
        )
        modifiers = segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
        assert [hd.sr.CodedConcept.from_dataset(item) for item in modifiers] == [side]
        assert segment.algorithm_type == hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
    pair = seg.get_segment_description(6)
    assert [part.meaning for part in pair.primary_anatomic_structures] == ["Triquetral bone", "Pisiform bone"]
    assert len({bone.code for bone in BONES}) == 14


def test_codes_of_dicom_mean_what_dicom_says():
    known = {
        "Distal Radius": codes.SCT.DistalRadius,
        "Distal Ulna": codes.SCT.DistalUlna,
        "Scaphoid": codes.SCT.Scaphoid,
        "Hand bone": codes.SCT.HandBone,
    }
    ours = {meaning: (scheme, value) for scheme, value, meaning in (bone.code for bone in BONES)}
    for meaning, term in known.items():
        assert ours[meaning] == (term.scheme_designator, term.value)
        assert term.meaning == meaning


def test_structured_report_holds_the_six_findings(case):
    report = hd.sr.srread(case.folder / "sr_False.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 5
    for joint, group in zip(JOINTS, groups, strict=False):
        (site,) = group.finding_sites
        assert (site.value.scheme_designator, site.value.value) == BONES[joint.bone].code[:2]
        assert site.laterality == {"L": codes.SCT.Left, "R": codes.SCT.Right}[case.side]
        (probability,) = group.get_measurements(codes.DCM.Probability)
        assert probability.value == pytest.approx(case.result.probabilities[joint.index], abs=1e-5)
        present, score = group.get_qualitative_evaluations()
        assert present.value == (codes.SCT.Present if probability.value >= 0.5 else codes.SCT.Absent)
        assert score.value.meaning == f"Score {['3-5', '0', '1'][joint.index % 3]}"
        corners = group.roi.value
        np.testing.assert_allclose(corners.min(0), case.result.boxes[joint.index, :2], atol=1e-3)
        np.testing.assert_allclose(corners.max(0), case.result.boxes[joint.index, 2:], atol=1e-3)
    (missing,) = report.content.get_image_measurement_groups()
    assert case.result.scores[5] == NOT_SCORED
    assert [item.value.meaning for item in missing.get_qualitative_evaluations()] == ["Not assessed"]
    assert not missing.get_measurements()
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_the_report_that_people_open_names_every_value(case):
    program = programs.need("dsr2html", "dcmtk")
    html = subprocess.run([program, case.folder / "sr_False.dcm"], capture_output=True, text=True, check=True).stdout
    for name in (
        "Probability", "Probability from which erosion counts as present", "Bone erosion",
        "Sharp/van der Heijde erosion score of joint surface", "Image Region",
    ):  # fmt: skip
        assert html.count(f"<b>{name}:</b>") == (6 if name == "Bone erosion" else 5), name


def test_results_belong_to_study_and_image(case):
    source = pydicom.dcmread(case.radiograph)
    seg, report = (pydicom.dcmread(case.folder / name) for name in ("seg_False.dcm", "sr_False.dcm"))
    for dataset in (seg, report):
        assert dataset.StudyInstanceUID == source.StudyInstanceUID
        assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
        for name in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyDate"):
            assert dataset[name].value == source[name].value
    assert seg.SeriesInstanceUID != report.SeriesInstanceUID
    reference = seg.ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == source.SeriesInstanceUID
    assert reference.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_nothing_of_the_patient_but_what_dicom_requires(case):
    for name in ("seg", "sr"):
        required = (case.folder / f"{name}_False.dcm").read_bytes()
        bare = (case.folder / f"{name}_True.dcm").read_bytes()
        assert b"Doe^Jane" in required and b"A-77" in required
        for secret in (b"Secret", b"secret study", b"070Y", b"Poe^Pat"):
            assert secret not in required
        for secret in (b"Doe", b"secret-17", b"19500101", b"20200131", b"A-77", b"Roe", b"Secret"):
            assert secret not in bare
        assert pydicom.dcmread(case.folder / f"{name}_True.dcm").PatientIdentityRemoved == "YES"


def test_deidentified_results_have_new_uids_that_agree(case):
    source = pydicom.dcmread(case.radiograph)
    seg, report = (pydicom.dcmread(case.folder / f"{name}_True.dcm") for name in ("seg", "sr"))
    for file in ("seg_True.dcm", "sr_True.dcm"):
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            assert source[name].value.encode() not in (case.folder / file).read_bytes()
    assert seg.StudyInstanceUID == report.StudyInstanceUID
    series = seg.ReferencedSeriesSequence[0]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == seg.StudyInstanceUID
    assert evidence.ReferencedSeriesSequence[0].SeriesInstanceUID == series.SeriesInstanceUID
    assert (
        evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        == series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    )


def test_each_probability_names_the_box_that_it_was_inferred_from(case):
    """Cornerstone's adapter looks for the coordinates in the group's first number, highdicom in the group itself."""
    report = pydicom.dcmread(case.folder / "sr_False.dcm")
    groups = [item for item in findings(report) if item.ValueType == "CONTAINER"]
    assert len(groups) == 6
    for group in groups[:5]:
        items = {item.ValueType: item for item in reversed(group.ContentSequence)}  # the first of each type
        (coordinates,) = items["NUM"].ContentSequence
        assert coordinates.RelationshipType == "INFERRED FROM"
        assert (coordinates.GraphicType, coordinates.GraphicData) == (
            items["SCOORD"].GraphicType,
            items["SCOORD"].GraphicData,
        )


def findings(report):
    """Items of a report's Imaging Measurements."""
    named = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in report.ContentSequence}
    return named["Imaging Measurements"].ContentSequence


def test_dciodvfy_finds_no_error(case):
    programs.need("dciodvfy", "dicom3tools")
    files = [case.radiograph, *sorted(case.folder.glob("s*_*.dcm"))]
    assert len(files) == 5
    for path in files:
        verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        lines = [*verdict.stdout.splitlines(), *verdict.stderr.splitlines()]
        assert any("CRImage" in x or "Segmentation" in x or "ComprehensiveSR" in x for x in lines), lines
        assert not [line for line in lines if line.startswith("Error")], path.name


@pytest.mark.parametrize("keyword", [name for name in STORAGE_CLASSES if "MultiFrame" not in name])
def test_every_kind_of_radiograph_can_be_the_source(tmp_path, keyword):
    modality = "DX" if "Digital" in keyword else "OT" if "Secondary" in keyword else "CR"
    lossy = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 8,
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    path, masks = write_radiograph(tmp_path, "R", SOPClassUID=getattr(pydicom.uid, keyword), Modality=modality, **lossy)
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    written = [result.save_seg(tmp_path / "seg.dcm"), result.save_sr(tmp_path / "sr.dcm")]
    seg = pydicom.dcmread(written[0])
    assert (seg.LossyImageCompression, seg.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    reference = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    assert reference.ReferencedSOPClassUID == getattr(pydicom.uid, keyword)
    assert_valid(written)


def test_an_unknown_side_is_left_out_and_empty_masks_are_kept(tmp_path):
    path, masks = write_radiograph(tmp_path, "R", Laterality=None)
    result = Predictor(Recall(np.zeros_like(masks), "R"), image_size=SIZE, localise=False)(path).single()
    seg = build_seg(result)
    assert seg.NumberOfFrames == 14 and not seg.pixel_array.any()
    assert (
        "SegmentedPropertyTypeModifierCodeSequence" not in seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    )
    report = result.save_sr(tmp_path / "sr.dcm")
    assert hd.sr.srread(report).content.get_planar_roi_measurement_groups()[0].finding_sites[0].laterality is None


def test_predict_writes_dicom_beside_the_rest(tmp_path, capsys):
    path, _ = write_radiograph(tmp_path, "L")
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(tmp_path / "picture_R.png")
    torch.manual_seed(0)
    info = {"model": "jointwrist_tiny", "options": {}, "image_size": 32}
    save_weights(tmp_path / "w.safetensors", create_model("jointwrist_tiny"), info)
    out = tmp_path / "out"
    radiographs = [str(path), str(tmp_path / "picture_R.png")]
    command = [
        "predict",
        *radiographs,
        "-w",
        str(tmp_path / "w.safetensors"),
        "-o",
        str(out),
        "--dicom",
        "--deidentify",
    ]
    assert main([*command, "--field", "whole"]) == 2
    assert "film-002: not a DICOM radiograph" in capsys.readouterr().err
    assert spacing_of(pydicom.dcmread(out / "film-001_seg.dcm")) == [0.15, 0.15]
    assert sorted(file.name for file in out.glob("*.dcm")) == ["film-001_seg.dcm", "film-001_sr.dcm"]
    more = ["predict", "-w", str(tmp_path / "w.safetensors"), "-o", str(tmp_path / "more"), "--field", "whole"]
    assert main([*more, str(path), "--dicom", "pr, sc"]) == 0
    assert sorted(file.name for file in (tmp_path / "more").glob("*.dcm")) == ["radiograph_pr.dcm", "radiograph_sc.dcm"]
    assert main([*more, "--dicom", str(path)]) == 0, "the radiograph follows the option"
    assert len(list((tmp_path / "more").glob("*.dcm"))) == 4
    capsys.readouterr()
    assert main([*more, str(path), "--dicom", "pdf"]) == 2
    assert "'pdf' is not one of seg, sr, pr, sc" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([*more, "--dicom"])
    assert "name at least one FILE" in capsys.readouterr().err
    assert (out / "film-002.json").exists()
    assert hd.seg.segread(out / "film-001_seg.dcm").PatientID == ""
