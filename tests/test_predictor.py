"""Prediction keeps the radiograph's size, side and place, whatever the network."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from torch import nn
from torchvision.ops import roi_align

from jointwrist.anatomy import NOT_SCORED
from jointwrist.cli import main
from jointwrist.errors import DataError
from jointwrist.inference.erosion_scores import erosion_level
from jointwrist.inference.predictor import Predictor
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights
from jointwrist.weights.find import find_weights


class Brightness(nn.Module):
    """A network whose right answer is known: mask b is where the image is brighter than (b + 1) / 16.

    Its joint boxes surround, with a margin of 0, the pixels brighter than 3/4; every second joint is not found.
    """

    def forward(self, image: torch.Tensor, detail: torch.Tensor | None = None) -> SimpleNamespace:
        levels = (torch.arange(14, device=image.device) + 1)[:, None, None] / 16
        boxes = []
        for radiograph in image[:, 0]:
            rows, columns = torch.where(radiograph > 0.75)
            edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            boxes.append(torch.stack(edges).float().expand(6, 4))
        cumulative = torch.tensor([[0.9, 0.2, 0.1], [0.6, 0.55, 0.52], [0.1, 0.05, 0.01]]).repeat(2, 1)
        return SimpleNamespace(
            mask_logits=20 * (image - levels),
            erosion_logits=torch.logit(cumulative).expand(len(image), 6, 3),
            roi_boxes=torch.stack(boxes),
            roi_valid=torch.tensor([True, True, True, True, False, False]).expand(len(image), 6),
        )


class Segmenter(Brightness):
    """The same masks from a network that knows no joints."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image).mask_logits


