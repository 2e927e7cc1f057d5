"""Images in files: what was written comes back as grey in [0, 1], whatever the format."""

from __future__ import annotations

import zlib

import bad_files
import numpy as np
import pytest
from PIL import Image

from jointwrist.data.images import read as reader
from jointwrist.data.images import read_image, write_image
from jointwrist.data.load import load_radiograph
from jointwrist.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (17, 23), np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (17, 23), np.uint16)


@pytest.mark.parametrize("ending", ["bmp", "png", "tif", "tiff", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_eight_bit_grey_comes_back_whatever_its_channels(tmp_path, ending, mode):
    path = tmp_path / f"radiograph.{ending}"
    Image.fromarray(GREY).convert(mode).save(path)
    found = read_image(path)
    assert found.dtype == np.float32 and found.shape == GREY.shape
    np.testing.assert_allclose(found, GREY / 255, atol=1e-6)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_depth(tmp_path, ending):
    path = tmp_path / f"radiograph.{ending}"
    Image.fromarray(DEEP).save(path)
    np.testing.assert_allclose(read_image(path), DEEP / 65535, atol=1e-7)


@pytest.mark.parametrize("kind", [2, 4, 6])
@pytest.mark.parametrize("bits", [12, 16])
def test_few_bits_in_deep_colour_are_not_read_as_few_shades(tmp_path, kind, bits):
    channels = {2: (0, 0, 0), 4: (0, None), 6: (0, 0, 0, None)}[kind]
    grey = DEEP >> (16 - bits)
    rows = np.stack([np.full_like(grey, 65535) if part is None else grey for part in channels], -1)
    path = tmp_path / "radiograph.png"
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    path.write_bytes(bad_files.png(*GREY.shape[::-1], zlib.compress(body), 16, kind))
    if bits == 16:
        np.testing.assert_allclose(read_image(path), grey / 65535, atol=1 / 255)
    else:
        with pytest.raises(DataError, match="16 shades of grey would be read; save it as grey of 16 bits"):
            read_image(path)


def test_a_jpeg_that_pillow_does_not_know_is_called_one(tmp_path):
    path = tmp_path / "radiograph.jpg"
    path.write_bytes(b"\xff\xd8\xff\xc3\x00\x0b\x0c\x00\x11\x00\x17\x01\x01\x11\x00\xff\xd9")
    with pytest.raises(DataError, match=r"a JPEG image that is damaged or of an unusual kind"):
        read_image(path)


def test_a_big_endian_tiff(tmp_path):
    path = tmp_path / "radiograph.tif"
    Image.frombytes("I;16B", (23, 17), DEEP.astype(">u2").tobytes()).save(path)
    np.testing.assert_allclose(read_image(path), DEEP / 65535, atol=1e-7)


def test_jpeg_is_close(tmp_path):
    smooth = np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "radiograph.jpg", quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "radiograph.jpg"), smooth / 255, atol=0.05)


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    Image.fromarray(GREY).save(tmp_path / "radiograph.png", exif=exif)
    np.testing.assert_allclose(read_image(tmp_path / "radiograph.png"), np.rot90(GREY, -1) / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY / 255),
        (DEEP, DEEP / 65535),
        (DEEP.astype(np.int32), DEEP / 65535),
        (GREY / 255, GREY / 255),
        ((GREY / 255).astype(np.float16), (GREY / 255).astype(np.float16)),
        (GREY > 99, GREY > 99),
        (np.asfortranarray(DEEP), DEEP / 65535),
        (DEEP.astype(">u2"), DEEP / 65535),
    ],
)
def test_arrays(tmp_path, array, expected):
    np.save(tmp_path / "radiograph.npy", array)
    found = read_image(tmp_path / "radiograph.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 4), np.nan),
        np.array([[0.0, np.inf]]),
        np.full((4, 4), 1.5),
        np.full((4, 4), -1),
        np.full((4, 4), 65536),
        np.zeros((4, 4), complex),
        np.zeros((4, 4), "datetime64[s]"),
        np.zeros((4, 4), [("a", "i4")]),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.float32(0.5),
    ],
)
def test_arrays_that_are_no_grey_image(tmp_path, array):
    np.save(tmp_path / "radiograph.npy", array)
    with pytest.raises(DataError, match=r"radiograph\.npy: "):
        read_image(tmp_path / "radiograph.npy")


