"""A radiograph of few pixels says in every output that its erosion scores are doubtful, or has none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dicom_results import SIZE, Recall, write_radiograph

from benchmarks.resolution import Called, reduced, table
from jointwrist.commands.result_writer import summary
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.resolution import DOUBTFUL, TOO_COARSE, Resolution
from jointwrist.inference.scope.report import COARSE
from jointwrist.viewer.describe import describe_result

#: Sides of the image of the joint crops with which a radiograph of `SIZE` pixels is fine, doubtful and too coarse.
FINE, MIDDLE, HUGE = SIZE, round(2 * SIZE / (DOUBTFUL + TOO_COARSE)), round(1.1 * SIZE / TOO_COARSE)


class TwoImages(Recall):
    """`Recall` with an image for the joint crops."""

    def forward(self, image, detail=None):
        return super().forward(image)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_radiograph(tmp_path_factory.mktemp("coarse"), "L")


def predict(film, detail_size, **options):
    path, masks = film
    network = TwoImages(masks, "L")
    predictor = Predictor(
        network, image_size=SIZE, detail_size=detail_size, localise=False, device="cpu", name="jointwrist_tiny",
        **options,
    )  # fmt: skip
    return predictor(path).single()


@pytest.mark.parametrize(
    ("shape", "crop", "aspect", "rotation", "pixels"),
    [
        ((300, 200), None, 1.0, 0, 300),
        ((300, 200), (10, 20, 110, 180), 1.0, 0, 160),
        ((300, 200), (10, 20, 110, 180), 1.0, 90, 160),
        ((100, 300), None, 2.0, 0, 150),  # every other row is missing
        ((300, 100), None, 0.5, 0, 150),  # every other column
    ],
)
def test_pixels_of_the_wrists_window_count_not_those_of_the_radiograph(shape, crop, aspect, rotation, pixels):
    radiograph = Radiograph(np.zeros(shape, np.float32), aspect=aspect)
    assert Placement(radiograph, crop, rotation).native_pixels == pytest.approx(pixels, abs=1)


def test_limits_are_those_of_the_shares():
    needed = round(640 * DOUBTFUL)
    assert not Resolution(needed, 640).limits and Resolution(needed - 1, 640).limits
    assert not Resolution(needed - 1, 640).too_coarse and Resolution(640 * TOO_COARSE - 1, 640).too_coarse
    assert Resolution(640 * TOO_COARSE - 1, 640).limits
    assert not Resolution(96, 96).limits  # a small network asks for little


def test_a_fine_radiograph_says_nothing(film):
    result = predict(film, FINE)
    assert result.scored.sum() == 5 and result.to_dict()["pixels_across_wrist"] == SIZE
    assert "oarse" not in summary(result) and not any("oarse" in note for note in result.notes)
    assert "scope" not in result.to_dict()["joints"][0]


def test_a_coarse_radiograph_keeps_its_scores_with_a_caution(film):
    fine, result = predict(film, FINE), predict(film, MIDDLE)
    np.testing.assert_array_equal(result.probabilities, fine.probabilities)
    (sentence,) = result.resolution_notes
    assert f"{SIZE} pixels across the wrist" in sentence and f"need {result.resolution.needed}" in sentence
    written = json.loads(json.dumps(result.to_dict()))
    assert sentence in written["notes"] and written["joints"][0]["scope"][0]["status"] == COARSE
    assert not written["joints"][0]["withheld"] and "probability" in written["joints"][0]
    assert "; coarse radiograph" in summary(result) and "withheld" not in summary(result)
    assert sentence in describe_result(result)["doubts"]


def test_a_radiograph_that_is_too_coarse_has_no_erosion_scores_unless_asked(film):
    fine, result = predict(film, FINE), predict(film, HUGE)
    assert not result.scored.any() and result.withheld.tolist() == [True] * 5 + [False]
    np.testing.assert_array_equal(result.masks, fine.masks)
    assert "Erosion scores withheld." in result.notes and "erosion scores withheld" in summary(result)
    assert [label["joint"] for label in describe_result(result)["numbers"]] == list(range(5))
    asked = predict(film, HUGE, score_out_of_scope=True)
    np.testing.assert_array_equal(asked.probabilities, fine.probabilities)
    assert asked.resolution_notes == result.resolution_notes[:1] and "Erosion scores withheld." not in asked.notes


def test_overlay_shows_the_caution_above_the_bars(film):
    def amber(result):
        return (np.abs(np.asarray(result.plot()).astype(int) - (240, 190, 90)).max(-1) < 12).sum()

    assert amber(predict(film, MIDDLE)) > amber(predict(film, FINE)) + 300


@pytest.mark.parametrize("detail_size", [MIDDLE, HUGE])
def test_structured_report_and_presentation_state_say_it(film, detail_size):
    pytest.importorskip("highdicom")
    from jointwrist.outputs.dicom_pr import build_pr
    from jointwrist.outputs.dicom_sr import LIMITS, build_sr

    result = predict(film, detail_size)
    report, state = ([element.value for element in built.iterall()] for built in (build_sr(result), build_pr(result)))
    assert LIMITS[COARSE][1] in report and result.resolution_notes[0] in report
    assert any(result.resolution_notes[0] in value for value in state if isinstance(value, str))


def test_a_segmentation_network_has_no_erosion_to_doubt(film):
    class Masks(TwoImages):
        def forward(self, image, detail=None):
            return super().forward(image).mask_logits

    path, masks = film
    predictor = Predictor(Masks(masks, "L"), image_size=SIZE, detail_size=HUGE, localise=False, device="cpu")
    result = predictor(path).single()
    assert result.resolution is None and not result.resolution_notes


def test_the_benchmark_counts_false_calls_and_new_ones():
    def called(*joints):
        return Called(100.0, np.ones(6, bool), np.isin(range(6), joints), 14)

    by_size = {300: [called(0), called()], 100: [called(0, 1), None]}
    phantoms, own = (table(by_size, own).splitlines()[2:] for own in (False, True))
    assert "1 of 12 (8.3 %) | 1 of 2" in phantoms[0] and "2 of 6 (33.3 %) | 1 of 1 | 14.0 | 1 |" in phantoms[1]
    assert "0 of 12 (0.0 %) | 0 of 2" in own[0] and "1 of 6 (16.7 %)" in own[1]


def test_the_benchmark_reduces_radiographs_by_averaging():
    radiograph = Radiograph(np.kron(np.arange(12.0).reshape(3, 4), np.ones((8, 8))).astype(np.float32), spacing_mm=0.1)
    assert reduced(radiograph, 4).pixels.shape == (3, 4)
    assert np.corrcoef(reduced(radiograph, 4).pixels.ravel(), np.arange(12))[0, 1] > 0.999
