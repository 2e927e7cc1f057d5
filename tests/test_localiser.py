"""The wrist is found on radiographs of a whole hand or of two, and radiographs without a wrist are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from dicom_results import Recall
from scipy.ndimage import gaussian_filter

from jointwrist.cli import main
from jointwrist.data.images import write_image
from jointwrist.data.load import load_radiograph
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import as_right_hand, unpack_masks
from jointwrist.errors import DataError
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.search.candidates import Candidate, choose_wrists
from jointwrist.inference.search.localiser import FIELD_MM
from jointwrist.inference.search.locate import locate
from jointwrist.inference.search.mean_wrist import fit_mean_wrist, landmarks
from jointwrist.inference.taken_whole import OTHER_VIEW
from jointwrist.ops.wrist_scale import CARPALS
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.viewer.radiographs import choose_wrist

pytestmark = pytest.mark.usefixtures("segmented_once")

HAND_MM = 210.0


@pytest.fixture(scope="module")
def localiser(predictor):
    return predictor.localiser


@pytest.fixture(scope="module")
def hands():
    """A left and a right hand from the forearm to the first joints of the fingers, 280 px high."""
    config = PhantomConfig(size=280, field_of_view=(HAND_MM, HAND_MM))
    wrists = [make_wrist(seed=41, index=index, config=config) for index in range(4)]
    return [next(wrist for wrist in wrists if wrist.side == side) for side in "LR"]


@pytest.fixture(scope="module")
def both(hands, tmp_path_factory):
    """File of a radiograph of both hands, the left one on the left."""
    path = tmp_path_factory.mktemp("both") / "both.png"
    write_image(path, np.concatenate([hand.image[0][:, 30:-30] for hand in hands], axis=1))
    return path


def truth(wrist) -> tuple[float, float]:
    """Middle of the carpal bones, x and y in pixels."""
    rows, columns = np.nonzero(unpack_masks(wrist.bones)[list(CARPALS)].any(0))
    return columns.mean(), rows.mean()


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_mean_wrist_is_that_of_phantoms():
    distances = []
    for index in range(6):
        wrist = as_right_hand(make_wrist(seed=77, index=index, config=PhantomConfig(size=128)))
        to_pixels, distance = fit_mean_wrist(unpack_masks(wrist.bones))
        assert 1 / to_pixels.scale == pytest.approx(wrist.spacing_mm, rel=0.2)
        distances.append(distance)
    assert max(distances) < 3 and np.mean(distances) < 1.8


def test_landmarks_move_with_the_masks_and_stray_pixels_do_not_count():
    masks = unpack_masks(as_right_hand(make_wrist(seed=77, index=0, config=PhantomConfig(size=128))).bones)
    points = landmarks(masks)
    assert np.isfinite(points).all()
    shifted = np.roll(masks, (3, 5), axis=(1, 2))
    shifted[:, :3], shifted[..., :5] = False, False
    # bones that the frame cuts are cut elsewhere, but not at their joint ends
    np.testing.assert_allclose(landmarks(shifted) - points, np.tile([5.0, 3.0], (14, 1)), atol=1.0)
    strewn = masks.copy()
    strewn[:, 0, 0] = True
    np.testing.assert_array_equal(landmarks(strewn), points)
    assert np.isnan(landmarks(np.zeros_like(masks))).all() and fit_mean_wrist(np.zeros_like(masks)) is None
    disc = np.hypot(*(np.indices(masks.shape[1:]) - 63.5)) < 20
    assert fit_mean_wrist(np.broadcast_to(disc, masks.shape)) is None


def test_a_radiograph_used_whole_says_where_its_bones_do_not_lie_as_those_of_a_wrist():
    wrist = make_wrist(seed=77, index=0, config=PhantomConfig(size=128))
    masks, notes = unpack_masks(wrist.bones), {}
    shown = {
        "right": (masks, wrist.side),
        "of the other side": (masks, "L" if wrist.side == "R" else "R"),
        "upside down": (masks[:, ::-1, ::-1], wrist.side),
        "without bones": (np.zeros_like(masks), wrist.side),
        "without ten bones": (masks & (np.arange(14) < 4)[:, None, None], wrist.side),
    }
    for name, (seen, side) in shown.items():
        network = Recall(seen, side)
        predictor = Predictor(network, image_size=128, localise=False)
        notes[name] = predictor(wrist.image[0], side).single().radiograph.cautions.count(OTHER_VIEW)
    assert notes == {
        "right": 0, "of the other side": 1, "upside down": 1, "without bones": 0, "without ten bones": 1,
    }  # fmt: skip


@pytest.mark.parametrize("stated", [True, False])
def test_a_wrist_that_fills_its_radiograph_is_left_as_it_is(predictor, stated):
    for index in range(8):
        wrist = make_wrist(seed=8, index=index, config=PhantomConfig(size=200))
        radiograph = Radiograph(wrist.image[0], side=wrist.side if stated else None)
        (found,) = predictor.locate(radiograph)
        assert (found.crop, found.rotation, found.radiograph.side) == (None, 0, wrist.side)
        assert found.radiograph.pixels is radiograph.pixels and (found.radiograph is radiograph) is stated


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("stated", [True, False])
def test_the_wrist_of_a_whole_hand_is_found(predictor, hands, which, stated):
    hand = hands[which]
    (found,) = predictor.locate(Radiograph(hand.image[0], side=hand.side if stated else None))
    left, top, right, bottom = found.crop
    assert found.radiograph.side == hand.side
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    assert np.linalg.norm(middle - truth(hand)) * hand.spacing_mm < 20
    assert (bottom - top) * hand.spacing_mm == pytest.approx(FIELD_MM, rel=0.25)
    assert any("the rest was ignored" in note for note in found.radiograph.notes)
    assert any("inferred from the bones" in note for note in found.radiograph.notes) is not stated
    result = predictor.predict([found])[0]
    assert result.masks.shape == (14, *hand.bones.shape)
    outside = np.ones(hand.bones.shape, bool)
    outside[top:bottom, left:right] = False
    assert not (result.masks & outside).any()
    true = unpack_masks(hand.bones)
    assert np.mean([dice(result.masks[bone], true[bone]) for bone in CARPALS]) > 0.85
    joints = result.boxes[result.scored]
    assert (joints[:, 0] >= left - 1).all() and (joints[:, 3] <= bottom + 1).all()
    assert result.to_dict()["field"] == [left, top, right, bottom]


def test_two_hands_on_one_radiograph_are_two_results(predictor, both, tmp_path, capsys):
    radiograph = load_radiograph(both)
    width = radiograph.pixels.shape[1] // 2
    found = predictor.locate(radiograph)
    assert [wrist.radiograph.side for wrist in found] == ["L", "R"]
    assert found[0].crop[2] < width + 20 and found[1].crop[0] > width - 20
    assert main(["predict", str(both), "-o", str(tmp_path / "out")]) == 0
    assert "left hand: 1" in capsys.readouterr().out
    for side in "LR":
        assert json.loads((tmp_path / "out" / f"both_{side}.json").read_text())["side"] == side
    assert main(["compare", str(both), str(both), "-o", str(tmp_path / "c")]) == 2
    assert "--side" in capsys.readouterr().err
    # crossed hands: the bones say which is which, not the place
    crossed = np.concatenate([radiograph.pixels[:, width:], radiograph.pixels[:, :width]], axis=1)
    assert [wrist.radiograph.side for wrist in locate(predictor.localiser, Radiograph(crossed), 0)] == ["R", "L"]


def test_the_viewer_shows_the_hand_that_is_chosen(predictor, hands, both):
    for chosen, shown in ((None, "R"), ("R", "R"), ("L", "L")):
        wrist = choose_wrist(predictor, load_radiograph(both), chosen)
        assert wrist.radiograph.side == shown and "both hands" in wrist.radiograph.notes[0]
    one = Radiograph(hands[0].image[0])
    assert choose_wrist(predictor, one, None).radiograph.side == "L"
    assert choose_wrist(predictor, replace(one, side="L"), "L").crop is not None
    wrist = make_wrist(seed=8, index=0, config=PhantomConfig(size=200))
    filling = Radiograph(wrist.image[0])
    assert [choose_wrist(predictor, filling, side).radiograph.side for side in (None, "L", "R")] == [
        wrist.side,
        "L",
        "R",
    ]


def test_two_wrists_that_look_alike_are_refused():
    def seen(x: float, side: str, distance: float) -> Candidate:
        return Candidate((x, 100.0, 90.0), side, distance)

    clear = [seen(100, "L", 1.0), seen(100, "R", 3.0), seen(300, "L", 2.5), seen(300, "R", 1.2)]
    assert [wrist.side for wrist in choose_wrists(clear)] == ["L", "R"]
    with pytest.raises(DataError, match="which is the left one"):
        choose_wrists([seen(100, "L", 1.0), seen(100, "R", 1.1), seen(300, "L", 1.0), seen(300, "R", 1.1)])
    with pytest.raises(DataError, match="which is the left one"):
        choose_wrists([seen(100, "L", 1.0), seen(300, "L", 1.0)])
    assert choose_wrists([]) == [] and len(choose_wrists(clear[:2])) == 1


def test_radiographs_without_a_wrist_are_refused(localiser, tmp_path, capsys):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    lungs = 0.8 - 0.6 * ((np.abs(x) - 0.4) ** 2 / 0.08 + y**2 / 0.5 < 1) + 0.1 * np.sin(18 * y + 4 * x**2)
    radiographs = {
        "blank": np.zeros((160, 160)),
        "noise": rng.random((160, 160)),
        "clouds": gaussian_filter(rng.random((160, 160)), 5),
        "lungs": np.clip(lungs, 0, 1),
    }
    for name in ("blank", "clouds"):
        assert localiser.find(Radiograph(radiographs[name].astype(np.float32), side="R")) == [], name
    write_image(tmp_path / "lungs_R.png", radiographs["lungs"])
    assert localiser.find(Radiograph(load_radiograph(tmp_path / "lungs_R.png").pixels)) == []
    assert main(["predict", str(tmp_path / "lungs_R.png"), "-o", str(tmp_path / "out"), "--rotation", "0"]) == 2
    said = capsys.readouterr()
    assert "lungs_R.png: no wrist was found" in said.err and not (tmp_path / "out").exists()
    assert said.out == "", "nothing was written"
    noisy = Radiograph(radiographs["noise"].astype(np.float32), notes=("It is noisy.", "It is turned."))
    with pytest.raises(DataError, match=r"without looking for the wrist\)\. It is noisy\. It is turned$"):
        locate(localiser, noisy, 0)
    assert main(["predict", str(tmp_path / "lungs_R.png"), "-o", str(tmp_path / "out"), "--field", "whole"]) == 0


@pytest.mark.parametrize("field", ["auto", "whole"])
def test_a_blank_radiograph_is_refused(field, tmp_path, capsys):
    write_image(tmp_path / "blank_R.png", np.full((160, 160), 0.4))
    assert main(["predict", str(tmp_path / "blank_R.png"), "-o", str(tmp_path / "out"), "--field", field]) == 2
    assert "blank_R.png: is blank, of one grey value throughout" in capsys.readouterr().err


def test_a_header_that_speaks_of_two_hands_is_held_to_it(predictor, hands):
    from pydicom import Dataset

    header = Dataset()
    header.ImageLaterality = "B"
    radiograph = Radiograph(hands[0].image[0], header=header)
    with pytest.raises(DataError, match="both hands"):
        predictor.locate(radiograph)
    with pytest.raises(DataError, match="both hands"):
        Predictor(predictor.model, image_size=64, localise=False).predict([Placement(radiograph)])
    assert len(predictor.locate(replace(radiograph, side="L"))) == 1
