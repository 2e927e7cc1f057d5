"""What DICOM results take of an image's header: what is valid, in any script, and a reference that can be followed."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_results import SIZE, Recall, write_radiograph

from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.outputs.dicom_instance import save_dataset
from jointwrist.outputs.dicom_objects import BUILDERS
from jointwrist.outputs.dicom_seg import build_seg

pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")


@pytest.mark.filterwarnings(
    "ignore:Invalid value:UserWarning", "ignore:The value length:UserWarning", "ignore:The PN:UserWarning"
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientID", "x" * 65), ("PatientID", "a\\b"), ("AccessionNumber", "1" * 17), ("StudyID", "1" * 17),
        ("StudyDate", "20201331"), ("StudyDate", "2020.01.31"), ("StudyDate", "31.1.2020"),
        ("PatientBirthDate", "19500230"), ("StudyTime", "991500"), ("PatientName", "x" * 65), ("PatientSex", "female"),
        ("ReferringPhysicianName", "x" * 65), ("PatientOrientation", ["LEFTWARDS", "H"]),
    ],
)  # fmt: skip
def test_a_value_that_dicom_forbids_is_not_copied(tmp_path, name, value):
    path, masks = write_radiograph(tmp_path, "L", **{name: value})
    result = Predictor(Recall(masks, "L"), image_size=SIZE, name="recall", postprocess=False, localise=False)(
        path
    ).single()
    for kind, build in BUILDERS.items():
        written = save_dataset(build(result), tmp_path / f"{kind}.dcm")
        assert not pydicom.dcmread(written).get(name), kind


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning", "ignore:The value length:UserWarning")
@pytest.mark.parametrize("uid", ["1." + "2" * 64, "1.2..3", "1.2.003.4"])
def test_an_image_without_a_valid_uid_cannot_be_referred_to(tmp_path, uid):
    path, masks = write_radiograph(tmp_path, "L", StudyInstanceUID=uid)
    result = Predictor(Recall(masks, "L"), image_size=SIZE, name="recall", postprocess=False, localise=False)(
        path
    ).single()
    with pytest.raises(DataError, match="StudyInstanceUID is not a valid UID"):
        result.save_seg(tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()


def test_values_that_dicom_forbids_are_left_empty(tmp_path):
    path, masks = write_radiograph(tmp_path, "R")
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    header = result.radiograph.header
    header["PatientSex"] = pydicom.DataElement("PatientSex", "LO", "unknown")
    header["StudyDate"] = pydicom.DataElement("StudyDate", "LO", "last week")
    seg = build_seg(result)
    assert (seg.PatientSex, seg.StudyDate) == ("", "")


def test_names_in_any_script_survive(tmp_path):
    path, masks = write_radiograph(
        tmp_path, "R", SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Jürgen=山田^太郎"
    )
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    written = pydicom.dcmread(result.save_seg(tmp_path / "seg.dcm"))
    assert str(written.PatientName) == "Müller^Jürgen=山田^太郎"


def test_the_issuer_of_the_identifier_goes_with_it(tmp_path):
    path, masks = write_radiograph(tmp_path, "R", IssuerOfPatientID="North")
    result = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)(path).single()
    for kind, build in BUILDERS.items():
        written = save_dataset(build(result), tmp_path / f"{kind}.dcm")
        assert pydicom.dcmread(written).IssuerOfPatientID == "North", kind
        assert "IssuerOfPatientID" not in build(result, deidentify=True), kind


def test_a_radiograph_without_reference_is_refused_by_name(tmp_path):
    path, masks = write_radiograph(tmp_path, "R", StudyInstanceUID="")
    predictor = Predictor(Recall(masks, "R"), image_size=SIZE, localise=False)
    with pytest.raises(DataError, match=r"radiograph\.dcm: no StudyInstanceUID"):
        predictor(path).single().save_seg(tmp_path / "seg.dcm")
    write_radiograph(tmp_path, "R", SOPClassUID=pydicom.uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage)
    with pytest.raises(DataError, match="multi-frame image"):
        predictor(path).single().save_seg(tmp_path / "seg.dcm")
    with pytest.raises(DataError, match="not a DICOM radiograph"):
        predictor(np.eye(SIZE, dtype=np.float32)).single().save_sr(tmp_path / "sr.dcm")
    assert sorted(tmp_path.iterdir()) == [path]