def radiograph(height: int, width: int) -> np.ndarray:
    """A smooth bright spot off the centre, from exactly 0 to exactly 1."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    side = max(height, width)
    spot = np.exp(-(((y - 0.4 * height) / (0.2 * side)) ** 2 + ((x - 0.6 * width) / (0.15 * side)) ** 2))
    return ((spot - spot.min()) / (spot.max() - spot.min())).astype(np.float32)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("shape", [(96, 96), (200, 200), (150, 97), (91, 160)])
def test_masks_and_boxes_lie_where_they_are_on_the_radiograph(shape, side):
    pixels = radiograph(*shape)
    result = Predictor(Brightness(), image_size=96, localise=False)(pixels, side=side).single()
    assert result.masks.shape == (14, *shape)
    assert result.masks.dtype == bool
    for bone in range(1, 13):
        assert dice(result.masks[bone], pixels > (bone + 1) / 16) > 0.97
    rows, columns = np.where(pixels > 0.75)
    truth = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(result.boxes[0], truth, atol=1.5 * max(shape) / 96 + 0.5)
    np.testing.assert_array_equal(result.radiograph.pixels, pixels)


class Mapping(Brightness):
    """The same, with a map of the eroded area in every joint box: the grey values of the box, brighter is higher."""

    def forward(self, image: torch.Tensor, detail: torch.Tensor | None = None) -> SimpleNamespace:
        output = super().forward(image, detail)
        crops = roi_align(image, list(output.roi_boxes), 8, aligned=True)
        output.erosion_heat_maps = crops.reshape(len(image), 6, 8, 8)
        return output


@pytest.mark.parametrize("tta", [False, True])
def test_maps_lie_in_their_boxes_as_the_radiograph_was_taken(tta):
    pixels = radiograph(96, 96)
    pixels[:, :50] *= 0.5  # so that no box is symmetric
    for side in ("L", "R"):
        result = Predictor(Mapping(), image_size=96, localise=False)(pixels, side=side, tta=tta).single()
        box = torch.from_numpy(
            Predictor(Mapping(), image_size=96, localise=False)(pixels, side=side).single().boxes[:1]
        )
        there = roi_align(torch.from_numpy(pixels)[None, None], [box], 8, aligned=True)[0, 0].numpy()
        np.testing.assert_allclose(result.heat_maps[0], there, atol=1e-5)
    assert Predictor(Brightness(), image_size=96, localise=False)(pixels).single().heat_maps is None


def test_a_radiograph_of_the_network_size_comes_back_to_the_pixel():
    pixels = radiograph(96, 96)
    said, tidied = (
        Predictor(Brightness(), image_size=96, postprocess=tidy, localise=False)(pixels, side="L").single().masks
        for tidy in (False, True)
    )
    for bone in range(14):
        np.testing.assert_array_equal(said[bone], pixels > (bone + 1) / 16)
        outline = binary_dilation(said[bone]) & ~binary_erosion(said[bone])
        assert not ((tidied[bone] ^ said[bone]) & ~outline).any()


def test_scores_follow_the_threshold_and_missing_bones_have_none():
    result = Predictor(Brightness(), image_size=64, threshold=0.7, localise=False)(
        radiograph(64, 64), side="R"
    ).single()
    np.testing.assert_allclose(result.probabilities[:4], [0.9, 0.6, 0.1, 0.9], rtol=1e-5)
    assert result.scores.tolist() == [1, 0, 0, 1, NOT_SCORED, NOT_SCORED]
    assert np.isnan(result.probabilities[4:]).all()
    assert np.isnan(result.boxes[4:]).all()
    lower = Predictor(Brightness(), image_size=64, threshold=0.5, localise=False)(radiograph(64, 64), side="R").single()
    assert lower.scores.tolist()[:4] == [1, 3, 0, 1]


@pytest.mark.parametrize(
    ("cumulative", "threshold", "level"),
    [((0.4, 0.1, 0.0), 0.5, 0), ((0.4, 0.1, 0.0), 0.3, 1), ((0.9, 0.8, 0.6), 0.5, 3), ((0.6, 0.55, 0.1), 0.7, 0)],
)
def test_erosion_level(cumulative, threshold, level):
    assert erosion_level(np.array(cumulative), threshold) == level


def test_level_and_call_agree_where_float32_rounds_to_the_threshold():
    probability = np.float32(0.7)  # below 0.7 in float64, equal to it in float32
    assert not call_eroded(np.array([probability, np.nan]), 0.7).any()
    assert call_eroded(probability, float(probability))
    assert erosion_level(np.array([probability, 0.0, 0.0], np.float32), 0.7) == 0


def test_a_segmentation_network_gives_masks_and_no_scores():
    result = Predictor(Segmenter(), image_size=64, localise=False)(radiograph(64, 64), side="R").single()
    assert result.masks[5].any()
    assert not result.scored.any()
    assert result.to_dict()["joints"][0] == {"name": "Metacarpal1st", "found": False}


def test_raw_outputs_are_compared_with_the_threshold_itself():
    pixels = radiograph(64, 64)
    result = Predictor(Segmenter(), image_size=64, raw_output=True, mask_threshold=0.5, localise=False)(
        pixels, side="R"
    ).single()
    np.testing.assert_array_equal(result.masks[3], 20 * (pixels - 4 / 16) > 0.5)


def test_an_unknown_side_is_reported_and_taken_for_right():
    predictor = Predictor(Brightness(), image_size=64, localise=False)
    unknown, right = predictor(radiograph(64, 64)).single(), predictor(radiograph(64, 64), side="R").single()
    assert unknown.side == "R"
    assert any("taken for a right hand" in note for note in unknown.notes)
    assert not any("taken for a right hand" in note for note in right.notes)
    np.testing.assert_array_equal(unknown.masks, right.masks)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny").eval()
    with torch.no_grad():  # random weights whose masks are neither empty nor full
        nn.init.zeros_(model.decoder.mask_head.bias)
    return model


@pytest.fixture(scope="module")
def wrist() -> np.ndarray:
    """Bones of a kind: bright ellipses with texture on a dark ground."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:150, :130]
    image = 0.2 + 0.05 * rng.random((150, 130))
    for _ in range(14):
        cy, cx, a, b = rng.uniform([20, 20, 8, 6], [130, 110, 25, 18])
        image += 0.3 * (((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1)
    return image.astype(np.float32)


def test_mirrored_radiograph_of_the_other_hand_gives_the_mirrored_masks_exactly(network, wrist):
    predictor = Predictor(network, image_size=64, detail_size=96, localise=False)
    right, left = (
        predictor(wrist, side="R").single(),
        predictor(np.ascontiguousarray(wrist[:, ::-1]), side="L").single(),
    )
    np.testing.assert_array_equal(left.masks, right.masks[..., ::-1])
    np.testing.assert_array_equal(left.probabilities, right.probabilities)
    np.testing.assert_array_equal(left.scores, right.scores)
    width = wrist.shape[1]
    np.testing.assert_allclose(left.boxes[:, [0, 2]], width - right.boxes[:, [2, 0]], atol=1e-3)
    np.testing.assert_array_equal(left.boxes[:, [1, 3]], right.boxes[:, [1, 3]])


def test_a_batch_equals_its_radiographs_one_by_one(network, wrist):
    predictor = Predictor(network, image_size=64, localise=False)
    radiographs = [wrist, wrist[10:120], wrist[:, :90]]
    together, alone = predictor(radiographs, side="R"), [predictor(one, side="R").single() for one in radiographs]
    assert [result.masks.shape for result in together] == [(14, *one.shape) for one in radiographs]
    for a, b in zip(together, alone, strict=True):
        assert (a.masks != b.masks).mean() < 1e-4
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-4)
    assert predictor([]) == []


def test_weights_bring_sizes_and_thresholds(network, wrist, tmp_path):
    info = {
        "model": "jointwrist_tiny",
        "options": {},
        "image_size": 64,
        "detail_size": 96,
        "thresholds": {"mask": 0.4, "erosion": 0.3},
    }
    save_weights(tmp_path / "best.safetensors", network, info)
    loaded = Predictor.from_pretrained(tmp_path, localise=False)
    assert (loaded.image_size, loaded.detail_size, loaded.threshold) == (64, 96, 0.3)
    direct = Predictor(network, image_size=64, detail_size=96, threshold=0.3, mask_threshold=0.4, localise=False)
    a, b = loaded(wrist, side="R").single(), direct(wrist, side="R").single()
    np.testing.assert_array_equal(a.masks, b.masks)
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    assert a.model == "jointwrist_tiny"


def test_weights_that_are_not_there_or_not_for_radiographs_are_refused(tmp_path):
    with pytest.raises(DataError, match="no weights here"):
        find_weights(tmp_path / "none.safetensors")
    classifier = create_model("mobilenet")
    save_weights(tmp_path / "m.safetensors", classifier, {"model": "mobilenet", "options": {}, "image_size": 224})
    with pytest.raises(DataError, match="whole radiographs"):
        Predictor.from_pretrained(tmp_path / "m.safetensors")


def test_arrays_that_are_no_grey_image_are_refused(network):
    with pytest.raises(DataError, match="grey image"):
        Predictor(network, image_size=64, localise=False)(np.zeros((3, 64, 64), np.float32))


def test_file_names_say_the_side(network, wrist, tmp_path):
    picture = Image.fromarray((wrist / wrist.max() * 255).astype(np.uint8))
    for name in ("0001_0001_L.png", "0001_0001_R.png"):
        picture.save(tmp_path / name)
    predictor = Predictor(network, image_size=64, localise=False)
    left, right = predictor([tmp_path / "0001_0001_L.png", tmp_path / "0001_0001_R.png"])
    assert (left.side, right.side) == ("L", "R")
    assert left.name == "0001_0001_L.png"
    forced = predictor(tmp_path / "0001_0001_L.png", side="R").single()
    np.testing.assert_array_equal(forced.masks, right.masks)


def test_missing_weights_name_the_remedy(tmp_path, capsys):
    (tmp_path / "radiograph.png").touch()
    assert main(["predict", str(tmp_path / "radiograph.png"), "--weights", str(tmp_path / "none.safetensors")]) == 2
    error = capsys.readouterr().err
    assert "none.safetensors" in error
    assert "make run" in error


def test_a_predictor_returns_a_list_whatever_it_is_given(network, wrist, tmp_path):
    predictor = Predictor(network, image_size=64, localise=False)
    Image.fromarray((wrist / wrist.max() * 255).astype(np.uint8)).save(tmp_path / "one_L.png")
    one = predictor(wrist, side="R")
    assert [len(results) for results in (one, predictor(tmp_path), predictor([wrist, tmp_path]))] == [1, 1, 2]
    assert one.single() is one[0]
    with pytest.raises(DataError, match=r"2 were predicted: wrist R, one_L.png L"):
        predictor([wrist, tmp_path], side=None).single()
    with pytest.raises(DataError, match="0 were predicted: nothing"):
        predictor([]).single()


def test_arguments_go_by_their_old_names_with_a_warning(network, tmp_path):
    with pytest.warns(FutureWarning, match="'tidy' is now 'postprocess'"):
        assert not Predictor(network, tidy=False).postprocess
    save_weights(tmp_path / "w.safetensors", network, {"model": "jointwrist_tiny", "options": {}, "image_size": 64})
    with pytest.warns(FutureWarning) as told:
        predictor = Predictor.from_pretrained(tmp_path / "w.safetensors", field="whole", turn=90)
    assert (predictor.localise, predictor.rotation, len(told)) == (False, 90, 2)
    with pytest.raises(TypeError, match="feild"):
        Predictor(network, feild="whole")


def test_constructors_agree_on_their_defaults():
    first, second = (inspect.signature(call).parameters for call in (Predictor, Predictor.from_pretrained))
    for name in ("postprocess", "localise", "rotation", "device"):
        assert first[name].default == second[name].default


def test_a_given_spacing_turns_areas_and_joint_spaces_into_mm(predictor):
    wrist = make_wrist(seed=3, index=0, config=PhantomConfig(size=200))
    before, after = (
        predictor(wrist.image[0], wrist.side, spacing_mm=spacing_mm).single().to_dict() for spacing_mm in (None, 0.5)
    )
    for bone, same in zip(before["bones"], after["bones"], strict=True):
        assert "area_mm2" not in bone and same["area_mm2"] == pytest.approx(bone["area_px"] / 4, abs=0.01)
    assert before["joint_spaces"] and len(before["joint_spaces"]) == len(after["joint_spaces"])
    for space, same in zip(before["joint_spaces"], after["joint_spaces"], strict=True):
        assert (space["unit"], same["unit"]) == ("px", "mm")
        assert same["mean"] == pytest.approx(space["mean"] / 2, abs=0.002)
