"""The viewer shows what the predictor says of every radiograph, and takes every kind of file or refuses it by name."""

from __future__ import annotations

import json
import os
import re
import tempfile
from io import BytesIO

import bad_files
import numpy as np
import pytest
from dicom_files import make, save
from PIL import Image
from viewer_client import area, dicom, png

from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES
from jointwrist.cli import main
from jointwrist.data.images import read_image, write_image
from jointwrist.data.load import load_radiograph
from jointwrist.errors import DataError
from jointwrist.inference.comparison import compare
from jointwrist.inference.followup.registration import Similarity
from jointwrist.outputs.svg import outline_path
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.viewer import radiographs as held
from jointwrist.viewer.describe import describe_comparison, describe_model, svg_matrix
from jointwrist.viewer.radiographs import Radiographs, plain_name, read_upload
from jointwrist.weights.training_history import TrainingData, TrainingHistory


def test_the_page_gets_what_the_predictor_says(client, predictor, wrists):
    listed = client.get("radiographs")["radiographs"]
    assert [radiograph["name"] for radiograph in listed] == [path.name for path in wrists]
    for radiograph, path in zip(listed, wrists, strict=True):
        said, result = client.get(f"radiographs/{radiograph['key']}"), predictor(path).single()
        assert {key: said[key] for key in result.to_dict()} == json.loads(json.dumps(result.to_dict()))
        assert [bone["name"] for bone in said["bones"]] == list(BONE_NAMES)
        assert [joint["name"] for joint in said["joints"]] == list(JOINT_NAMES)
        for outline, mask, found in zip(said["paths"], result.masks, result.found, strict=True):
            # an outline cuts the corners of pixels: at most half a pixel for each of its length
            assert area(outline) == pytest.approx(mask.sum() if found else 0, abs=2 + 2 * np.sqrt(mask.sum()))
        np.testing.assert_allclose(
            np.array(said["maps"]).reshape(result.heat_maps.shape), result.heat_maps, atol=0.0051
        )
        grey = np.frombuffer(client.get(f"radiographs/{radiograph['key']}/pixels"), "<u2").reshape(
            result.radiograph.pixels.shape
        )
        # as it was taken: a left hand is not mirrored
        np.testing.assert_allclose(grey / 65535, read_image(path), atol=1e-5)


def test_outlines_end_at_the_frame_and_keep_holes():
    mask = np.zeros((40, 50), bool)
    mask[10:, 20:] = True
    mask[20:30, 30:40] = False
    xy = np.array(re.findall(r"[\d.]+", outline_path(mask)), float).reshape(-1, 2)
    assert xy.min(0) == pytest.approx([20, 10], abs=0.01)
    assert xy.max(0) == pytest.approx([50, 40], abs=0.01)
    assert outline_path(mask).count("Z") == 2
    assert area(outline_path(mask)) == pytest.approx(mask.sum(), rel=0.02)


def test_an_uploaded_radiograph_gives_the_same_as_its_file(client, predictor, wrists):
    reply, said = client.upload("../../etc/visit one_L.png", wrists[0].read_bytes())
    assert reply.status == 201
    radiograph = client.get(f"radiographs/{said['key']}")
    assert radiograph["source"] == "visit one_L.png"
    expected = json.loads(json.dumps({**predictor(wrists[0]).single().to_dict(), "source": "visit one_L.png"}))
    assert {key: radiograph[key] for key in expected} == expected
    assert client.get("radiographs")["radiographs"][-1] == {"key": said["key"], "name": "visit one_L.png"}


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg", "tif", "dcm"])
def test_every_format_is_taken(client, wrists, ending):
    image = read_image(wrists[1])
    stream = BytesIO()
    if ending == "dcm":
        data = dicom(image, ImageLaterality="R", PixelSpacing=[0.25, 0.25])
    else:
        Image.fromarray(np.round(image * 255).astype(np.uint8)).save(
            stream, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending)
        )
        data = stream.getvalue()
    reply, said = client.upload(f"radiograph.{ending}", data)
    assert reply.status == 201, said
    radiograph = client.get(f"radiographs/{said['key']}")
    assert radiograph["size"] == list(image.shape)
    assert radiograph["side_stated"] == (ending == "dcm")
    assert radiograph["pixel_spacing_mm"] == (0.25 if ending == "dcm" else None)
    assert "Somebody" not in json.dumps(radiograph)


