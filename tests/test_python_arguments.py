"""Arguments of the Python interface that are not what is needed: the error says what to give."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from jointwrist import Predictor, compare
from jointwrist.config import ConfigError, build
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.load import load_radiograph
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.errors import DataError
from jointwrist.inference.result import read_masks

GREY = np.random.default_rng(0).integers(0, 255, (48, 40)).astype(np.uint8)


@pytest.fixture
def film(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("side", ["l", "left", "R ", "", 0, True])
def test_a_side_is_l_or_r_for_files_and_arrays(predictor, film, side):
    for source in (film, GREY):
        with pytest.raises(ValueError, match="a side is 'L' or 'R', not "):
            predictor(source, side)


@pytest.mark.parametrize("spacing", [0, -1, 150, "0.15", (0.15, 0.3), float("nan"), True])
def test_a_spacing_is_one_plausible_number(predictor, film, spacing):
    for source in (film, GREY):
        with pytest.raises(ValueError, match=r"a pixel spacing is one number from 0\.01 to 2 mm, not "):
            predictor(source, "L", spacing_mm=spacing)
    assert load_radiograph(film, "L", np.float32(0.15)).spacing_mm == pytest.approx(0.15)


@pytest.mark.parametrize("window", [-1, 1.0, "0", True, None])
def test_a_window_is_an_index(predictor, film, window):
    for source in (film, GREY):
        with pytest.raises(ValueError, match="a window is an index, 0 for the first one, not "):
            predictor(source, "L", window=window)
    assert load_radiograph(film, "L", window=np.int64(3)).side == "L"


@pytest.mark.parametrize("size", [0, -1, 2.5, "4", None])
def test_a_batch_has_a_radiograph(predictor, film, size):
    with pytest.raises(ValueError, match=f"batch_size {size!r}: give a whole number, at least 1"):
        predictor(film, "L", batch_size=size)


def test_one_object_that_is_no_radiograph_is_named_as_a_whole(predictor, film):
    with film.open("rb") as file:
        opened = [file, io.BytesIO(b""), {"a": film}, GREY.tolist(), torch.from_numpy(GREY), None]
        for source in opened:
            with pytest.raises(TypeError, match=f"not {type(source).__name__}; .* give its path"):
                predictor(source)
    with pytest.raises(TypeError, match=r"not BufferedReader; .* give its path"):
        predictor(file)  # closed


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        (np.stack([GREY] * 3, axis=-1), r"take one channel, as with array\[..., 0\]"),
        (GREY[..., None], r"take one channel, as with array\[..., 0\]"),
        (GREY[None], r"give array\[0\]"),
        (GREY[None, None], r"give array\[0, 0\]"),
        (np.stack([GREY, GREY]), "give several as a list"),
    ],
)
def test_an_array_of_another_shape_has_a_remedy(predictor, array, remedy):
    with pytest.raises(DataError, match=remedy):
        predictor(array, "L")


@pytest.mark.parametrize("rotation", [45, "90", 360, np.array([90, 180])])
def test_a_rotation_is_a_quarter_turn(rotation):
    with pytest.raises(ValueError, match="a rotation is 0, 90, 180 or 270 degrees"):
        Predictor.from_pretrained("jointwrist_tiny", rotation=rotation)


def test_a_predictor_of_a_name_says_how_to_load_it():
    with pytest.raises(TypeError, match="a network is needed, not str; Predictor"):
        Predictor("jointwrist_tiny")


def test_results_are_compared_not_files(film):
    for visit in (film, GREY, [GREY]):
        with pytest.raises(TypeError, match="two results are compared, each as predictor"):
            compare(visit, visit)


@pytest.mark.parametrize(
    ("name", "message"), [("", "is a folder"), ("a.json", "no PNG file"), ("b.png", "no such file")]
)
def test_files_that_are_no_masks_are_named(tmp_path, name, message):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataError, match=message):
        read_masks(tmp_path / name)


def test_an_unknown_split_and_a_dotted_key_are_named(phantom_root):
    with pytest.raises(ValueError, match="unknown split 'training'; splits are train, val, test"):
        RamW600.open(phantom_root, splits=("training",))
    with pytest.raises(ConfigError, match=r"unknown key optim\.epochs; in a mapping it is written optim: \{epochs: "):
        build(RunConfig, {"optim.epochs": 1})
