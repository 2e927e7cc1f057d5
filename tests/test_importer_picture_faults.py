"""Masks as picture files: what is read, and what is refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mask_pictures import DISC, SIZE, X, Y, film, save
from PIL import Image

from jointwrist.anatomy import BONE_NAMES
from jointwrist.cli import main
from jointwrist.data.importers.pictures import read_pictures
from jointwrist.data.mask_formats.picture import read_labels, read_mask
from jointwrist.data.mask_formats.predicted import find_masks
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError


def grey(values):
    return Image.fromarray(values.astype(np.uint8))


def coloured(bone, ground, opacity=None):
    channels = [np.where(DISC, a, b) for a, b in zip(bone, ground, strict=True)]
    return Image.fromarray(np.stack([*channels, *([] if opacity is None else [opacity])], -1).astype(np.uint8))


SOFT = np.clip((60 - (X - 15) ** 2 - (Y - 20) ** 2) * 12, 0, 255)
#: Pictures of a disc, and whether its values are soft and its shades inverted.
READ = {
    "0 and 1": (grey(DISC), False, False),
    "0 and 3": (grey(DISC * 3), False, False),
    "1 and 2": (grey(DISC + 1), True, False),
    "inverted": (grey(~DISC * 255), False, True),
    "inverted, 0 and 1": (grey(~DISC), False, True),
    "1 bit": (Image.fromarray(DISC), False, False),
    "floats": (Image.fromarray(DISC.astype(np.float32)), False, False),
    "32 bits": (Image.fromarray(DISC.astype(np.int32) * 70000), False, False),
    "a colour on black": (coloured((200, 0, 30), (0, 0, 0)), False, False),
    "a colour on white": (coloured((200, 0, 30), (255, 255, 255)), False, False),
    "grey of three channels": (coloured((255,) * 3, (0,) * 3), False, False),
    "an empty channel of opacity": (coloured((255,) * 3, (0,) * 3, DISC * 0), False, False),
    "paint, opaque": (coloured((255,) * 3, (0,) * 3, DISC * 0 + 255), False, False),
    "paint of one colour": (coloured((255, 0, 0), (255, 0, 0), DISC * 255), False, False),
    "paint, black": (coloured((0, 0, 0), (0, 0, 0), DISC * 255), False, False),
    "paint on hidden colours": (coloured((255, 0, 0), (9, 99, 9), DISC * 255), False, False),
}


@pytest.mark.parametrize("kind", READ)
def test_a_disc_is_read_whatever_the_picture(tmp_path, kind):
    picture, soft, inverted = READ[kind]
    picture.save(tmp_path / "a.tif")
    drawn = read_mask(tmp_path / "a.tif")
    np.testing.assert_array_equal(drawn.mask, DISC)
    assert (drawn.soft, drawn.inverted) == (soft, inverted)


@pytest.mark.parametrize("scale", [1, 257])
def test_soft_masks_are_cut_at_their_middle(tmp_path, scale):
    Image.fromarray((SOFT * scale).astype(np.uint8 if scale == 1 else np.uint16)).save(tmp_path / "a.png")
    drawn = read_mask(tmp_path / "a.png")
    assert drawn.soft
    np.testing.assert_array_equal(drawn.mask, SOFT >= 127.5)
    Image.fromarray((SOFT / 255).astype(np.float32)).save(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "b.tif").mask, drawn.mask)


def pages(path):
    grey(DISC * 255).save(path, save_all=True, append_images=[grey(DISC)])


REFUSED = {
    "full": (grey(DISC * 0 + 255), "all pixels are 255, so that it shows no bone"),
    "a label map": (grey(DISC * 3 + (X > 10)), r"has 4 values \(0, 1, 3, 4\), so that it is no mask of one bone"),
    "a radiograph": (grey((X * Y) % 256), "values .*so that it is no mask of one bone"),
    "an overlay": (Image.merge("RGB", [grey(X * 8), grey(DISC * 200), grey(Y)]), "colours, as an overlay has"),
    "nan": (Image.fromarray(np.where(DISC, np.nan, 0).astype(np.float32)), "are no mask"),
    "negative": (Image.fromarray(DISC.astype(np.int32) - 1), "values from -1 to 0 are no mask"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_pictures_that_are_no_masks_are_refused(tmp_path, kind):
    picture, message = REFUSED[kind]
    picture.save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: .*" + message):
        read_mask(tmp_path / "a.tif")


def test_damaged_pictures_and_pages_are_refused(tmp_path):
    pages(tmp_path / "a.tif")
    for read in (read_mask, read_labels):
        with pytest.raises(DataError, match=r"a\.tif: holds 2 pages; save each mask as a file of its own"):
            read(tmp_path / "a.tif")
    (tmp_path / "b.png").write_bytes((save(tmp_path / "c.png", DISC)).read_bytes()[:-30])
    (tmp_path / "d.png").write_bytes(b"hello")
    (tmp_path / "e.png").write_bytes(b"")
    for name, message in (("b", "damaged picture"), ("d", "not a PNG, TIFF, BMP or JPEG"), ("e", "is empty")):
        with pytest.raises(DataError, match=message):
            read_mask(tmp_path / f"{name}.png")
    coloured((1, 2, 3), (0, 0, 0)).save(tmp_path / "f.tif")
    with pytest.raises(DataError, match="colours are no numbers"):
        read_labels(tmp_path / "f.tif")


def test_a_turned_mask_is_read_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    grey(np.rot90(DISC) * 255).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    drawn = read_mask(tmp_path / "a.jpg")
    assert drawn.mask.shape == SIZE and (drawn.mask != DISC).sum() <= 2


def test_what_is_left_out_is_said(tmp_path, capsys):
    own = tmp_path / "own"
    for number, name in enumerate(("Smith_L", "Jones_R", "Meier_L")):
        film(own / f"{name}.png", number)
    save(own / "Smith_L_Lunate.png", DISC)
    save(own / "Smith_L_Radius.png", ~DISC)
    save(own / "Smith_L_Ulna.png", DISC * 0)
    save(own / "Smith_L_Tri.png", DISC & (X < 15))
    save(own / "Smith_L_Pisiform.png", DISC & (X > 12))
    grey(SOFT).save(own / "Jones_R_Capitate.png")
    (own / "Jones_R_Ulna.webp").write_bytes(b"RIFF")
    assert main(["data", "import", "png", str(own), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for line in (
        "own: a picture of each bone: 6 masks of 2 films",
        "own: files that are not PNG, TIFF, BMP or JPEG left out: Jones_R_Ulna.webp",
        "values besides 0 and one more, of which those from the middle upwards were taken: 1: Jones_R_Capitate.png",
        "masks with dark bones on a bright ground, which were inverted: 1: Smith_L_Radius.png",
        "masks without a pixel, so that the bone counts as absent: 1: Smith_L_Ulna.png",
        "pictures without masks, left out: 1: Meier_L.png",
        "2 radiographs of 2 patients",
    ):
        assert line in said, line
    found = unpack_masks(read_pictures(own)[1].bones(SIZE))
    np.testing.assert_array_equal(found[BONE_NAMES.index("TriquetrumPisiform")], DISC)
    np.testing.assert_array_equal(found[BONE_NAMES.index("DistalRadius")], DISC)


FAULTS = {
    "unknown name": ("case_L_lunat.png", "'lunat' (perhaps Lunate); name them in a YAML file"),
    "unknown folder": ("masks/lunat/case_L.png", "'lunat' (perhaps Lunate)"),
    "unknown file": ("case_L/skaphoid.png", "'skaphoid' (perhaps Scaphoid)"),
    "two of one bone": ("case_L/Radius.png", "is a mask of the same bone; keep one of them"),
    "two endings": ("case_L_DistalRadius.tif", "is a mask of the same bone; keep one of them"),
    "without radiograph": ("other_L_Lunate.png", "its radiograph other_L (.png, .bmp, ...) is not in"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_masks_that_are_uncertain_are_refused(tmp_path, fault, capsys):
    name, message = FAULTS[fault]
    film(tmp_path / "own" / "images" / "case_L.png")
    save(tmp_path / "own" / "case_L_DistalRadius.png", DISC)
    save(tmp_path / "own" / name, DISC)
    assert main(["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unknown_names_beside_the_radiographs_are_refused(tmp_path):
    film(tmp_path / "case_L.png")
    film(tmp_path / "case_L_2.png")
    for name in ("case_L_Lunate", "case_L_2_Lunate"):
        save(tmp_path / f"{name}.png", DISC)
    assert [one.image.name for one in read_pictures(tmp_path)] == ["case_L.png", "case_L_2.png"]
    save(tmp_path / "case_L_os magnum.png", DISC)
    with pytest.raises(DataError, match="no bone is known for 'os magnum'"):
        read_pictures(tmp_path)
    assert len(read_pictures(tmp_path, mapping={"os magnum": None})[0].regions) == 1
    assert len(read_pictures(tmp_path, mapping={"os magnum": "Capitate"})[0].regions) == 2
    with pytest.raises(DataError, match="all names are left out by --map"):
        read_pictures(tmp_path, mapping={"os magnum": None, "Lunate": None})


def test_sizes_that_differ_are_refused(tmp_path, capsys):
    film(tmp_path / "own" / "case_L.png")
    save(tmp_path / "own" / "case_L_Lunate.png", DISC.T)
    words = ["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]
    assert main(words) == 2
    assert "30 x 40 pixels, but" in (error := capsys.readouterr().err) and "exchange x and y" in error
    save(tmp_path / "own" / "case_L_Lunate.png", DISC[1:])
    assert main(words) == 2
    assert "was drawn on 30 x 39; give the image that was annotated" in capsys.readouterr().err
    save(tmp_path / "own" / "case_L_Ulna.png", DISC)
    assert main(words) == 2
    assert "30 x 40 pixels, but" in capsys.readouterr().err


def test_radiographs_may_lie_in_a_folder_of_their_own(tmp_path):
    film(tmp_path / "films" / "deep" / "Case_L.PNG")
    save(tmp_path / "masks" / "case_l_lunate.png", DISC)
    (found,) = read_pictures(tmp_path / "masks", tmp_path / "films")
    assert found.image.name == "Case_L.PNG"
    (found,) = read_pictures(tmp_path / "masks", tmp_path)
    assert found.image.name == "Case_L.PNG"
    with pytest.raises(DataError, match="name its folder with --images"):
        read_pictures(tmp_path / "masks")
    film(tmp_path / "films" / "Case_L.png")
    with pytest.raises(DataError, match="may be the radiograph of the masks of case_l; keep one"):
        read_pictures(tmp_path / "masks", tmp_path / "films")


def test_folders_without_such_masks_are_named(tmp_path, capsys):
    film(tmp_path / "own" / "case_L.png")
    words = ["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]
    assert main(words) == 2
    assert "holds no mask pictures with the name of a radiograph; known are a picture of each bone" in (
        capsys.readouterr().err
    )
    (tmp_path / "own" / "case_L.png").rename(tmp_path / "own" / "annotations.xml")
    assert main(words) == 2
    assert "it holds XML of CVAT; give `cvat` as the format" in capsys.readouterr().err
    assert main(["data", "import", "png", str(tmp_path / "none"), str(tmp_path / "out")]) == 2
    assert "no such folder" in capsys.readouterr().err
    save(tmp_path / "own" / "case_L_mask.png", DISC, 1)
    film(tmp_path / "own" / "case_L.png")
    assert main(words) == 2
    assert "nothing says whether 1 is Capitate, another bone or all bones" in capsys.readouterr().err


def test_masks_of_predict_are_not_taken_for_label_maps(tmp_path):
    film(tmp_path / "case_L.png")
    record = {"source": "case_L.png", "bones": [{"name": "Lunate", "found": True}], "joints": []}
    (tmp_path / "case_L.json").write_text(json.dumps(record))
    for name in ("masks", "overlay"):
        save(tmp_path / f"case_L_{name}.png", DISC)
    with pytest.raises(
        DataError, match="its JSON is a result of `jointwrist predict`; `predict --for` writes its masks"
    ):
        read_pictures(tmp_path)
    save(tmp_path / "case_L_Lunate.png", DISC)
    (found,) = read_pictures(tmp_path)
    assert len(found.regions) == 1 and "masks and overlays of `jointwrist predict` left out: 2" in found.notes[1]


def test_a_number_after_a_name_is_no_bone_of_a_label_map(tmp_path):
    for number in (1, 2):
        film(tmp_path / "images" / f"case_L_{number}.png")
        save(tmp_path / "masks" / f"case_L_{number}.png", DISC, number)
    found = read_pictures(tmp_path, mapping={"1": "Lunate", "2": "Capitate"})
    assert [region[0] for one in found for region in one.regions] == [4, 0]
    with pytest.raises(DataError, match="no bone is known for '2'"):
        read_pictures(tmp_path, mapping={"1": "Lunate"})


LABEL_FAULTS = {
    "a.json": ("[1, 2]", "states no numbers of labels"),
    "b.json": ('{"labels": {"Lunate": [1, 2]}}', "the label Lunate is [1, 2], not a number"),
    "c.json": ("{", "not valid JSON"),
    "d.csv": ("1,Lunate\n1,Capitate\n", "the number 1 is 'Lunate' and 'Capitate'"),
    "e.csv": ("1,Lunate\n2,Lunate\n", "'Lunate' has the numbers 1 and 2"),
    "f.csv": ("1,Lunate\nCapitate,Hamate\n", "line 2 is no number and name"),
    "g.csv": ("", "is empty"),
    "h.csv": ("number,bone\n0,background\n", "names no label besides the background"),
    "i.csv": ("1,Lunate,red\n", "line 1 is no number and name"),
    "j.csv": ("\0\0\0", "is no text"),
    "k.csv": (f"1,Lunate\n{'9' * 400},Hamate\n", "line 2 is no number and name"),
    "l.json": ('{"Lunate": ' + "9" * 400 + "}", "the label Lunate is 999"),
}


@pytest.mark.parametrize("name", LABEL_FAULTS)
def test_tables_of_labels_that_are_none_are_named(tmp_path, name, capsys):
    text, message = LABEL_FAULTS[name]
    (tmp_path / name).write_text(text)
    film(tmp_path / "own" / "case_L.png")
    save(tmp_path / "own" / "case_L_seg.png", DISC, 1)
    words = ["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out"), "--labels", str(tmp_path / name)]
    assert main(words) == 2
    assert f"{name}: {message}" in capsys.readouterr().err
    assert main(["data", "import", "nifti", *words[3:]]) == 2
    assert "--labels is for png" in capsys.readouterr().err


def test_names_of_a_table_of_labels_may_be_mapped(tmp_path, capsys):
    film(tmp_path / "own" / "case_L.png")
    save(tmp_path / "own" / "case_L_seg.png", DISC, 5)
    (tmp_path / "labels.csv").write_text("5,os lunatum\n6,plate\n")
    (tmp_path / "map.yaml").write_text("os lunatum: Lunate\n")
    words = ["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]
    words += ["--labels", str(tmp_path / "labels.csv")]
    assert main(words) == 2
    assert "no bone is known for '5' ('os lunatum'" in capsys.readouterr().err
    assert main([*words, "--map", str(tmp_path / "map.yaml")]) == 0


def test_bones_alone_belong_to_the_only_radiograph_beside_them(tmp_path):
    film(tmp_path / "case_L.png")
    save(tmp_path / "Lunate.png", DISC)
    assert [one.image.name for one in read_pictures(tmp_path)] == ["case_L.png"]
    save(tmp_path / "other_R" / "Lunate.png", DISC)
    with pytest.raises(DataError, match="its radiograph other_R"):
        read_pictures(tmp_path)
    (tmp_path / "other_R").rename(tmp_path / "case_L_masks")
    (tmp_path / "Lunate.png").unlink()
    assert [one.image.name for one in read_pictures(tmp_path)] == ["case_L.png"]


def test_a_radiograph_that_is_dicom_is_named(tmp_path):
    save(tmp_path / "case_L_Lunate.png", DISC)
    (tmp_path / "case_L.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(DataError, match=r"its radiograph case_L .* is not in .*; save .*case_L\.dcm as PNG or TIFF"):
        read_pictures(tmp_path)


def test_one_mask_of_all_bones_is_not_taken_for_one(tmp_path):
    film(tmp_path / "case_L.png")
    save(tmp_path / "case_L_mask.png", DISC)
    with pytest.raises(DataError, match=r"0 and 255 alone, and nothing says whether 255 is Capitate.*`255: DistalRad"):
        read_pictures(tmp_path)
    with pytest.raises(DataError, match="0 and 255 alone"):
        find_masks(tmp_path, {"case_L_mask"})
    (found,) = read_pictures(tmp_path, mapping={"255": "Lunate"})
    assert [bone for bone, _ in found.regions] == [4]
    assert find_masks(tmp_path, {"case_L_mask"}, mapping={"255": "Lunate"}).read("case_L_mask", SIZE).max() == 16


def test_a_mask_that_was_changed_is_read_again(tmp_path):
    film(tmp_path / "case_L.png")
    for mask in (DISC, DISC & (X > 15)):
        save(tmp_path / "case_L_seg.png", mask, 2)
        (found,) = read_pictures(tmp_path, mapping={"2": "Capitate"})
        np.testing.assert_array_equal(found.bones(SIZE), mask)