def test_a_dicom_file_needs_no_ending(client, wrists):
    assert client.upload("IM0001", dicom(read_image(wrists[1])))[0].status == 201


def test_the_side_can_be_given_where_no_header_states_it(client, predictor, wrists):
    image = read_image(wrists[0])
    key = client.upload("radiograph.png", png(image))[1]["key"]
    radiograph = client.get(f"radiographs/{key}")
    # the bones tell it, which does not count as said
    assert (radiograph["side"], radiograph["side_known"], radiograph["side_stated"]) == ("L", True, False)
    side, coarse = radiograph["doubts"]
    assert side == "The side L was inferred from the bones." and side in radiograph["radiograph_notes"]
    assert coarse.startswith("Coarse radiograph") and coarse in radiograph["notes"]
    reply, said = client("POST", f"radiographs/{key}/side?side=L")
    assert reply.status == 200
    assert (said["side"], said["side_known"]) == ("L", True)
    assert said["joints"] == json.loads(json.dumps(predictor(wrists[0], side="L").single().to_dict()["joints"]))
    assert client.get(f"radiographs/{key}")["side"] == "L"
    assert client("POST", f"radiographs/{key}/side?side=X")[0].status == 400
    key = client.upload("radiograph.dcm", dicom(image, ImageLaterality="L"))[1]["key"]
    assert client("POST", f"radiographs/{key}/side?side=R")[1]["side"] == "L"


def test_whole_hands_are_compared_as_on_the_command_line(predictor, tmp_path, capsys):
    hand = make_wrist(seed=41, index=0, config=PhantomConfig(size=280, field_of_view=(210.0, 210.0)))
    paths = [tmp_path / f"visit{visit}_{hand.side}.png" for visit in (1, 2)]
    write_image(paths[0], hand.image[0])
    write_image(paths[1], hand.image[0][20:, 30:-16])
    radiographs = Radiographs(predictor)
    said = describe_comparison(radiographs.compare(*radiographs.add_files(paths)))
    radiographs.close()
    assert main(["compare", *map(str, paths), "-o", str(tmp_path / "out"), "--json"]) == 0
    command = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in command} == command
    assert max(abs(bone["change_percent"]) for bone in command["bone_areas"] if bone["change_percent"] is not None) < 10
    # on the radiographs, the second is moved back by what was cut off
    a, _, _, d, x, y = said["matrix"]
    assert (a, d) == pytest.approx((1, 1), abs=0.03) and (x, y) == pytest.approx((30, 20), abs=3)


def test_the_side_is_read_from_the_name_of_a_dropped_radiograph_in_either_case(wrists):
    data = wrists[0].read_bytes()
    for name in ("wrist-L.bmp", "WRI-L1.bmp", "wrist (L).bmp", "左手.bmp", "x" * 200 + " left.bmp", "a:b?_L.bmp"):
        assert read_upload(name, data).side == "L"
    assert read_upload("radiograph.bmp", data).side is None


def test_two_visits_are_compared_as_the_library_does(client, predictor, wrists):
    keys = [radiograph["key"] for radiograph in client.get("radiographs")["radiographs"]]
    said = client.get(f"comparison?baseline={keys[1]}&followup={keys[2]}")
    expected = compare(predictor(wrists[1]).single(), predictor(wrists[2]).single())
    assert {key: said[key] for key in expected.to_dict()} == json.loads(json.dumps(expected.to_dict()))
    reply, said = client("GET", f"comparison?baseline={keys[0]}&followup={keys[1]}")
    assert reply.status == 422
    assert "left" in said["error"]


