"""Masks of a prediction for 3D Slicer and as NIfTI: every bit comes back, names, colours and spacing are right."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_results import SIZE, Recall, write_radiograph
from PIL import Image

from jointwrist.anatomy import BONE_NAMES, BONES
from jointwrist.cli import main
from jointwrist.data.mask_formats import nifti as nifti_format
from jointwrist.data.mask_formats import seg_nrrd
from jointwrist.inference.predictor import Predictor
from jointwrist.outputs.mask_files import MASK_FILES

nibabel, nrrd = pytest.importorskip("nibabel"), pytest.importorskip("nrrd")
pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")


@pytest.fixture(scope="module", params=[[0.15, 0.15], [0.2, 0.1], None], ids=["square", "oblong", "unknown"])
def case(request, tmp_path_factory):
    """A prediction, the masks that must be in its files, and height and width of a pixel."""
    folder = tmp_path_factory.mktemp("masks")
    path, masks = write_radiograph(folder, "L", ImagerPixelSpacing=request.param)
    masks[3] = False  # a bone that was not found
    result = Predictor(Recall(masks, "L"), image_size=SIZE, postprocess=False, localise=False)(path).single()
    if request.param != [0.2, 0.1]:  # oblong pixels are resampled for the network
        np.testing.assert_array_equal(result.masks, masks)
    for kind in MASK_FILES.values():
        kind.save(result, folder / f"wrist{kind.ending}")
    return folder, result.masks, request.param or [1.0, 1.0]


def test_segmentations_for_slicer_keep_masks_names_colours_and_spacing(case):
    folder, masks, (height, width) = case
    path = folder / "wrist_masks.seg.nrrd"
    data, header = nrrd.read(str(path))
    found = [bone for bone in BONES if masks[bone.index].any()]
    assert 12 <= len(found) <= 13 and sum((masks[a] & masks[b]).any() for a in range(14) for b in range(a)) >= 3
    assert data.shape == (len(found), SIZE, SIZE, 1)
    for number, bone in enumerate(found):
        layer = int(header[f"Segment{number}_Layer"])
        np.testing.assert_array_equal(data[layer, ..., 0].T == 1, masks[bone.index])
        assert header[f"Segment{number}_Name"] == bone.name
        colour = [float(part) * 255 for part in header[f"Segment{number}_Color"].split()]
        assert colour == pytest.approx(bone.colour, abs=0.01)
    np.testing.assert_allclose(header["space directions"][1:], np.diag([width, height, 1.0]))
    assert header["space"] == "left-posterior-superior"
    for name, mask in seg_nrrd.read(path, (SIZE, SIZE)):
        np.testing.assert_array_equal(mask, masks[BONE_NAMES.index(name)])


def test_nifti_stacks_keep_masks_and_spacing(case):
    folder, masks, (height, width) = case
    path = folder / "wrist_masks.nii.gz"
    image = nibabel.load(path)
    assert image.header.get_zooms() == pytest.approx((width, height, 1.0, 1.0))
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, 0].transpose(2, 1, 0), masks)
    np.testing.assert_allclose(image.affine, np.diag([-width, -height, 1.0, 1.0]))
    for (name, mask), bone in zip(nifti_format.read(path), BONES, strict=True):
        assert name == bone.name
        np.testing.assert_array_equal(mask, masks[bone.index])


def test_predict_writes_them_beside_the_rest(tmp_path, capsys):
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(tmp_path / "picture_R.png")
    out = tmp_path / "out"
    command = ["predict", str(tmp_path / "picture_R.png"), "-o", str(out), "--field", "whole"]
    assert main([*command, "--also", "nrrd, nifti", "--for", "seg.nrrd"]) == 0
    assert {path.name for path in out.glob("picture_R_masks.*")} == {
        f"picture_R_masks.{ending}" for ending in ("png", "npz", "seg.nrrd", "nii.gz")
    }
    assert (out / "seg.nrrd" / "picture_R.seg.nrrd").is_file()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--also", "pdf"])
    assert "'pdf' is not one of nrrd, nifti" in capsys.readouterr().err
