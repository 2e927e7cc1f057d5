"""Label maps in which each colour is a bone, read by the tables that annotation programs write."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mask_pictures import DISC, SIZE, X, film, save
from PIL import Image

from jointwrist.anatomy import BONE_NAMES
from jointwrist.cli import main
from jointwrist.data.importers.pictures import read_pictures
from jointwrist.data.mask_formats.label_table import read_label_table
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError

#: Bones and their colours, one of them grey and one nearly black.
COLOURS = {"Lunate": (250, 50, 83), "Scaphoid": (128, 128, 128), "Capitate": (0, 0, 1)}
HEX = {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in COLOURS.items()}
PLACES = {name: (slice(4 + 12 * i, 12 + 12 * i), slice(5, 9 + i)) for i, name in enumerate(COLOURS)}


def rows(form, ground=""):
    """A line for each bone, with the values of its colour."""
    lines = [form.format(*colour, name=name, hex=HEX[name]) for name, colour in COLOURS.items()]
    return "\n".join([*([ground] if ground else []), *lines]) + "\n"


TABLES = {
    "labelmap.txt": rows("{name}:{},{},{}::", "# label:color_rgb:parts:actions\nbackground:0,0,0::"),
    "class_dict.csv": rows("{name},{},{},{}", "name,r,g,b"),
    "slicer.csv": rows(",{name},{},{},{},255", "LabelValue,Name,Color_R,Color_G,Color_B,Color_A").replace("\n,", "\n"),
    "bare.csv": rows("{name},{},{},{}"),
    "camvid.txt": rows("{} {} {} {name}", "0 0 0 background"),
    "name_first.txt": rows("{name} {} {} {}", "background 0 0 0"),
    "hex_words.txt": rows("{hex} {name}"),
    "words_hex.txt": rows("{name} {hex}"),
    "hex.csv": rows("{hex};{name}", "colour;bone"),
    "bare_hex.csv": rows("{name},{hex}"),
    "cvat.json": json.dumps([{"name": name, "color": colour, "attributes": []} for name, colour in HEX.items()]),
    "by_name.json": json.dumps(COLOURS),
    "by_colour.json": json.dumps({colour: name for name, colour in HEX.items()}),
    "labels.yaml": rows('"{hex}": {name}'),
    "snap.txt": '    0     0    0    0        0  0  0    "Clear Label"\n'
    + "".join(
        f'{n:5} {" ".join(map(str, colour))}  1  1  1    "{name}"\n'
        for n, (name, colour) in enumerate(COLOURS.items(), 3)
    ),
    "slicer.ctbl": "".join(
        f"{n} {name} {' '.join(map(str, colour))} 255\n" for n, (name, colour) in enumerate(COLOURS.items(), 3)
    ),
}
TABLES["slicer.csv"] = "LabelValue,Name,Color_R,Color_G,Color_B,Color_A\n" + "".join(
    f"{n},{name},{','.join(map(str, colour))},255\n" for n, (name, colour) in enumerate(COLOURS.items(), 3)
)


def painted():
    colours = np.zeros((*SIZE, 3), np.uint8)
    for name, place in PLACES.items():
        colours[place] = COLOURS[name]
    return Image.fromarray(colours)


def transparent():
    picture = painted().convert("RGBA")
    picture.putalpha(Image.fromarray(np.where(np.asarray(picture)[..., :3].any(axis=-1), 255, 0).astype(np.uint8)))
    pixels = np.asarray(picture).copy()
    pixels[..., :3][pixels[..., 3] == 0] = 255  # as some programs leave the colour of what is transparent
    return Image.fromarray(pixels)


KINDS = {
    "colours": painted,
    "palette": lambda: painted().quantize(8),  # numbered by the picture, not by the table
    "transparent": transparent,
}


def assert_bones(found):
    assert {BONE_NAMES[bone] for bone, _ in found.regions} == COLOURS.keys()
    drawn = dict(zip(BONE_NAMES, unpack_masks(found.bones(SIZE)), strict=True))
    for name, place in PLACES.items():
        expected = np.zeros(SIZE, bool)
        expected[place] = True
        np.testing.assert_array_equal(drawn[name], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", TABLES)
def test_colours_are_read_by_a_table(tmp_path, table, kind):
    film(tmp_path / "images" / "case_L.png")
    (tmp_path / "masks").mkdir()
    KINDS[kind]().save(tmp_path / "masks" / "case_L.png")
    (tmp_path / table).write_text(TABLES[table])
    (found,) = read_pictures(tmp_path, mapping=read_label_table(tmp_path / table))
    assert_bones(found)
    assert "nothing says" not in " ".join(found.notes)


def test_masks_of_cvat_in_the_layout_of_voc_need_no_option(tmp_path, capsys):
    for name in ("case_L", "case_R"):
        film(tmp_path / "voc" / "JPEGImages" / f"{name}.png", len(name) + ord(name[-1]))
        for folder in ("SegmentationClass", "SegmentationObject"):
            (tmp_path / "voc" / folder).mkdir(exist_ok=True)
            painted().save(tmp_path / "voc" / folder / f"{name}.png")
    (tmp_path / "voc" / "labelmap.txt").write_text(TABLES["labelmap.txt"])
    assert main(["data", "import", "png", str(tmp_path / "voc"), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "2 radiographs" in said and "SegmentationObject, in which a colour is an object, left out: 2" in said
    for found in read_pictures(tmp_path / "voc" / "SegmentationClass", tmp_path / "voc" / "JPEGImages"):
        assert_bones(found)


def test_the_same_through_the_command(tmp_path, capsys):
    film(tmp_path / "own" / "case_L.png")
    painted().save(tmp_path / "own" / "case_L_seg.png")
    words = ["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]
    assert main(words) == 2
    assert "is coloured, and colours are no numbers; name them in a table" in capsys.readouterr().err
    for table in ("bare.csv", "slicer.ctbl"):
        (tmp_path / table).write_text(TABLES[table].replace("Lunate", "os lunatum"))
        (tmp_path / "map.yaml").write_text("os lunatum: Lunate\n")
        options = ["--labels", str(tmp_path / table), "--map", str(tmp_path / "map.yaml")]
        assert main([*words[:-1], str(tmp_path / f"out_{table}"), *options]) == 0


@pytest.mark.parametrize("table", ["bare.csv", "slicer.ctbl"])
def test_colours_without_a_name_are_named(tmp_path, table):
    film(tmp_path / "case_L.png")
    (tmp_path / table).write_text(TABLES[table])
    mapping = read_label_table(tmp_path / table)
    pixels = np.asarray(painted()).copy()
    pixels[0, :7] = (9, 8, 7)
    Image.fromarray(pixels).save(tmp_path / "case_L_seg.png")
    with pytest.raises(DataError, match=r"without a name: #090807 \(7 px\); name them in the table"):
        read_pictures(tmp_path, mapping=mapping)
    painted().resize((60, 80), Image.Resampling.BICUBIC).save(tmp_path / "case_L_seg.png")
    with pytest.raises(DataError, match=r"more; save the label map without smoothing"):
        read_pictures(tmp_path, mapping=mapping)


def test_numbers_stay_numbers_where_the_table_has_both(tmp_path):
    film(tmp_path / "case_L.png")
    (tmp_path / "slicer.ctbl").write_text(TABLES["slicer.ctbl"])
    mapping = read_label_table(tmp_path / "slicer.ctbl")
    grey = Image.fromarray(DISC.astype(np.uint8) * np.uint8(4))
    palette = grey.convert("P")
    palette.putpalette([7, 7, 9] * 16)  # shows nothing
    for picture in (grey, palette, Image.fromarray(DISC.astype(np.uint16) * np.uint16(4))):
        picture.save(tmp_path / "case_L_seg.png")
        (found,) = read_pictures(tmp_path, mapping=mapping)
        assert [BONE_NAMES[bone] for bone, _ in found.regions] == ["Scaphoid"]
        np.testing.assert_array_equal(found.bones(SIZE) != 0, DISC)


FAULTS = {
    "one_colour.csv": ("Lunate,1,2,3\nScaphoid,1,2,3\n", "Lunate and Scaphoid have one colour, #010203"),
    "black.csv": ("Lunate,0,0,0\nScaphoid,1,2,3\n", "the colour of 'Lunate' is black, as the background is"),
    "ground.csv": ("background,0,0,0\n", "names no label besides the background"),
    "no_colour.json": ('[{"name": "Lunate", "color": "reddish"}]', "the label 'Lunate' has no number and no colour"),
    "too_large.csv": ("name,r,g,b\nLunate,1,2,300\n", "line 2 is no number and name"),
    "half.csv": ("name,value,r,g,b\nLunate,1,2,3,4\nScaphoid,,5,6,7\n", "the label 'Scaphoid' has no number"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_tables_of_colours_that_are_none_are_named(tmp_path, name):
    text, message = FAULTS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_label_table(tmp_path / name)


@pytest.mark.parametrize(
    ("single", "label_map", "films"),
    [
        ("a_L_Lunate.png", "b_L_seg.png", ["a_L.png", "b_L.png"]),
        ("a_L_Lunate.png", "a_L_seg.png", ["a_L.png"]),
        ("masks/a_L_Lunate.png", "masks/b_L.png", ["images/a_L.png", "images/b_L.png"]),
        ("Lunate/a_L.png", "masks/a_L.png", ["a_L.png"]),
        ("Lunate/a_L_mask.png", "a_L-label.png", ["a_L.png"]),
    ],
)
@pytest.mark.parametrize("coloured", [False, True])
def test_label_maps_beside_masks_of_one_bone_are_named(tmp_path, single, label_map, films, coloured):
    for name in films:
        film(tmp_path / name)
    save(tmp_path / single, DISC)
    save(tmp_path / label_map, DISC & (X > 15), 5)
    if coloured:
        painted().save(tmp_path / label_map)
    (found,) = read_pictures(tmp_path)
    np.testing.assert_array_equal(found.bones(SIZE) != 0, DISC)
    assert (
        f"label maps beside masks of one bone each, left out (import them from a folder of their own): 1: {label_map}"
        in (found.notes[1])
    )
    assert label_map not in " ".join(found.notes[2:])


def test_a_film_in_a_folder_for_masks_is_no_label_map(tmp_path):
    film(tmp_path / "masks_2024" / "a_L.png")
    save(tmp_path / "masks_2024" / "a_L_Lunate.png", DISC)
    (found,) = read_pictures(tmp_path)
    assert len(found.regions) == 1 and "label maps" not in " ".join(found.notes)