def test_the_svg_matrix_moves_corners_as_the_registration_moves_centres():
    motion = Similarity(1.3, 0.4, np.array([5.0, -7.0]))
    a, b, c, d, e, f = svg_matrix(motion)
    x, y = 12.0, 31.0
    there = motion(np.array([[x, y]]))[0] + 0.5
    x, y = x + 0.5, y + 0.5
    assert (a * x + c * y + e, b * x + d * y + f) == pytest.approx(tuple(there))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("torn.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "torn.png: "),
        ("notes.txt", b"not a picture", "notes.txt: "),
        ("empty.dcm", b"", "empty.dcm: "),
        ("cut.dcm", b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL", "cut.dcm: "),
        ("array.npy", b"\x93NUMPY\x01\0", "array.npy: "),
        (
            "bomb.npy",
            b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }",
            "bomb.npy: ",
        ),
    ],
)
def test_a_bad_file_gets_a_message_and_the_server_goes_on(client, wrists, name, data, message):
    reply, said = client.upload(name, data)
    assert reply.status == 422
    assert said["error"].startswith(message)
    assert tempfile.gettempdir() not in said["error"]
    assert client.upload("good.png", wrists[1].read_bytes())[0].status == 201


def test_a_strip_is_refused_and_the_server_goes_on(client, server, tmp_path):
    strip = bad_files.png_of_size(1, 20_000_000)
    reply, said = client.upload("strip.png", strip)
    assert reply.status == 422 and said["error"].startswith("strip.png: 1 x 20000000 pixels")
    (tmp_path / "strip.png").write_bytes(strip)
    (key,) = server.radiographs.add_files([tmp_path / "strip.png"])
    reply, said = client("GET", f"radiographs/{key}")
    assert reply.status == 422 and "8,192" in said["error"]
    assert client.get("radiographs")


def test_damage_anywhere_never_stops_the_server(client, wrists):
    rng = np.random.default_rng(3)
    for whole in (wrists[1].read_bytes(), dicom(read_image(wrists[1]), ImageLaterality="R")):
        for _ in range(15):
            data = bytearray(whole[: rng.integers(1, len(whole))])
            for place in rng.integers(0, min(len(data), 600), 8):
                data[place] = rng.integers(256)
            reply, said = client.upload("radiograph.png" if whole[1:4] == b"PNG" else "radiograph.dcm", bytes(data))
            assert reply.status in (201, 422), said
    assert client.get("radiographs")


def test_a_file_of_the_command_line_that_went_away_is_named(predictor, tmp_path, wrists):
    path = tmp_path / "gone.png"
    path.write_bytes(wrists[1].read_bytes())
    radiographs = Radiographs(predictor)
    (key,) = radiographs.add_files([path])
    path.unlink()
    with pytest.raises(DataError, match=r"gone\.png"):
        radiographs.result(key)
    radiographs.close()


def test_a_file_that_was_replaced_is_read_again(predictor, tmp_path, wrists):
    path = tmp_path / "wrist.png"
    path.write_bytes(wrists[1].read_bytes())
    radiographs = Radiographs(predictor)
    (key,) = radiographs.add_files([path])
    before = radiographs.result(key)
    assert radiographs.result(key) is before
    path.write_bytes(wrists[0].read_bytes())
    after = radiographs.result(key)
    np.testing.assert_array_equal(after.radiograph.pixels, load_radiograph(wrists[0]).pixels)
    path.unlink()
    assert radiographs.result(key) is after
    radiographs.close()


def test_names_are_listed_so_that_they_can_be_read(predictor, tmp_path):
    radiographs = Radiographs(predictor)
    radiographs.add_files([tmp_path / name for name in ("a\nb_L.png", "a\u202eb_L.png", os.fsdecode(b"\xff_L.png"))])
    assert [name for _, name in radiographs.names()] == ["a\\nb_L.png", "a\\u202eb_L.png", "\\udcff_L.png"]
    radiographs.close()


