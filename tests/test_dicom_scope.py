"""What headers of several kinds say of the hand, of its owner's age, and of part and view."""

from __future__ import annotations

import pytest
from dicom_files import make, save
from PIL import Image
from pydicom import Dataset

from jointwrist.data.load import load_radiograph


def items(**elements) -> list[Dataset]:
    """A sequence of one item; a value that is a dict is a sequence again."""
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, items(**value) if isinstance(value, dict) else value)
    return [item]


LEFT, RIGHT = (
    {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": "-"} for value in ("7771000", "24028007")
)
WRIST = {"CodeValue": "8205005", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Wrist"}
#: Elements beside which nothing else tells the side, and the side.
SIDES = (
    ({"ImageLaterality": "L"}, "L"),
    ({"ImageLaterality": "R", "Laterality": ""}, "R"),
    ({"ImageLaterality": "U", "Laterality": "R"}, "R"),
    ({"Laterality": "L"}, "L"),
    ({"ImageLaterality": "RT"}, "R"),
    ({"SharedFunctionalGroupsSequence": items(FrameAnatomySequence={"FrameLaterality": "R"})}, "R"),
    ({"AnatomicRegionSequence": items(**WRIST, AnatomicRegionModifierSequence=LEFT)}, "L"),
    ({"AnatomicRegionSequence": items(**WRIST, AnatomicRegionModifierSequence=RIGHT)}, "R"),
    ({"AnatomicRegionSequence": items(**WRIST, AnatomicRegionModifierSequence=LEFT | {"CodeValue": "G-A101"})}, "L"),
    ({"AnatomicRegionSequence": items(**WRIST, AnatomicRegionModifierSequence={"CodeMeaning": "Right"})}, "R"),
    ({"AnatomicRegionSequence": items(**(WRIST | {"CodeMeaning": "Left wrist"}))}, "L"),
    (
        {
            "PrimaryAnatomicStructureSequence": items(
                CodeValue="1", PrimaryAnatomicStructureModifierSequence=RIGHT | {"CodeValue": "G-A100"}
            )
        },
        "R",
    ),
    ({"BodyPartExamined": "LWRIST"}, "L"),
    ({"BodyPartExamined": "RIGHT HAND"}, "R"),
    ({"SeriesDescription": "LT WRIST"}, "L"),
    ({"SeriesDescription": "Hand links"}, "L"),
    ({"SeriesDescription": "main droite"}, "R"),
    ({"SeriesDescription": "Handgelenk li."}, "L"),
    ({"ProtocolName": "WRIST PA R"}, "R"),
    ({"AcquisitionDeviceProcessingDescription": "HAND,LEFT"}, "L"),
    ({"PerformedProcedureStepDescription": "XR Wrist Right"}, "R"),
    ({"RequestedProcedureDescription": "XR HAND 2 VIEWS LT"}, "L"),
    ({"AcquisitionProtocolDescription": "left hand PA"}, "L"),
    ({"SeriesDescriptionCodeSequence": items(CodeValue="1", CodeMeaning="Right wrist")}, "R"),
    ({"PerformedProtocolCodeSequence": items(CodeValue="1", CodeMeaning="Left hand")}, "L"),
    ({"RequestAttributesSequence": items(RequestedProcedureDescription="XR WRIST LEFT")}, "L"),
    ({"RequestAttributesSequence": items(ScheduledProcedureStepDescription="Hand rechts")}, "R"),
    (
        {
            "RequestAttributesSequence": items(ScheduledProcedureStepDescription="Hand rechts")
            + items(ScheduledProcedureStepDescription="Hand links")
        },
        None,
    ),
    ({"StudyDescription": "Röntgen Hand rechts", "SpecificCharacterSet": "ISO_IR 192"}, "R"),
    ({"SeriesDescription": "PA", "StudyDescription": "WRIST LEFT"}, "L"),
    ({"SeriesDescription": "XR wrist", "StudyDescription": "XR hands both"}, None),
    ({"SeriesDescription": "L SPINE"}, None),
    ({"Laterality": "U"}, None),
    ({}, None),
)
#: Elements that contradict each other, and the side that stands.
CONTRADICTIONS = (
    ({"Laterality": "L", "SeriesDescription": "RT WRIST"}, "L"),
    ({"ImageLaterality": "R", "Laterality": "L"}, "R"),
    ({"Laterality": "R", "AnatomicRegionSequence": items(**WRIST, AnatomicRegionModifierSequence=LEFT)}, "R"),
    ({"SeriesDescription": "Hand left", "StudyDescription": "Wrist right"}, "L"),
)
CHILD, PART, VIEW = "age under 18", "a body part other than", "view"
SCOPE = (
    ({"PatientAge": "006Y"}, CHILD), ({"PatientAge": "017Y"}, CHILD), ({"PatientAge": "200M"}, CHILD),
    ({"PatientAge": "018Y"}, None), ({"PatientAge": "054Y"}, None), ({"PatientAge": "220M"}, None),
    ({"PatientBirthDate": "20100601", "StudyDate": "20240531"}, CHILD),
    ({"PatientBirthDate": "20060601", "AcquisitionDate": "20240531"}, CHILD),
    ({"PatientBirthDate": "20060531", "AcquisitionDate": "20240531"}, None),
    ({"PatientBirthDate": "20060601"}, None), ({"PatientBirthDate": "19991399", "StudyDate": "20000101"}, None),
    ({"BodyPartExamined": "CHEST"}, PART), ({"BodyPartExamined": "FOOT"}, PART),
    ({"BodyPartExamined": "FOREARM"}, PART), ({"PatientAge": "6"}, CHILD),
    ({"BodyPartExamined": "LOWER EXTREMITY"}, PART),
    ({"AnatomicRegionSequence": items(CodeValue="1", CodeMeaning="Knee")}, PART),
    ({"AnatomicRegionSequence": items(**WRIST)}, None), ({"BodyPartExamined": "HAND"}, None),
    ({"BodyPartExamined": "LWRIST"}, None), ({"BodyPartExamined": "CARPUS"}, None),
    ({"BodyPartExamined": "HANDGELENK"}, None),
    ({"BodyPartExamined": "UPPER EXTREMITY"}, None), ({"BodyPartExamined": "FINGER"}, None),
    ({"ViewPosition": "LL"}, VIEW), ({"ViewPosition": "AP"}, VIEW), ({"ViewPosition": "LATERAL"}, VIEW),
    ({"ViewCodeSequence": items(CodeValue="1", CodeMeaning="lateral")}, VIEW),
    ({"SeriesDescription": "Wrist lat"}, VIEW), ({"SeriesDescription": "HAND OBLIQUE"}, VIEW),
    ({"ViewPosition": "PA"}, None), ({"ViewPosition": "DP"}, None), ({"SeriesDescription": "WRIST PA/LAT"}, None),
    ({"ViewCodeSequence": items(CodeValue="1", CodeMeaning="postero-anterior")}, None),
    ({"ViewPosition": "PA", "SeriesDescription": "lateral wrist"}, None),
    ({"ViewPosition": "PA OBLIQUE"}, VIEW), ({"ViewPosition": "antero-posterior"}, VIEW),
    ({"ViewCodeSequence": items(CodeValue="1", CodeMeaning="Anterior posterior")}, VIEW),
    ({"ViewCodeSequence": items(CodeValue="1", CodeMeaning="axial")}, VIEW),
    ({"SeriesDescription": "Hand re. seitl."}, VIEW),
    ({"ViewCodeSequence": items(CodeValue="1", CodeMeaning="posterior-anterior")}, None),
    ({"PatientAge": "6 years"}, CHILD), ({"PatientAge": "17,5Y"}, CHILD), ({"PatientAge": "6500D"}, CHILD),
    ({"PatientAge": "18 Jahre"}, None), ({"PatientAge": "900W"}, CHILD), ({"PatientAge": "940W"}, None),
    ({"PatientBirthDate": "2010.06.01", "StudyDate": "2024.05.31"}, CHILD),
    ({"PatientBirthDate": "20100601", "AcquisitionDateTime": "20240531121500.00+0100"}, CHILD),
    ({"PatientBirthDate": "20100601", "SeriesDate": "20240531"}, CHILD),
    ({"BodyPartExamined": "OBERE EXTREMITÄT", "SpecificCharacterSet": "ISO_IR 192"}, None),
    ({"AnatomicRegionSequence": items(CodeMeaning="手関節"), "SpecificCharacterSet": "ISO_IR 192"}, None),
    ({"BodyPartExamined": "UNDEFINED"}, None), ({"BodyPartExamined": "UNTERARM"}, PART),
)  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(name="radiograph.dcm", side=None, **attributes):
        return load_radiograph(save(make(**{"Laterality": None} | attributes), tmp_path / name), side)

    return read


@pytest.mark.parametrize(("attributes", "side"), SIDES)
def test_the_side_is_read_from_the_header(read, attributes, side):
    radiograph = read(**attributes)
    assert radiograph.side == side and not any("Taken for" in caution for caution in radiograph.cautions)
    assert read("b.dcm", **attributes).side == side and read("w_L.dcm", **attributes).side in (side or "L")


@pytest.mark.parametrize(("attributes", "side"), CONTRADICTIONS)
def test_sources_that_contradict_each_other_are_remarked_upon(read, attributes, side):
    radiograph = read(**attributes)
    hand, other = ("left", "right") if side == "L" else ("right", "left")
    (caution,) = radiograph.cautions
    assert radiograph.side == side and f"Taken for a {hand} hand" in caution and f"says {other}" in caution
    assert caution in radiograph.notes


def test_who_has_the_last_word_on_the_side(read, tmp_path):
    described = read(SeriesDescription="LT WRIST", side="R")
    assert described.side == "R" and "by what was asked for; the series description says left" in described.cautions[0]
    coded = read(Laterality="L", side="R")
    assert coded.side == "L" and "by the header's Laterality; what was asked for says right" in coded.cautions[0]
    named = read("wrist-R.dcm", SeriesDescription="LT WRIST")
    assert named.side == "L" and "the file's name says right" in named.cautions[0]
    assert read("WRI-L1.dcm").side == "L" and read("L12.dcm").side is None
    Image.new("L", (40, 40)).save(tmp_path / "wrist-L.png")
    picture = load_radiograph(tmp_path / "wrist-L.png", side="R")
    assert picture.side == "R" and "the file's name says left" in picture.cautions[0]
    assert load_radiograph(tmp_path / "wrist-L.png").cautions == ()


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")  # said when the test writes it
@pytest.mark.parametrize(("attributes", "caution"), SCOPE)
def test_input_outside_the_scope_of_the_network_is_reported(read, attributes, caution):
    radiograph = read(**attributes)
    assert [caution in said for said in radiograph.cautions] == [True] * (caution is not None), radiograph.cautions
    assert set(radiograph.cautions) <= set(radiograph.notes)
