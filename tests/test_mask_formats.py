"""Masks as other programs write them, made here without the package's own writers."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
from odd_dataset import SIZE, odd_masks
from PIL import Image

from jointwrist.anatomy import BONE_NAMES
from jointwrist.cli import main
from jointwrist.data.dataset.label_files import read_masks
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.mask_formats import label_map, nifti, seg_nrrd
from jointwrist.data.mask_formats.layers import bone_bits
from jointwrist.data.sample import pack_masks
from jointwrist.errors import DataError

nibabel, nrrd = pytest.importorskip("nibabel"), pytest.importorskip("nrrd")


@pytest.fixture(scope="module")
def masks(masked):
    return odd_masks(masked[0][1], 1)


def slicer_header(sizes, kind, offset="0 0 0", reference="", layers=True):
    directions = "none (0.2,0,0) (0,0.2,0) (0,0,1)" if layers else "(0.2,0,0) (0,0.2,0) (0,0,1)"
    return [
        "NRRD0004", f"type: {kind}", f"dimension: {len(sizes)}", "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}", f"space directions: {directions}",
        f"kinds: {'list ' if layers else ''}domain domain domain", "endian: little", "encoding: gzip",
        "space origin: (0,0,0)", "Segmentation_MasterRepresentation:=Binary labelmap",
        f"Segmentation_ReferenceImageExtentOffset:={offset}",
        f"Segmentation_ConversionParameters:=Collapse labelmaps|1|Merge.&Reference image geometry|{reference}|Text.&",
    ]  # fmt: skip


def write_nrrd(path, header, voxels):
    content = gzip.compress(voxels.tobytes(order="F"))
    path.write_bytes("\n".join(header).encode() + b"\n\n" + content)


def slicer_file(path, masks, cut=(0, 0, 0, 0), reference=True):
    """As 3D Slicer saves it: bones that do not overlap share a layer, 16 bits, the margin cut off."""
    layers, places = [], {}
    for bone, mask in enumerate(masks):
        if not mask.any():
            continue
        layer = next((i for i, voxels in enumerate(layers) if not voxels[mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(masks.shape[1:], np.int16))
        layers[layer][mask] = bone + 300
        places[bone] = layer
    top, bottom, left, right = cut
    rows, columns = slice(top, masks.shape[1] - bottom), slice(left, masks.shape[2] - right)
    voxels = np.stack(layers)[:, rows, columns].transpose(0, 2, 1)[..., None]
    matrix = "0.2;0;0;0;0;0.2;0;0;0;0;1;0;0;0;0;1;"
    geometry = f"{matrix}0;{masks.shape[2] - 1};0;{masks.shape[1] - 1};0;0;" if reference else ""
    header = slicer_header(voxels.shape, "short", f"{left} {top} 0", geometry)
    for number, (bone, layer) in enumerate(places.items()):
        fields = {"ID": f"Segment_{number}", "Name": BONE_NAMES[bone], "LabelValue": bone + 300, "Layer": layer}
        header += [f"Segment{number}_{key}:={value}" for key, value in fields.items()]
    write_nrrd(path, header, voxels)
    return len(layers)


@pytest.mark.parametrize("cut", [(0, 0, 0, 0), (1, 0, 2, 0), (0, 0, 0, 5), (2, 3, 0, 0)])
def test_segmentations_of_slicer_with_shared_layers_and_a_margin_cut_off(cut, masks, tmp_path):
    masks = masks.copy()
    top, bottom, left, right = cut
    inside = np.zeros(SIZE, bool)
    inside[top : SIZE[0] - bottom, left : SIZE[1] - right] = True
    masks &= inside
    path = tmp_path / "a.seg.nrrd"
    assert 2 <= slicer_file(path, masks, cut) < 10
    assert np.array_equal(bone_bits(seg_nrrd.read(path, SIZE), SIZE, {}, path), pack_masks(masks))
    names = [name for name, _ in seg_nrrd.read(path, SIZE)]
    assert names == [name for name, mask in zip(BONE_NAMES, masks, strict=True) if mask.any()]
    with pytest.raises(DataError, match="they are transposed"):
        seg_nrrd.read(path, SIZE[::-1])
    # an import does not know the size before it has read the masks
    assert np.array_equal(bone_bits(seg_nrrd.read(path), SIZE, {}, path), pack_masks(masks))


def test_a_small_segmentation_is_not_taken_for_one_whose_margin_was_cut_off(masks, tmp_path):
    path = tmp_path / "a.seg.nrrd"
    slicer_file(path, masks[:, ::2, ::2], reference=False)
    with pytest.raises(DataError, match="masks of 49 x 60 pixels, the radiograph has 97 x 120"):
        seg_nrrd.read(path, SIZE)


def test_segments_after_a_gap_in_the_numbers_are_read(tmp_path):
    """Programs that remove a segment leave the others' numbers; the tenth is after the second in any case."""
    labels = np.zeros(SIZE, np.uint8)
    numbers = {0: "Lunate", 2: "Scaphoid", 10: "Hamate"}
    for number in numbers:
        labels[4 * number : 4 * number + 3, 5:20] = number + 1
    fields = [
        f"Segment{number}_{key}:={value}"
        for number, name in numbers.items()
        for key, value in (("ID", f"S{number}"), ("Name", name), ("LabelValue", number + 1), ("Layer", 0))
    ]
    path, voxels = tmp_path / "a.seg.nrrd", labels.T[None, ..., None]
    write_nrrd(path, slicer_header(voxels.shape, "unsigned char") + fields, voxels)
    found = seg_nrrd.read(path, SIZE)
    assert [name for name, _ in found] == list(numbers.values())
    for (_, mask), number in zip(found, numbers, strict=True):
        np.testing.assert_array_equal(mask, labels == number + 1)


