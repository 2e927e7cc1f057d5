"""What file names and texts of other tools say of the hand, in tables that people wrote, not the code."""

from __future__ import annotations

import pytest

from jointwrist.data.side_from_text import side_of_name, side_of_text, without_side

#: How the two hands are written, and where.
NAMES = {
    ("L", "R"): (
        "wrist_{}.png", "wrist-{}.png", "wrist.{}.png", "wrist {}.png", "wrist ({}).png", "wrist.{}", "wrist[{}].jpg",
        "0001_0001_{}.bmp", "EXT_0012_0001_{}.png", "a1b2c3d4-0001_0001_{}.png", "0001_0001_{}_png.rf.5a0bc9d1ee.jpg",
        "0001_0001_{}_masks.png", "wrist_{} (1).png", "wrist_{} copy.png", "0001_0001_{}.nii.gz", "P-17_{}.json",
        "0001_01_WRI-{}1_M014.png", "0211_1297860395_01_WRI-{}2_F008.png", "WRI-{}1.png", "WRI-{}.png", "WRI{}1.png",
        "{}Hand.png", "Hand{}.png", "{}_wrist.png", "{}-HAND-3.tif", "0012{}.png", "0001_{}_0002.png", "P012_{}_PA.png",
        "wrist_{}_2024-05-01.dcm", "XR_WRIST_{}_PA.dcm", "smith_{}.png", "PATIENT-{}.png", "{}HAND.png", "WRIST{}.png",
        "ID0001_{}_2.png", "subject-07_side-{}_xray.png", "sub-01_hemi-{}_wrist.nii.gz",
        "visit 2 hand {}.png", "radiographs/{}_hand/0001_WRIST_{}.png", r"C:\radiographs\hand_{}.png",
    ),
    ("l", "r"): ("wrist_{}.png", "wrist-{}.png", "{}hand01.png", "{}wrist.png", "hand-{}-2.png", "0001_{}.png"),
    ("left", "right"): (
        "{}_wrist.png", "wrist-{}.png", "{}01.png", "12{}.png", "hand_0001_{}_baseline.nii.gz", "rj_{}.png",
        "wrist{}.png", "{}hand.jpg", "{}.png",
    ),
    ("LEFT", "RIGHT"): ("wrist_{}.png", "{}_HAND_PA.dcm", "{}HAND.png", "WRIST{}2.png"),
    ("Left", "Right"): ("{}Wrist.png", "Wrist{}.png", "{}HandPA2019.png", "HandPA_{}_001.tif"),
    ("lt", "rt"): ("wrist_{}.png", "{}_hand.png", "0001_{}.png", "{}hand.png"),
    ("links", "rechts"): ("Hand_{}.png", "{}.png", "Handgelenk-{}-3.png"),
    ("li", "re"): ("Hand_{}.png", "Handgelenk {}.jpg"),
    ("gauche", "droite"): ("main_{}.png", "poignet-{}-2.png"),
    ("izquierda", "derecha"): ("mano_{}.png",),
    ("sx", "dx"): ("polso_{}.png", "mano {}.png"),
    ("sinistra", "destra"): ("mano_{}.png",),
    ("esquerda", "direita"): ("mão_{}.png",),
    ("vänster", "höger"): ("{}_hand.png", "handled {}.png"),
    ("venstre", "højre"): ("{}_hånd.png",),
    ("левая", "правая"): ("{}_кисть.png",),
    ("左", "右"): ("{}手.png", "P012{}手関節.png"),
}  # fmt: skip
#: The same of texts in DICOM headers.
TEXTS = {
    ("LT", "RT"): ("{} WRIST", "WRIST {}", "XR WRIST 2 VIEWS {}", "{} HAND PA", "XR HAND PA {}", "WRIST {} 3V"),
    ("L", "R"): ("{} WRIST PA", "WRIST {}", "WRIST ({})", "Wrist PA {}", "{}-HAND", "Hand {} dp"),
    ("Left", "Right"): ("XR Wrist 3+ Vw {}", "{} hand, right-handed patient", "Radiograph of the {} wrist"),
    ("links", "rechts"): ("Hand {}", "Röntgen Handgelenk {} in 2 Ebenen"),
    ("li.", "re."): ("Handgelenk {}", "Handgelenk, {} dp", "{} Hand", "HG {}"),
    ("gauche", "droite"): ("main {}", "Poignet {} face"),
    ("G", "D"): ("main {}", "POIGNET {} PROFIL"),
}
#: Names and texts that leave it open, or speak of both hands, or of a mirrored radiograph.
OPEN = (
    "model.png", "lateral.png", "DUAL.png", "wall.png", "wrist.png", "wrist_lat.png", "radial.png", "l.png",
    "cleft.png", "wright.png", "copyright.png", "handle.png", "mirror.png", "yolov8l.png", "deadbeef-12.png",
    "1.2.840.1.png",
    "L12.png", "L12_wrist.png", "L_0001.png", "R2D2.png", "wrist_L12.png", "hand_L001.png", "HandR001.png",
    "site_R01.png", "study_R_001.png", "patient_L_001.png", "trial_L2.png", "R01-AR.png", "RT_image_001.png",
    "RT_0001.dcm", "DX0001.png", "GRAZPEDWRI-DX_0001.png", "WRI-DX.png", "DX_hand.png", "DR_0001.png",
    "John_R_Smith.png", "J_L_Miller_2019.png", "Smith R.png", "Smith, R.dcm", "A_R_Jones_hand.png", "JD_RT.png",
    "Smith_LT.png", "Li_Wei_hand.png", "O'L.png", "modelL.png", "wrist_left_right.png", "left_R.png", "L_R.png",
    "LR.png", "wrist_rl.png", "hands_both.png", "bilateral.png", "wrist_L_flipped.png", "hand re-read.png",
    "L SPINE", "T and L spine", "XR WRIST", "Hand R/L", "WRIST L+R", "Hände bds.", "right-handed", "", "手.png",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "templates", "read"),
    [(words, templates, side_of_name) for words, templates in NAMES.items()]
    + [(words, templates, side_of_text) for words, templates in TEXTS.items()],
)
def test_the_side_is_read_from_names_and_texts(words, templates, read):
    for template in templates:
        text = template.format(words[0], words[0]), template.format(words[1], words[1])
        assert [read(part) for part in text] == ["L", "R"], text


@pytest.mark.parametrize("text", OPEN)
def test_the_side_is_left_open_where_nothing_states_it(text):
    assert side_of_name(text) is None


def test_the_two_hands_of_a_study_have_one_name_without_their_side():
    for left, right in (("p/7_L.png", "p/7_R.png"), ("WRI-L1_M.png", "WRI-R1_M.png"), ("LeftHand", "RightHand")):
        assert without_side(left) == without_side(right) != left
    assert without_side("L12.png") == "L12.png"
    assert without_side("left_R.png") == "left_R.png"
