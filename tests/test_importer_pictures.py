"""Masks as picture files: every layout comes back bit for bit, and whatever cannot be read as it is, is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from test_importer_cvat_yolo import assert_same_masks

from jointwrist.anatomy import BONE_NAMES, BONES
from jointwrist.cli import main
from jointwrist.data.importers.pictures import read_pictures
from jointwrist.data.mask_formats.label_map import to_label_map
from jointwrist.data.mask_formats.picture import read_labels, read_mask
from jointwrist.data.mask_formats.predicted import find_masks
from jointwrist.data.sample import pack_masks, unpack_masks
from jointwrist.errors import DataError

SIZE = (40, 30)
Y, X = np.mgrid[: SIZE[0], : SIZE[1]]
DISC = (X - 15) ** 2 + (Y - 20) ** 2 < 50


@pytest.fixture
def few(masked):
    return masked[:3]


def film(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) + shade) % 251
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def save(path, mask, scale=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * np.uint8(scale)).save(path)
    return path


def one_bit(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def sixteen_bits(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint16) * np.uint16(65535)).save(path)


def of_paint(path, mask):
    """A red bone on a transparent ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([mask * 255, mask * 0, mask * 0, mask * 255], -1).astype(np.uint8)).save(path)


def voc(path, mask):
    """A palette whose second colour is the bone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask.astype(np.uint8), "L").convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0])
    picture.putdata(mask.astype(np.uint8).ravel().tolist())
    picture.save(path)


#: Place of a mask and of a radiograph; `{}` is the radiograph's name, and `{bone}` that of the bone.
LAYOUTS = {
    "side by side": ("{}_{bone}.png", "{}.png", "name", save),
    "spellings": ("{}-{bone}-mask.png", "{}.png", "display", one_bit),
    "bone first": ("{bone}_{}.bmp", "{}.bmp", "name", save),
    "folder of the radiograph": ("{}/{bone}.png", "{}.png", "name", sixteen_bits),
    "deeper": ("{}/masks/{bone}_mask.png", "{}/{}.png", "name", of_paint),
    "folder of the bone": ("{bone}/{}.png", "images/{}.png", "display", voc),
    "masks, then bones": ("masks/{bone}/{}.tif", "images/{}.png", "name", sixteen_bits),
    "bone twice": ("masks/{bone}/{}_{bone}.tiff", "images/{}.png", "name", one_bit),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_of_one_bone_each_come_back(tmp_path, few, layout, capsys):
    place, radiograph, spelling, write = LAYOUTS[layout]
    for case, masks in few:
        path = tmp_path / "own" / radiograph.format(case.identifier, case.identifier)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(case.image).save(path)
        for bone, mask in zip(BONES, masks, strict=True):
            if mask.any():
                name = place.format(case.identifier, bone=getattr(bone, spelling))
                write(tmp_path / "own" / name, mask)
    assert main(["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)
    said = capsys.readouterr().out
    assert said.count("own: a picture of each bone: ") == 1 and "of 3 films" in said
    assert "left out" not in said and "besides 0" not in said and "inverted" not in said


def exclusive(few):
    """Label maps, and the masks that they can hold."""
    maps = [(case, to_label_map(pack_masks(masks))) for case, masks in few]
    kept = [(case, np.stack([labels == bone + 1 for bone in range(len(BONES))])) for case, labels in maps]
    return maps, kept


def eight_bits(path, labels):
    Image.fromarray(labels.astype(np.uint8)).save(path)


def wide(path, labels):
    Image.fromarray(labels.astype(np.uint16)).save(path)


def with_palette(path, labels):
    picture = Image.fromarray(labels.astype(np.uint8)).convert("P")
    picture.putpalette([channel for bone in BONES for channel in bone.colour])
    picture.putdata(labels.ravel().tolist())
    picture.save(path)


def grey_in_three_channels(path, labels):
    Image.fromarray(np.repeat(labels.astype(np.uint8)[..., None], 3, -1)).save(path)


#: The bones from 14 to 1.
NUMBERS = {name: len(BONE_NAMES) - bone for bone, name in enumerate(BONE_NAMES)}
SNAP = "# ITK-SnAP Label Description File\n# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n" + "".join(
    f'{number:5} {4 * number:5} 0 0        1  1  1    "{name}"\n'
    for name, number in {"Clear Label": 0, **NUMBERS}.items()
)
TABLES = {
    "labels.txt": SNAP,
    "labels.ctbl": "# Color\n" + "".join(f"{number} {name} 1 2 3 255\n" for name, number in NUMBERS.items()),
    "labels.json": json.dumps({"labels": {"background": 0, **NUMBERS}}),
    "by_number.json": json.dumps({str(number): name for name, number in NUMBERS.items()}),
    "bundle.json": json.dumps({
        "network_data_format": {"outputs": {"pred": {"channel_def": {str(n): name for name, n in NUMBERS.items()}}}}
    }),
    "list.json": json.dumps([{"id": number, "name": name, "color": "#fff"} for name, number in NUMBERS.items()]),
    "labels.csv": "number;bone\n" + "".join(f"{number};{name}\n" for name, number in NUMBERS.items()),
    "bare.csv": "\ufeff" + "".join(f"{name},{number}\r\n" for name, number in NUMBERS.items()),
    "labels.yaml": "".join(f"{number}: {name}\n" for name, number in NUMBERS.items()),
    "spaces.txt": "".join(f"{number} {name}\n" for name, number in NUMBERS.items()),
}  # fmt: skip
MAPS = {
    "labels.txt": ("masks/{}.png", "images/{}.png", eight_bits),
    "labels.ctbl": ("masks/{}.tif", "images/{}.png", wide),
    "labels.json": ("{}_seg.png", "{}.png", with_palette),
    "by_number.json": ("{}-mask.png", "{}.bmp", grey_in_three_channels),
    "bundle.json": ("{}.png", "{}.jpg", wide),
    "list.json": ("labelsTr/{}.png", "imagesTr/{}_0000.png", eight_bits),
    "labels.csv": ("a/{}.png", "b/{}.png", eight_bits),
    "bare.csv": ("{}.tif", "{}.png", eight_bits),
    "labels.yaml": ("{}_label.bmp", "{}.png", eight_bits),
    "spaces.txt": ("masks/{}_labels.png", "x-rays/{}.png", eight_bits),
}


@pytest.mark.parametrize("table", TABLES)
def test_label_maps_come_back_by_the_numbers_of_a_table(tmp_path, few, table, capsys):
    place, radiograph, write = MAPS[table]
    maps, kept = exclusive(few)
    own = tmp_path / "own"
    for case, labels in maps:
        for name in (place, radiograph):
            (own / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(case.image).save(own / radiograph.format(case.identifier))
        write(own / place.format(case.identifier), np.where(labels, 15 - labels, 0))
    (tmp_path / table).write_text(TABLES[table])
    words = ["data", "import", "png", str(own), str(tmp_path / "out"), "--labels", str(tmp_path / table)]
    if "_0000" in radiograph:
        rows = [f"{case.identifier}_0000.png,{case.identifier.replace('_', ',')}" for case, _ in few]
        (tmp_path / "table.csv").write_text("\n".join(["file,patient,study,side", *rows]))
        words += ["--table", str(tmp_path / "table.csv")]
    assert main(words) == 0
    assert_same_masks(tmp_path / "out", kept)
    said = capsys.readouterr().out
    assert said.count("a label map cannot hold overlaps") == 1 and "nothing says" not in said


def test_numbers_may_be_stated_by_nnunet_or_by_nobody(tmp_path, few, capsys):
    maps, kept = exclusive(few)
    own = tmp_path / "own"
    (own / "labelsTr").mkdir(parents=True)
    for case, labels in maps:
        Image.open(case.image).save(own / f"{case.identifier}.png")
        eight_bits(own / "labelsTr" / f"{case.identifier}.png", labels)
    assert main(["data", "import", "png", str(own), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", kept)
    assert "nothing says what the numbers mean; taken as 1 Capitate, 2 DistalRadius" in capsys.readouterr().out
    (own / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "Lunate": 1, "os magnum": 2}}))
    assert main(["data", "import", "png", str(own), str(tmp_path / "again")]) == 2
    assert "no bone is known for '10', '11', '12', '13', '14', '2' ('os magnum'), '3'" in capsys.readouterr().err


def brush(folder, few, tag="tag", names=BONE_NAMES):
    """Masks as Label Studio names them; every bone in two regions, which overlap."""
    folder.mkdir(parents=True)
    for task, (case, masks) in enumerate(few, 7):
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        for name, mask in zip(names, masks, strict=True):
            upper = mask.copy()
            upper[len(mask) // 2 :] = False
            for number, part in enumerate([upper, mask & ~np.roll(upper, 1)] if mask.any() else []):
                save(folder / f"task-{task}-annotation-{task + 20}-by-1-{tag}-{name}-{number}.png", part)
    return folder


def tasks(few, minimal=False):
    urls = ["/data/upload/1/0a1b2c3d-{}.png", "s3://films/{}.png", "http://host/data/local-files/?d=a%2F{}.png"]
    named = [
        (task, url.format(case.identifier)) for (task, (case, _)), url in zip(enumerate(few, 7), urls, strict=True)
    ]
    if minimal:
        return [
            {"image": url, "id": task, "tag": [], "annotator": 1, "annotation_id": task + 20} for task, url in named
        ]
    return [{"id": task, "annotations": [], "data": {"text": "a", "image": url}} for task, url in named]


@pytest.mark.parametrize("minimal", [False, True])
def test_brush_masks_of_label_studio_come_back(tmp_path, few, minimal, capsys):
    folder = brush(tmp_path / "own", few, "tag-1", [bone.display.replace(" ", "-") for bone in BONES])
    (folder / "project.json").write_text(json.dumps(tasks(few, minimal)))
    assert main(["data", "import", "png", str(folder), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)
    said = capsys.readouterr().out
    assert "own: Label Studio's brush masks: " in said and "masks without a pixel" in said


def test_hidden_files_beside_the_json_of_label_studio_are_left_alone(tmp_path):
    film(tmp_path / "case_L.png")
    save(tmp_path / "task-7-annotation-3-by-1-tag-Lunate-0.png", DISC)
    (tmp_path / "project.json").write_text(json.dumps([{"id": 7, "data": {"image": "/data/upload/1/case_L.png"}}]))
    (tmp_path / "__MACOSX").mkdir()
    for path in (tmp_path / "__MACOSX" / "._project.json", tmp_path / "._project.json"):
        path.write_bytes(b"\0\5\x16\7\xff")
    (tmp_path / "old.json").mkdir()
    assert [one.image.name for one in read_pictures(tmp_path)] == ["case_L.png"]


def test_numbers_of_empty_label_maps_are_not_listed(tmp_path):
    film(tmp_path / "case_L.png")
    save(tmp_path / "case_L_seg.png", DISC & False, 1)
    (found,) = read_pictures(tmp_path)
    assert not found.regions and not any("numbers mean" in note for note in found.notes)


def test_brush_masks_without_json_need_films_named_by_task(tmp_path, few, capsys):
    folder = brush(tmp_path / "own", few)
    words = ["data", "import", "png", str(folder), str(tmp_path / "out")]
    assert main(words) == 2
    assert "nothing says which radiograph task 7 is; export the project as JSON, too" in capsys.readouterr().err
    rows = []
    for task, (case, _) in enumerate(few, 7):
        (folder / f"{case.identifier}.png").rename(folder / f"task-{task}.png")
        rows.append(f"task-{task}.png,{case.identifier.replace('_', ',')}")
    (tmp_path / "table.csv").write_text("\n".join(["file,patient,study,side", *rows]))
    assert main([*words, "--table", str(tmp_path / "table.csv")]) == 0
    assert_same_masks(tmp_path / "out", few)


def test_a_task_of_two_annotators_is_refused(tmp_path, capsys):
    film(tmp_path / "own" / "a_L.png")
    for annotation in (3, 4):
        save(tmp_path / "own" / f"task-7-annotation-{annotation}-by-1-tag-Lunate-0.png", DISC)
    assert main(["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]) == 2
    assert "task 7 also has annotation 3" in capsys.readouterr().err
    (tmp_path / "own" / "task-7-annotation-4-by-1-tag-Lunate-0.png").unlink()
    (radiograph,) = read_pictures(tmp_path / "own")
    assert radiograph.image.name == "a_L.png", "one film and one task"
    (tmp_path / "own" / "tasks.json").write_text('[{"id": 7, "data": {"image": "/data/upload/b_L.png"}}]')
    with pytest.raises(DataError, match=r"its radiograph b_L\.png is not there; name the folder"):
        read_pictures(tmp_path / "own")
    (tmp_path / "own" / "tasks.json").write_text("[")
    with pytest.raises(DataError, match=r"tasks\.json: not valid JSON"):
        read_pictures(tmp_path / "own")


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