def test_a_segmentation_without_layers_is_read(masks, tmp_path):
    path = tmp_path / "a.seg.nrrd"
    voxels = np.where(masks[4], 2, 0).astype(np.uint8).T[..., None]
    fields = ["Segment0_ID:=s", "Segment0_Name:=Lunate", "Segment0_LabelValue:=2"]
    write_nrrd(path, slicer_header(voxels.shape, "unsigned char", layers=False) + fields, voxels)
    ((name, mask),) = seg_nrrd.read(path)
    assert name == "Lunate" and np.array_equal(mask, masks[4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(b"sizes: 1 97 120 1", b"sizes: 1 97000 120000 1"), "are more than"),
        (lambda text: text.replace(b"sizes: 1 97 120 1", b"sizes: 1 97 60 2"), "has 2 slices"),
        (lambda text: text.replace(b"encoding: gzip", b"encoding: bzip2"), "encoding bzip2"),
        (lambda text: text.replace(b"encoding: gzip", b"encoding: raw\ndata file: other.raw"), "in the same file"),
        (lambda text: text.replace(b"Layer:=0", b"Layer:=7"), "layer 7 of 1"),
        (lambda text: text.replace(b"Layer:=0", b"Layer:=x"), "not whole numbers"),
        (lambda text: text.replace(b"type: unsigned char", b"type: double"), "8 or 16 bits"),
        (lambda text: text.replace(b"Segment", b"Other"), "holds no segments"),
    ],
)  # fmt: skip
def test_damaged_segmentations_are_refused(change, message, masks, tmp_path):
    path = tmp_path / "a.seg.nrrd"
    fields = [f"Segment0_{key}:={value}" for key, value in (("ID", "s"), ("Name", "Lunate"), ("Layer", 0))]
    voxels = masks[4].astype(np.uint8).T[None, ..., None]
    write_nrrd(path, slicer_header(voxels.shape, "unsigned char") + fields, voxels)
    assert seg_nrrd.read(path, SIZE)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        seg_nrrd.read(path, SIZE)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    header = [*slicer_header((1, 97, 120, 1), "unsigned char"), "Segment0_ID:=s", "Segment0_Name:=Lunate"]
    path.write_bytes("\n".join(header).encode() + b"\n\n" + gzip.compress(bytes(2**25)))
    seg_nrrd.read(path, SIZE)  # what it imports counts for nothing
    tracemalloc.start()
    assert not seg_nrrd.read(path, SIZE)[0][1].any()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize("shape", [(97, 120, 14), (97, 120, 1, 14), (97, 120, 1, 1, 14)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int16])
def test_stacks_of_nibabel_monai_and_itk(shape, kind, masks, tmp_path):
    path = tmp_path / "a.nii.gz"
    values = np.moveaxis(masks, 0, -1).swapaxes(0, 1).reshape(shape).astype(kind)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-0.2, -0.2, 1, 1])), path)
    assert np.array_equal(bone_bits(nifti.read(path), SIZE, {}, path), pack_masks(masks))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((9, 8, 13), np.uint8), "13 masks, not 14"),
        (np.zeros((9, 8, 2, 14), np.uint8), "is not"),
        (np.full((9, 8, 14), 0.4, np.float32), "values other than 0 and 1"),
        (np.random.default_rng(0).random((9, 8)).astype(np.float32), "are not a label map"),
    ],
)
def test_other_nifti_files_are_refused(values, message, tmp_path):
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match=message):
        nifti.read(tmp_path / "a.nii")


@pytest.mark.parametrize("kind", ["stack", "label map"])
def test_stacks_and_label_maps_are_imported(kind, masks, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    Image.new("L", SIZE[::-1]).save(source / "0001_0001_L.png")
    bits = pack_masks(masks)
    if kind == "stack":
        nifti.write_stack(source / "0001_0001_L.nii.gz", bits)
        wanted = bits
    else:
        labels = label_map.to_label_map(bits)
        nibabel.save(nibabel.Nifti1Image(labels.T, np.eye(4)), source / "0001_0001_L.nii.gz")
        wanted = sum((labels == bone + 1).astype(np.uint16) << bone for bone in range(14))
    assert main(["data", "import", "nifti", str(source), str(tmp_path / "out")]) == 0
    assert np.array_equal(read_masks(RamW600.open(tmp_path / "out").cases[0].mask, SIZE), wanted)


def test_imports_name_what_is_missing(masks, tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    assert main(["data", "import", "seg.nrrd", str(source), str(tmp_path / "out")]) == 2
    assert "holds no masks" in capsys.readouterr().err
    slicer_file(source / "0001_0001_L.seg.nrrd", masks)
    assert main(["data", "import", "seg.nrrd", str(source), str(tmp_path / "out")]) == 2
    assert "its radiograph 0001_0001_L" in capsys.readouterr().err
    Image.new("L", SIZE).save(source / "0001_0001_L.png")
    assert main(["data", "import", "seg.nrrd", str(source), str(tmp_path / "out")]) == 2
    assert "they are transposed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