def test_python_objects_are_not_unpickled(tmp_path):
    fired = tmp_path / "fired"
    np.save(tmp_path / "radiograph.npy", np.array([[bad_files.Trap(fired)]], object), allow_pickle=True)
    with pytest.raises(DataError, match="plain npy array"):
        read_image(tmp_path / "radiograph.npy")
    assert not fired.exists()


@pytest.mark.parametrize("size", [(9000, 9000), (60000, 60000), (1, 20_000_000), (8193, 1)])
def test_a_small_file_of_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch, size):
    """A strip is padded to a square, so that its longer side counts."""
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    (tmp_path / "radiograph.png").write_bytes(bad_files.png_of_size(*size))
    with pytest.raises(DataError, match="a side may have 8,192"):
        read_image(tmp_path / "radiograph.png")


def test_the_limit_holds_for_arrays_too(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_SIDE", 22)
    np.save(tmp_path / "radiograph.npy", GREY)
    with pytest.raises(DataError, match="23 x 17 pixels"):
        read_image(tmp_path / "radiograph.npy")


def test_what_cannot_be_an_image_is_refused(tmp_path):
    (tmp_path / "radiograph.bmp").write_bytes(b"BMnothing of the kind")
    Image.fromarray(GREY).save(tmp_path / "radiograph.gif")
    pages = [Image.fromarray(GREY), Image.fromarray(GREY)]
    pages[0].save(tmp_path / "radiograph.tif", save_all=True, append_images=pages[1:])
    for name, message in (
        ("radiograph.bmp", "image"),
        ("radiograph.gif", "not a BMP, PNG, JPEG or TIFF"),
        ("radiograph.tif", "2 pages"),
        ("nothing.png", "no such file"),
        ("", "is a folder"),
    ):
        with pytest.raises(DataError, match=message):
            read_image(tmp_path / name)


@pytest.mark.parametrize("ending", ["bmp", "png", "tif"])
def test_what_is_written_is_read(tmp_path, ending):
    path = tmp_path / "new folder" / f"radiograph.{ending}"
    write_image(path, GREY / np.float32(255))
    np.testing.assert_allclose(read_image(path), GREY / 255, atol=1e-6)
    write_image(path, np.array([[-1.0, 0.5, 2.0]]))
    np.testing.assert_allclose(read_image(path), [[0, 128 / 255, 1]], atol=1e-6)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no temporary file is left"


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_is_dark(tmp_path, ending, mode):
    grey = np.arange(1, 241, dtype=np.uint8).reshape(15, 16)
    alpha = np.full_like(grey, 255)
    alpha[:5] = 0
    image = Image.fromarray(np.dstack([grey, alpha])).convert(mode)
    image.save(tmp_path / f"radiograph{ending}")
    np.testing.assert_array_equal(
        read_image(tmp_path / f"radiograph{ending}"), np.where(alpha, grey, 0).astype(np.float32) / np.float32(255)
    )
    image.putalpha(0)  # an empty channel says nothing
    image.save(tmp_path / f"radiograph{ending}")
    np.testing.assert_array_equal(
        read_image(tmp_path / f"radiograph{ending}"), grey.astype(np.float32) / np.float32(255)
    )


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "bmp"])
@pytest.mark.parametrize(
    ("dpi", "oblong"), [((254, 127), True), ((204, 196), True), ((300, 300), False), (None, False)]
)
def test_a_resolution_of_oblong_pixels_is_told(ending, dpi, oblong, tmp_path):
    path = tmp_path / f"wrist_L.{ending}"
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10)).save(path, **({"dpi": dpi} if dpi else {}))
    radiograph = load_radiograph(path)
    told = [note for note in radiograph.notes if "oblong pixels" in note]
    assert len(told) == oblong and radiograph.aspect == 1
    if oblong:
        assert f"{dpi[0]} pixels across and {dpi[1]} down" in told[0] and told[0] in radiograph.cautions
