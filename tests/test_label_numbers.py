"""Label maps of other programs: their numbers are read as stated, and those that nobody stated are refused."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jointwrist.anatomy import BONE_NAMES
from jointwrist.data.importers.volumes import read_nifti
from jointwrist.data.mask_formats import bit_map, label_map, nifti
from jointwrist.data.mask_formats.png import read_png
from jointwrist.data.mask_formats.predicted import find_masks
from jointwrist.data.sample import pack_masks, unpack_masks
from jointwrist.errors import DataError

SIZE = (30, 40)


def png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of less than 8 bits, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    unpacked = (values[..., None] >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(unpacked.reshape(len(values), -1).astype(np.uint8), axis=1)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_labels_of_few_bits_are_the_numbers_that_were_written(tmp_path, bits):
    labels = np.random.default_rng(bits).integers(0, 2**bits, (9, 13))
    (tmp_path / "labels.png").write_bytes(png(labels, bits))
    np.testing.assert_array_equal(read_png(tmp_path / "labels.png"), labels)


def bones() -> np.ndarray:
    """A block per bone."""
    masks = np.zeros((len(BONE_NAMES), *SIZE), bool)
    for bone, mask in enumerate(masks):
        mask[2 * bone : 2 * bone + 2, 3 : 9 + bone] = True
    return masks


#: The bones in the reverse order, as nnU-Net 2 and 1 name them.
NUMBERS = {name: len(BONE_NAMES) - bone for bone, name in enumerate(BONE_NAMES)}
LABELS = {
    "version 2": {"background": 0, **NUMBERS, "ignore": 15},
    "version 1": {"0": "background", **{str(number): name for name, number in NUMBERS.items()}},
}


@pytest.mark.parametrize("version", LABELS)
def test_numbers_are_those_that_nnunet_states(tmp_path, version):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": LABELS[version], "file_ending": ".png"}))
    bits = pack_masks(bones())
    labels = np.where(label_map.to_label_map(bits), 15 - label_map.to_label_map(bits), 0).astype(np.uint8)
    labels[-1, -1] = 15 if version == "version 2" else 0
    Image.fromarray(labels).save(tmp_path / "0001_0001_L.png")
    found = find_masks(tmp_path, {"0001_0001_L"})
    np.testing.assert_array_equal(unpack_masks(found.read("0001_0001_L", SIZE)), bones())
    own = find_masks(tmp_path, {"0001_0001_L"}, mapping={"14": None}).read("0001_0001_L", SIZE)
    assert not unpack_masks(own)[0].any(), "a mapping of the user takes precedence"


def test_nnunets_training_data_are_imported_by_their_own_numbers(tmp_path):
    pytest.importorskip("nibabel")
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "os lunatum": 1}}))
    mask = bones()[4]
    nifti._save(tmp_path / "labelsTr" / "0001_0001_L.nii.gz", mask.T[..., None].astype(np.uint8), None)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "0001_0001_L.png")
    (radiograph,) = read_nifti(tmp_path / "labelsTr", tmp_path, {"os lunatum": "Lunate"})
    assert radiograph.notes == ()
    np.testing.assert_array_equal(unpack_masks(radiograph.bones(SIZE))[4], mask)


def test_numbers_that_nobody_stated_are_named(tmp_path):
    pytest.importorskip("nibabel")
    nifti._save(tmp_path / "0001_0001_L.nii.gz", label_map.to_label_map(pack_masks(bones())).T[..., None] % 3, None)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "0001_0001_L.png")
    (radiograph,) = read_nifti(tmp_path)
    assert "taken as 1 Capitate, 2 DistalRadius (--map changes it)" in radiograph.notes[0]
    (radiograph,) = read_nifti(tmp_path, mapping={"1": "Lunate"})
    assert "taken as 2 DistalRadius (--map" in radiograph.notes[0]


def test_a_label_map_of_few_bones_in_16_bits_is_no_bit_map(tmp_path):
    """As bits, its third bone would be where the first and the second overlap."""
    labels = np.zeros(SIZE, np.uint16)
    for bone in range(5):
        labels[bones()[bone]] = bone + 1
    Image.fromarray(labels).save(tmp_path / "0001_0001_L.png")
    with pytest.raises(DataError, match=r"may be a label map of a few bones, .* say --format labels"):
        find_masks(tmp_path, {"0001_0001_L"}).read("0001_0001_L", SIZE)
    found = find_masks(tmp_path, {"0001_0001_L"}, "labels").read("0001_0001_L", SIZE)
    np.testing.assert_array_equal(unpack_masks(found)[:5], bones()[:5])
    forearm = np.array([[0, 2, 6, 4]], np.uint16)  # radius and ulna alone
    bit_map.write_npz(tmp_path / "own.npz", forearm)
    np.testing.assert_array_equal(
        pack_masks(np.array([mask for _, mask in bit_map.read(tmp_path / "own.npz")])), forearm
    )


ONES = (
    r"its masks hold 0 and 1 alone, and nothing says whether 1 is Capitate, another bone or all bones; if it is one"
    r" bone.*`1: DistalRadius`; if it is all, write a mask of each bone"
)


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "nifti"])
def test_masks_of_0_and_1_are_not_taken_for_the_capitate(tmp_path, kind):
    """They may as well be the Lunate's, or the union of all bones."""
    cases = {"0001_0001_L": bones().any(0), "0001_0001_R": np.zeros(SIZE, bool)}
    for case, mask in cases.items():
        if kind == "nifti":
            pytest.importorskip("nibabel")
            nifti._save(tmp_path / f"{case}.nii.gz", mask.T[..., None], None)
        else:
            Image.fromarray(mask.astype(np.uint16 if kind == "16 bits" else np.uint8)).save(tmp_path / f"{case}.png")
    with pytest.raises(DataError, match=ONES):
        find_masks(tmp_path, cases)
    named = find_masks(tmp_path, cases, None, {"1": "Lunate"}).read("0001_0001_L", SIZE)
    expected = np.zeros_like(bones())
    expected[BONE_NAMES.index("Lunate")] = cases["0001_0001_L"]
    np.testing.assert_array_equal(unpack_masks(named), expected)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "Lunate": 1}}))
    np.testing.assert_array_equal(find_masks(tmp_path, cases).read("0001_0001_L", SIZE), named)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "Capitate": 2}}))
    found = find_masks(tmp_path, cases, None, {"1": "Lunate"}).read("0001_0001_L", SIZE)
    np.testing.assert_array_equal(found, named, "a number that the file does not name")


