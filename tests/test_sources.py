"""What the Python interface takes for a radiograph: paths and arrays of any kind, and a plain word for the rest."""

from __future__ import annotations

import pickle
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from PIL import Image

from jointwrist.data.images import write_image
from jointwrist.errors import DataError
from jointwrist.inference.search.localiser import Localiser
from jointwrist.inference.sources import list_sources, read_radiograph

GREY = np.random.default_rng(0).integers(10, 120, (48, 40)).astype(np.uint8)


@pytest.fixture
def picture(tmp_path):
    write_image(tmp_path / "wrist_L.png", GREY / 255)
    return tmp_path / "wrist_L.png"


@pytest.mark.parametrize("kind", [str, Path, PurePath, np.str_])
def test_one_path_of_any_kind(kind, picture):
    assert [Path(source) for source in list_sources(kind(picture))] == [picture]


@pytest.mark.parametrize("kind", [list, tuple, set, iter, pd.Series, lambda paths: (path for path in paths)])
def test_several_paths_in_any_kind_of_list(kind, picture):
    assert list_sources(kind([str(picture)])) == [picture]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (Image.fromarray(GREY), "Image"),
        (torch.from_numpy(GREY), "Tensor"),
        (pd.DataFrame(GREY), "DataFrame"),
        (GREY.tolist(), "list"),
        ([Image.fromarray(GREY)], "Image"),
        ([torch.from_numpy(GREY)], "Tensor"),
        (b"wrist_L.png", "bytes"),
        (7, "int"),
        (memoryview(b"BM"), "memoryview"),
        (bytearray(b"BM"), "bytearray"),
        (pydicom.Dataset(), "Dataset"),
        (None, "NoneType"),
    ],
)
def test_everything_else_is_named_with_the_remedy(given, named):
    with pytest.raises(TypeError, match=rf"NumPy array \(H, W\) of grey values, not {named}; convert it"):
        list_sources(given)


@pytest.mark.parametrize("given", ["", [""]])
def test_an_empty_path_is_not_the_current_folder(given, picture, monkeypatch):
    monkeypatch.chdir(picture.parent)
    with pytest.raises(DataError, match="a path is empty"):
        list_sources(given)


@pytest.mark.parametrize(
    "array",
    [
        *(GREY.astype(kind) for kind in "u1 <u2 >u2 i2 i4 u8 i8 f4 f8 >f4 longdouble".split()),
        np.asfortranarray(GREY),
        np.ascontiguousarray(GREY[::-1])[::-1],
        GREY.view(np.matrix),
        np.ma.masked_array(GREY),
    ],
)
def test_arrays_of_any_type_and_order_are_one_radiograph(array):
    pixels = read_radiograph(array).pixels
    assert type(pixels) is np.ndarray and np.allclose(pixels, read_radiograph(GREY).pixels, atol=1e-6)


def test_masked_values_are_refused():
    with pytest.raises(DataError, match=r"masked values; fill them, as with array\.filled\(0\)"):
        read_radiograph(np.ma.masked_less(GREY, 20))


def test_a_predictor_says_that_each_process_needs_its_own(predictor):
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(Localiser(predictor.network, 64))
