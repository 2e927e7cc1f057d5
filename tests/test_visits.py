"""Two radiographs that are not two visits of one patient in their order: `compare` warns, and names nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import make, save

from jointwrist.cli import main
from jointwrist.data.dicom.read import read_dicom
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.followup.visits import same_picture_caution, visit_cautions
from jointwrist.phantom import PhantomConfig, make_wrist

PATIENT, ORDER = "different patients", "before the baseline"


@pytest.mark.parametrize(
    ("baseline", "followup", "said"),
    [
        ({}, {}, ()),
        ({}, {"PatientID": "other-9"}, (PATIENT,)),
        ({"PatientID": "secret-17 "}, {"PatientID": "SECRET-17"}, ()),
        ({}, {"PatientName": "Doe^J", "PatientID": "secret-17"}, ()),
        ({"IssuerOfPatientID": "North"}, {"IssuerOfPatientID": "South"}, (PATIENT,)),
        ({"IssuerOfPatientID": "North"}, {}, ()),
        ({"PatientID": ""}, {"PatientName": "Roe^Richard"}, (PATIENT,)),
        ({"PatientBirthDate": "19500101"}, {"PatientBirthDate": "19510101"}, (PATIENT,)),
        ({"PatientBirthDate": "19500101"}, {}, ()),
        ({"PatientSex": "F"}, {"PatientSex": "M"}, (PATIENT,)),
        ({"AcquisitionDate": "20200131"}, {"AcquisitionDate": "20190131"}, (ORDER,)),
        ({"AcquisitionDate": "20200131"}, {"AcquisitionDate": "20200131"}, ()),
        ({"StudyDate": "20180131", "AcquisitionDate": "20200131"}, {"StudyDate": "20190131"}, ()),
        ({"StudyDate": "20200131"}, {"StudyDate": "20191231", "PatientID": "other-9"}, (PATIENT, ORDER)),
        ({"StudyDate": "2020.01.31"}, {"StudyDate": "2019.01.31"}, (ORDER,)),
        ({"AcquisitionDateTime": "20200131101500"}, {"AcquisitionDateTime": "20190131101500.5"}, (ORDER,)),
        ({"StudyDate": "20209999"}, {"StudyDate": "20191231"}, ()),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")  # said when the test writes it
def test_headers_that_do_not_fit(tmp_path, baseline, followup, said):
    radiographs = [
        read_dicom(save(make(**header), tmp_path / f"{n}.dcm")) for n, header in enumerate((baseline, followup))
    ]
    cautions = visit_cautions(*radiographs)
    assert len(cautions) == len(said)
    for caution, words in zip(cautions, said, strict=True):
        assert words in caution
        for secret in ("Doe", "Roe", "secret", "other-9", "1950", "2019", "2020"):
            assert secret not in caution


def test_names_of_the_release_distinguish_patients_and_others_do_not():
    def warned(*names):
        return bool(visit_cautions(*(Radiograph(np.zeros((9, 9), np.float32), source=Path(name)) for name in names)))

    assert warned("0001_0001_L.bmp", "0002_0001_L.bmp") and warned("EXT_0001_0001_L.bmp", "0001_0001_L.bmp")
    assert not warned("0001_0001_L.bmp", "0001_0002_L.bmp") and not warned("visit_1_L.png", "later_2_L.png")
    assert not visit_cautions(Radiograph(np.zeros((9, 9), np.float32)), Radiograph(np.zeros((9, 9), np.float32)))


def test_compare_prints_the_warnings(tmp_path, capsys):
    wrist = make_wrist(seed=3, index=0, config=PhantomConfig(size=200))
    grey = (wrist.image[0] * 4095).astype(np.uint16)
    headers = {"v1.dcm": {"StudyDate": "20200131"}, "v2.dcm": {"StudyDate": "20190131", "PatientID": "other-9"}}
    radiographs = [
        str(save(make(grey, Laterality=wrist.side, **more), tmp_path / name)) for name, more in headers.items()
    ]
    assert main(["compare", *radiographs, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    warned = [line.removeprefix("WARNING: ") for line in printed.splitlines() if line.startswith("WARNING: ")]
    assert printed.startswith("WARNING: ") and len(warned) == 3
    assert all(words in line for words, line in zip(("the same picture", PATIENT, ORDER), warned, strict=True))
    assert "points that lie on it" in printed and "other-9" not in printed


def test_one_picture_given_twice_is_named():
    first, second = (Radiograph(np.full((9, 9), value, np.float32), source=Path("a.png")) for value in (0.2, 0.3))
    assert same_picture_caution(first, Radiograph(first.pixels.copy(), source=Path("copy.png")))
    assert not same_picture_caution(first, second)
    assert not same_picture_caution(first, Radiograph(first.pixels[:8]))
