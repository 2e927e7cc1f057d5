"""The predictor gives a network that looks at the other hand both hands of a study, in whatever order images come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydicom.uid import generate_uid
from test_dicom import make, save

from jointwrist.data.batches.hand_pairs import ALONE
from jointwrist.data.images import write_image
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.batches import other_wrists, radiograph_batches
from jointwrist.inference.predictor import Predictor
from jointwrist.registry import create_model

SIZE = 32


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", encoder="conv", roi_crop=32, other_hand=True).eval()
    with torch.no_grad():  # masks that are neither empty nor full; an untrained head hardly looks at anything
        torch.nn.init.zeros_(model.decoder.mask_head.bias)
        model.erosion.other_embedding.normal_()
        model.erosion.token.weight.mul_(20)
    return Predictor(model, image_size=SIZE, device="cpu", localise=False)


def radiographs(count):
    return [np.random.default_rng(seed).random((SIZE, SIZE)).astype(np.float32) for seed in range(count)]


def probabilities(results):
    return np.stack([result.probabilities for result in results])


def test_both_hands_of_a_study_are_looked_at_together_in_any_order_and_batch(predictor, tmp_path):
    names = ["a_L.png", "b_L.png", "c_R.png", "a_R.png", "d.png"]
    for name, pixels in zip(names, radiographs(5), strict=True):
        write_image(tmp_path / name, pixels)
    paths = [tmp_path / name for name in names]
    alone = probabilities([predictor(path).single() for path in paths])
    found = probabilities(predictor(paths, batch_size=2))
    assert (np.abs(found - alone) > 1e-3)[[0, 3]].any(1).all(), "a_L and a_R saw each other"
    np.testing.assert_allclose(found[[1, 2, 4]], alone[[1, 2, 4]], atol=1e-5)
    # what the network itself says of the two
    pixels = torch.stack([torch.from_numpy(predictor(paths[i]).single().radiograph.pixels) for i in (0, 3)])[:, None]
    pixels[0] = pixels[0].flip(-1)
    with torch.no_grad():
        expected = predictor.model(pixels, other=torch.tensor([1, 0])).erosion_logits.sigmoid()[..., 0]
    seen = np.isfinite(found[[0, 3]])
    np.testing.assert_allclose(found[[0, 3]][seen], expected.numpy()[seen], atol=1e-5)
    assert seen.sum() > 6
    for size in (1, 3, 8):
        again = predictor(paths[::-1], batch_size=size)
        assert [result.name for result in again] == names[::-1]
        np.testing.assert_allclose(probabilities(again)[::-1], found, atol=1e-4)


def test_dicom_radiographs_of_one_study_are_looked_at_together(predictor, tmp_path):
    study, pixels = generate_uid(), [(image * 4095).astype(np.uint16) for image in radiographs(3)]
    for name, side, uid, image in zip("xyz", "LRR", (study, generate_uid(), study), pixels, strict=True):
        save(make(image, Laterality=side, StudyInstanceUID=uid), tmp_path / name)
    alone = probabilities([predictor(tmp_path / name).single() for name in "xyz"])
    found = probabilities(predictor(tmp_path, batch_size=1))
    changed = (np.abs(found - alone) > 1e-3).any(1)
    assert changed.tolist() == [True, False, True]


def test_a_network_without_the_option_gets_radiographs_in_their_order(tmp_path):
    paths = [tmp_path / name for name in ("a_L.png", "b_L.png", "a_R.png")]
    assert list(radiograph_batches(paths, 2, False)) == [[0, 1], [2]]
    assert list(radiograph_batches(paths, 2, True)) == [[0, 2], [1]]
    assert list(radiograph_batches(paths, 1, True)) == [[0, 2], [1]]
    assert list(radiograph_batches([*paths, np.zeros((2, 2))], 4, True)) == [[0, 2, 1, 3]]
    assert list(radiograph_batches([tmp_path / f"{x}_a_L.png" for x in "abc"], 1, True)) == [[0], [1], [2]]
    assert list(radiograph_batches([paths[0]] * 5, 2, True)) == [[0, 1], [2, 3], [4]]
    assert not Predictor(create_model("jointwrist_tiny", encoder="conv"), device="cpu", localise=False).pairs_hands


def test_who_is_whose_other_hand():
    pixels = np.zeros((4, 4), np.float32)
    left = Radiograph(pixels, side="L", study="s")
    right, unknown, other = replace(left, side="R"), replace(left, side=None), replace(left, side="R", study="t")
    assert other_wrists([left, unknown, other, right]) == [3, ALONE, ALONE, 0]
    fields = [Radiograph(pixels, side=side) for side in "LR"]
    assert other_wrists(fields) == [1, 0], "two hands on one radiograph"
    assert other_wrists([fields[0], Radiograph(pixels.copy(), side="R")]) == [ALONE, ALONE]