def test_the_window_is_that_of_the_command_line(predictor, tmp_path, wrists):
    grey = (read_image(wrists[0]) * 4095).astype(np.uint16)
    path = save(make(grey, WindowCenter=[2048, 1900], WindowWidth=[4096, 4000]), tmp_path / "radiograph.dcm")
    radiographs = Radiographs(predictor, window=1)
    for key in [*radiographs.add_files([path]), radiographs.add_upload("radiograph.dcm", path.read_bytes())]:
        shown = radiographs.result(key).radiograph.pixels
        np.testing.assert_array_equal(shown, load_radiograph(path, window=1).pixels)
        assert not np.array_equal(shown, load_radiograph(path).pixels)
    radiographs.close()


def test_the_pixel_spacing_is_that_of_the_command_line(predictor, wrists):
    radiographs = Radiographs(predictor, spacing_mm=0.15)
    for key in [*radiographs.add_files(wrists[:1]), radiographs.add_upload("radiograph.png", wrists[1].read_bytes())]:
        assert radiographs.result(key).radiograph.spacing_mm == 0.15
    radiographs.close()


def test_dropped_radiographs_are_limited_and_can_be_removed(client, server, monkeypatch, wrists):
    monkeypatch.setattr(held, "MAX_HELD_PIXELS", 2 * 128 * 128)
    keys = [client.upload("radiograph.png", wrists[1].read_bytes())[1]["key"] for _ in range(2)]
    reply, said = client.upload("third.png", wrists[1].read_bytes())
    assert reply.status == 422
    assert said["error"].startswith("third.png: ")
    assert client("DELETE", f"radiographs/{keys[0]}")[0].status == 200
    assert client.upload("third.png", wrists[1].read_bytes())[0].status == 201
    assert client("GET", f"radiographs/{keys[0]}")[0].status == 404
    assert client("DELETE", f"radiographs/{keys[0]}")[0].status == 404


def test_only_some_results_are_kept(predictor, wrists):
    radiographs = Radiographs(predictor)
    keys = radiographs.add_files(wrists * 3)
    first = radiographs.result(keys[0])
    assert radiographs.result(keys[0]) is first
    for key in keys:
        radiographs.result(key)
    assert len(radiographs._results) == held.KEPT_RESULTS
    assert radiographs.result(keys[0]) is not first
    radiographs.close()


def test_warnings_come_with_the_page(client, predictor, monkeypatch):
    facts = client.get("radiographs")
    assert facts["caution"] == f"{predictor.history.warning} {predictor.history}"
    assert "not a medical device" in facts["notice"]
    scored = TrainingHistory((TrainingData("radiographs", 9, 9, 9, "scored"),))
    monkeypatch.setattr(predictor, "history", scored)
    assert describe_model(predictor)["caution"] is None


def test_uploads_leave_no_files(client, wrists, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert client.upload("radiograph_L.png", wrists[0].read_bytes())[0].status == 201
    assert client.upload("torn.png", wrists[0].read_bytes()[:500])[0].status == 422
    key = client.upload("radiograph.dcm", dicom(read_image(wrists[1])))[1]["key"]
    client.get(f"radiographs/{key}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("wrist_L.dcm", "wrist_L.dcm"),
        ("C:\\radiographs\\wrist.png", "wrist.png"),
        ("../../etc/passwd", "passwd"),
        ("..", "radiograph"),
        ("", "radiograph"),
        ("a\0b\n.png", "ab.png"),
        ("Röntgen 1.png", "Röntgen 1.png"),
        ("x" * 500 + ".png", "x" * 116 + ".png"),
    ],
)
def test_names_are_names_and_no_paths(name, plain, wrists):
    assert plain_name(name) == plain
    with pytest.raises(DataError, match=rf"^{re.escape(plain)}: "):
        read_upload(name, b"damaged")