def test_one_file_of_several_numbers_makes_ones_the_first_bone(tmp_path):
    labels = {"0001_0001_L": bones()[0].astype(np.uint8), "0001_0001_R": 2 * bones()[1].astype(np.uint8)}
    for case, values in labels.items():
        Image.fromarray(values).save(tmp_path / f"{case}.png")
    found = unpack_masks(find_masks(tmp_path, labels).read("0001_0001_L", SIZE))
    np.testing.assert_array_equal(found[0], bones()[0])
    assert not found[1:].any()


def test_imported_masks_of_0_and_1_are_not_taken_for_the_capitate(tmp_path):
    pytest.importorskip("nibabel")
    nifti._save(tmp_path / "0001_0001_L.nii.gz", bones().any(0).T[..., None], None)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "0001_0001_L.png")
    with pytest.raises(DataError, match=ONES):
        read_nifti(tmp_path)
    (radiograph,) = read_nifti(tmp_path, mapping={"1": "Lunate"})
    assert radiograph.notes == () and unpack_masks(radiograph.bones(SIZE))[BONE_NAMES.index("Lunate")].any()


def test_a_mask_per_bone_in_pictures_is_told_where_to_go(tmp_path):
    for bone in ("Capitate", "Lunate"):
        Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / f"0001_0001_L_{bone}.png")
    with pytest.raises(DataError, match=r"masks of one bone each are read as NIfTI, 0001_0001_L/BONE\.nii\.gz"):
        find_masks(tmp_path, {"0001_0001_L"})


def test_labels_of_nnunets_regions_are_refused_by_name(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "Carpus": [1, 2], "Lunate": 2}}))
    label_map.write(tmp_path / "0001_0001_L.png", pack_masks(bones()))
    with pytest.raises(DataError, match=r"dataset\.json: the label Carpus is \[1, 2\], not a number"):
        find_masks(tmp_path, {"0001_0001_L"})
