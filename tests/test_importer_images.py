"""Images of annotations: rotated by EXIF, named as URLs, beside masks of longer names, or no pictures."""

from __future__ import annotations

import json
import shutil

import nibabel
import nrrd
import numpy as np
import pytest
from annotation_files import small_coco
from dicom_files import make, save
from PIL import ExifTags, Image

from jointwrist.cli import main
from jointwrist.data.importers import read_coco
from jointwrist.data.importers.volumes import read_nifti, read_seg_nrrd
from jointwrist.data.mask_formats.nifti import write_stack
from jointwrist.data.sample import pack_masks
from jointwrist.errors import DataError

SQUARE = [10, 10, 30, 10, 30, 25, 10, 25]


def annotated(folder, name="0001_0001_L.png", size=(40, 50), segmentation=(SQUARE,), stated="0001_0001_L.png"):
    """A COCO file of one annotation of the scaphoid; size is that which the file states."""
    folder.mkdir(exist_ok=True)
    content = {
        "images": [{"id": 1, "file_name": stated, "height": size[0], "width": size[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": list(segmentation)}],
        "categories": [{"id": 1, "name": "Scaphoid"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)).save(folder / name)
    return folder / "instances.json"


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_masks_lie_on_the_picture_as_it_is_shown(tmp_path, orientation):
    file = annotated(tmp_path, size=(50, 40) if orientation > 1 else (40, 50))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(tmp_path / "0001_0001_L.png") as picture:
        picture.copy().save(tmp_path / "0001_0001_L.png", exif=exif)
    (radiograph,) = read_coco(file)
    assert np.count_nonzero(radiograph.bones((50, 40) if orientation > 1 else (40, 50))) == 20 * 15
    if orientation > 1:
        (radiograph,) = read_coco(annotated(tmp_path / "raw"))
        (tmp_path / "0001_0001_L.png").replace(tmp_path / "raw" / "0001_0001_L.png")
        with pytest.raises(DataError, match="did not rotate it as its EXIF orientation says"):
            radiograph.bones((50, 40))


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("Müller A_L.png", "images/M%C3%BCller%20A_L.png"),
        ("50%20_L.png", "50%20_L.png"),
        ("0001_L.png", "/data/local-files/?d=0001_L.png"),
        ("0001_L.png", "https://files.example/study/0001_L.png?token=3&d=a/b"),
        ("0001_L.png", "https://example.org/data/upload/1/0001_L.png"),
    ],
)
def test_an_image_may_be_named_as_a_url(tmp_path, name, stated):
    assert read_coco(annotated(tmp_path, name, stated=stated))[0].image == tmp_path / name


def test_a_polygon_within_another_is_filled_and_reported(tmp_path, capsys):
    hole, beside = [15, 12, 20, 12, 20, 20, 15, 20], [32, 10, 40, 10, 40, 20, 32, 20]
    notes = []
    for parts in ([SQUARE, hole], [hole, SQUARE], [SQUARE, beside], [hole]):
        (radiograph,) = read_coco(annotated(tmp_path, segmentation=parts))
        found = []
        area = np.count_nonzero(radiograph.bones((40, 50), found.append))
        assert area == {str(beside): 380, str(SQUARE): 300}.get(str(parts[-1]), 300 if len(parts) > 1 else 40)
        notes.append(" ".join(found))
    assert "part 2: lies within another part; it is filled, not a hole" in notes[0] and "part 1: lies" in notes[1]
    assert notes[2:] == ["", ""]


@pytest.mark.parametrize("ending", ["", "_seg", "-label", "_masks", ".Segmentation"])
def test_masks_have_the_name_of_their_radiograph_or_one_word_more(tmp_path, ending):
    annotated(tmp_path)
    stack = np.zeros((50, 40, 14), np.uint8)
    stack[10:30, 10:25, 6] = 1
    nibabel.save(nibabel.Nifti1Image(stack, np.eye(4)), tmp_path / f"0001_0001_L{ending}.nii.gz")
    (radiograph,) = read_nifti(tmp_path)
    assert radiograph.image == tmp_path / "0001_0001_L.png"
    nibabel.save(nibabel.Nifti1Image(stack, np.eye(4)), tmp_path / "0001_0001_L_2.nii.gz")
    with pytest.raises(DataError, match="its radiograph 0001_0001_L_2 "):
        read_nifti(tmp_path)


@pytest.mark.parametrize(("x", "y"), [(1, 1), (-1, -1), (1, -1), (-1, 1)])
def test_masks_whose_axes_are_mirrored_are_reported(tmp_path, x, y):
    annotated(tmp_path)
    stack = np.zeros((50, 40, 14), np.uint8)
    stack[10:30, 10:25, 6] = 1
    nibabel.save(nibabel.Nifti1Image(stack, np.diag([x, y, 1, 1])), tmp_path / "0001_0001_L.nii.gz")
    header = {"space": "left-posterior-superior", "kinds": ["domain"] * 3, "space directions": np.diag([x, y, 1.0])}
    header |= {"Segment0_ID": "a", "Segment0_Name": "Scaphoid", "Segment0_LabelValue": "1"}
    nrrd.write(str(tmp_path / "0001_0001_L.seg.nrrd"), stack[..., 6:7], header, index_order="F")
    for (radiograph,) in (read_nifti(tmp_path), read_seg_nrrd(tmp_path)):
        assert np.count_nonzero(radiograph.bones((40, 50))[10:25, 10:30]) == 20 * 15
        assert any("axes are those of a mirrored picture" in note for note in radiograph.notes) == (x * y < 0)


def test_masks_that_nibabel_turned_to_its_canonical_axes_are_named(masked, tmp_path, capsys):
    case, masks = masked[0]
    shutil.copy(case.image, tmp_path / f"{case.identifier}.bmp")
    write_stack(tmp_path / f"{case.identifier}.nii.gz", pack_masks(masks))
    assert main(["data", "import", "nifti", str(tmp_path), str(tmp_path / "straight")]) == 0
    assert "lie on bone if" not in capsys.readouterr().out
    stored = nibabel.load(tmp_path / f"{case.identifier}.nii.gz")
    values = np.asarray(nibabel.as_closest_canonical(stored).dataobj)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"{case.identifier}.nii.gz")
    assert main(["data", "import", "nifti", str(tmp_path), str(tmp_path / "canonical")]) == 0
    assert "lie on bone if they are turned by half a turn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("orientation", "turn", "told"), [(2, np.fliplr, "mirrored"), (3, np.rot90, "half a turn"), (4, np.flipud, "down")]
)
def test_an_orientation_that_keeps_the_size_is_told_and_masks_of_the_stored_pixels_are_named(
    orientation, turn, told, masked, tmp_path, capsys
):
    """The size cannot tell whether a tool showed the picture as its EXIF orientation says; the bones do."""
    case, masks = masked[0]
    image = np.asarray(Image.open(case.image).convert("L"))

    def turned(array):
        return np.ascontiguousarray(turn(turn(array)) if turn is np.rot90 else turn(array))

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(turned(image)).save(tmp_path / f"{case.identifier}.png", exif=exif)
    for name, drawn in (("shown", masks), ("stored", np.stack([turned(mask) for mask in masks]))):
        write_stack(tmp_path / f"{case.identifier}.nii.gz", pack_masks(drawn))
        assert main(["data", "import", "nifti", str(tmp_path), str(tmp_path / name)]) == 0
        said = capsys.readouterr().out
        assert "1 picture with an EXIF or TIFF orientation" in said
        assert (told in said and "lie on bone if they are" in said) == (name == "stored")


def test_what_is_no_folder_and_what_is_no_picture_is_said(tmp_path, capsys):
    source = small_coco(tmp_path / "set", ["0001_0001_L.png"])
    (tmp_path / "out").write_text("notes")
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 2
    assert "is a file; name a new folder" in capsys.readouterr().err
    save(make(), tmp_path / "set" / "0001_0001_L.png")
    assert main(["data", "import", "coco", str(source), str(tmp_path / "own")]) == 2
    assert "a DICOM file, which a dataset cannot hold" in capsys.readouterr().err
