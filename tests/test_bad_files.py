"""Damaged and hostile files: each is read, or refused by an error that names it; nothing in it is run."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import bad_files
import numpy as np
import pytest

from jointwrist.data.arrays import read_npy, read_npz
from jointwrist.data.dicom import Radiograph, load_radiograph
from jointwrist.data.tables import read_boxes, read_scores, read_spacings
from jointwrist.errors import DataError

pytestmark = pytest.mark.trust

#: How each kind of file is read; every other kind is a film.
READERS = {
    "film.npy": read_npy,
    "masks.npy": read_npy,
    "truth.npz": lambda path: read_npz(path, ("eroded", "healthy")),
    "scores.json": read_scores,
    "boxes.coco.json": lambda path: read_boxes(path, {"0001_0001_L"}),
    "metadata.xlsx": read_spacings,
}
VERSIONS = 16
#: A file of a few megabytes may take so much memory to read; Pillow's own limit allows a film of about 180 megapixels.
MEMORY = 2 * 2**30


def read(name: str, path: Path):
    """Read a file as its name asks; a reader may only return, or raise an error that names the file."""
    try:
        return READERS.get(name, load_radiograph)(path)
    except DataError as error:
        assert path.name in str(error)
        return None


@pytest.mark.parametrize("name", bad_files.SOUND)
def test_sound_files_are_read(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(bad_files.SOUND[name]())
    assert read(name, path) is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", bad_files.SOUND)
def test_damaged_files_are_read_or_refused_by_name(name, tmp_path):
    path = tmp_path / name
    for content in bad_files.damaged(name, VERSIONS):
        path.write_bytes(content)
        film = read(name, path)
        if isinstance(film, Radiograph):
            assert film.pixels.ndim == 2 and np.isfinite(film.pixels).all()


HUGE = {
    "huge.png": lambda: bad_files.png_of_size(60000, 60000),
    "huge.bmp": lambda: bad_files.bmp_of_size(60000, 60000),
    "huge.jpg": lambda: bad_files.jpeg_of_size(65000, 65000),
    "flat.png": lambda: bad_files.png_of_size(0, 10),
    "other_size.dcm": lambda: bad_files.j2k_of_size(40000, 40000),
    "film.npy": lambda: bad_files.npy_of_shape((14, 10**6, 10**6)),
    "masks.npy": lambda: bad_files.npy_of_shape((2**62, 4)),
    "metadata.xlsx": lambda: bad_files.zip_bomb("xl/workbook.xml", 2**28),
    "truth.npz": lambda: bad_files.zip_bomb("eroded.npy", 2**28),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HUGE)
def test_files_that_claim_to_be_huge_are_refused_without_the_memory(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(HUGE[name]())
    tracemalloc.start()
    try:
        assert read(name, path) is None
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(20)
def test_a_jpegls_image_cut_short_is_refused_at_once(tmp_path):
    """Found by `fuzz.py`: the decoder took half a minute over two kilobytes."""
    path = tmp_path / "cut.dcm"
    path.write_bytes(bad_files.jpegls_cut_short())
    with pytest.raises(DataError, match=r"cut\.dcm: JPEG-LS image cut short"):
        load_radiograph(path)


@pytest.mark.parametrize("values", [np.array([1.0]), np.zeros((14, 8, 8), np.uint8)], ids=["object", "beside"])
def test_pickles_in_arrays_are_never_loaded(values, tmp_path):
    target = tmp_path / "ran"
    trapped = np.empty(1, object)
    trapped[0] = bad_files.Trap(target)
    path = tmp_path / "masks.npy"
    path.write_bytes(bad_files.array(trapped, allow_pickle=True))
    assert read("masks.npy", path) is None
    archive = tmp_path / "truth.npz"
    np.savez(archive, eroded=trapped, healthy=values, allow_pickle=True)
    assert read("truth.npz", archive) is None
    assert not target.exists()
