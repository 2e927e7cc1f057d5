"""RAM-H1200 as released: a hand-made folder in its layout becomes wrists with masks, scores and erosions."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from annotation_files import plain_run_lengths
from openpyxl import Workbook
from PIL import Image

from jointwrist.anatomy import BONE_NAMES, JOINTS, WRIST, bone_index, load_anatomy
from jointwrist.cli import main
from jointwrist.data.batches.crop_erosions import load_crop_erosion
from jointwrist.data.batches.torch_datasets import sample_to_item
from jointwrist.data.dataset.case import load_crop, load_sample
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.importers.ram_h1200.release import resampling
from jointwrist.data.importers.ram_h1200.window import wrist_window
from jointwrist.data.sample import unpack_masks
from jointwrist.engine.tasks.erosion_losses import _sure
from jointwrist.errors import DataError
from jointwrist.phantom import PhantomConfig, make_wrist

SIZE, FINGERS, MM = 160, 90, 0.8
CATEGORIES = dict(
    zip(
        BONE_NAMES,
        ("Capitate", "Radius", "Ulna", "Hamate", "Lunate", "Pisifrom_Triquetrum", "Scaphoid", "Trapezium", "Trapezoid",
         *(f"MC{n}" for n in range(1, 6))),
        strict=True,
    )
)  # fmt: skip
GRADES = ("SvdH-BE-90", "SvdH-BE-50", "Non-SvdH-BE")
SITES = ("CMC-T", "Tm", "S", "L", "R", "U")
FILMS = {
    "JP_SARC_P0001_20200101_1000_L": ("train", 0),
    "JP_SARC_P0002_20200102_1001_R": ("train", 1),
    "JP_SARC_P0003_20200103_1002_R": ("train", 2),
    "JP_SARC_P0001_20210101_1003_R": ("val", 3),  # the patient of a film of train
    "JP_HMCRD_P0009_20200104_1004_R": ("test", 2),  # the pixels of a film of train, under another number
    "JP_HMCRD_P0010_20200105_1005_R": ("test", 4),
}
SCORES = {"BE_CMC-T": 0, "BE_Tm": 1, "BE_S": 2, "BE_L": 0, "BE_R": 5, "BE_U": None, "BE_IP": 3}


def hand(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return film and bone masks: a phantom wrist with room for fingers above."""
    wrist = make_wrist(21, index, PhantomConfig(size=SIZE, prevalence=0, off_centre=0))
    masks = np.pad(unpack_masks(wrist.bones), ((0, 0), (FINGERS, 0), (10, 10)))
    return np.pad(np.round(wrist.image[0] * 255).astype(np.uint8), ((FINGERS, 0), (10, 10))), masks


def bite(masks: np.ndarray, joint: int) -> np.ndarray:
    """Return a piece in the middle of the bone that bears a joint surface."""
    rows, columns = np.nonzero(masks[JOINTS[joint].bone])
    y, x = np.mgrid[: masks.shape[1], : masks.shape[2]]
    return np.hypot(y - np.median(rows), x - np.median(columns)) < 3


@pytest.fixture(scope="module")
def hands() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {stem: hand(index) for stem, (_, index) in FILMS.items()}


@pytest.fixture(scope="module")
def release(tmp_path_factory, hands):
    root = tmp_path_factory.mktemp("h1200") / "RAM-H1200-v1"
    for split in ("train", "val", "test"):
        folder = root / "Segmentation" / split
        folder.mkdir(parents=True)
        files = {
            "bone": ([], [], ["bone-6U7D-RuyD", *CATEGORIES.values(), "SoftTissue", "DP1"]),
            "be": ([], [], [*GRADES]),
        }
        scores = {}
        for stem in [stem for stem, (where, _) in FILMS.items() if where == split]:
            image, masks = hands[stem]
            Image.fromarray(image).save(folder / f"{stem}.bmp")
            drawn = {"bone": [(CATEGORIES[name], mask) for name, mask in zip(BONE_NAMES, masks, strict=True)], "be": []}
            drawn["bone"].append(("SoftTissue", masks.any(0)))
            scaphoid, lunate = bite(masks, 2), bite(masks, 3)
            if stem == "JP_SARC_P0002_20200102_1001_R":  # one region of two pieces, a doubtful one, and one elsewhere
                capitate = np.roll(masks[bone_index("Metacarpal3rd")], -60, axis=0) & ~masks.any(0)
                drawn["be"] = [(GRADES[0], scaphoid | lunate), (GRADES[1], bite(masks, 4)), (GRADES[2], capitate)]
            for key, (images, drawings, names) in files.items():
                height, width = image.shape
                if key == "be" and stem == "JP_SARC_P0003_20200103_1002_R":
                    continue  # not listed
                images.append(
                    {"id": len(images), "file_name": f"{stem}_bmp.rf.0a1b2c.bmp", "height": height, "width": width}
                )
                drawings += [
                    {"id": len(drawings) + n, "image_id": len(images) - 1, "category_id": names.index(name),
                     "segmentation": {"counts": plain_run_lengths(mask), "size": [height, width]}}
                    for n, (name, mask) in enumerate(drawn[key]) if mask.any()
                ]  # fmt: skip
            scores[f"{stem}.bmp"] = SCORES
        for key, (images, drawings, names) in files.items():
            categories = [{"id": number, "name": name} for number, name in enumerate(names)]
            (folder / f"_annotations_{key}_rle.coco.json").write_text(
                json.dumps({"images": images, "annotations": drawings, "categories": categories})
            )
        for kind, values in (("BE", scores), ("JSN", {name: {"JSN_SR": 4, "JSN_STT": 9} for name in scores})):
            where = root / "SvdH_Scoring" / f"SvdH_{kind}_Scoring" / split
            where.mkdir(parents=True)
            (where / f"_annotation_{kind.lower()}_scores.json").write_text(json.dumps(values))
    book = Workbook()
    book.active.append(["Mapped Image Stem", "Normalized PatientID", "PixelSpacing", "ImageSize"])
    for stem in FILMS:
        # the original had twice the rows of the released film, and showed two hands
        size = f"{2 * (SIZE + FINGERS)}x{4 * (SIZE + 20)}"
        book.active.append([stem[:-2], stem.split("_")[2], f"[{MM / 2}, {MM / 2}]", size])
    book.save(root / "Metadata.xlsx")
    return root


@pytest.fixture(scope="module")
def imported(release, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "wrists"
    assert main(["data", "import", "ram-h1200", str(release), str(out)]) == 0
    assert not [fault for fault in check_dataset(out) if fault.severity == "error"]
    return out, {case.identifier: case for case in RamW600.open(out).cases}


def test_wrists_have_the_pixels_masks_spacing_and_scores_of_their_film(imported, hands):
    _, cases = imported
    case = cases["JP-SARC-P0002_20200102-1001_R"]
    sample = load_sample(case, right_hand=False)
    image, masks = hands["JP_SARC_P0002_20200102_1001_R"]
    window = wrist_window(masks, MM)
    assert sample.image.shape[1:] == (round(95 / MM),) * 2
    np.testing.assert_array_equal(np.round(sample.image[0] * 255), window.cut(image))
    np.testing.assert_array_equal(unpack_masks(sample.bones), window.cut(masks))
    assert sample.spacing_mm == pytest.approx(MM)
    assert case.scores == (0, 1, 2, 0, 5, -1)
    assert (case.segmentation_split, case.erosion_split) == ("train", "train")


def test_pieces_go_to_their_joint_and_what_is_in_doubt_is_kept_apart(imported, hands):
    _, cases = imported
    masks = hands["JP_SARC_P0002_20200102_1001_R"][1]
    window = wrist_window(masks, MM)
    with np.load(cases["JP-SARC-P0002_20200102-1001_R"].truth) as truth:
        eroded, unsure = unpack_masks(truth["eroded"], 6), truth["unsure"]
    for joint in JOINTS:
        wanted = window.cut(bite(masks, joint.index)) if joint.index in (2, 3) else np.zeros_like(unsure)
        np.testing.assert_array_equal(eroded[joint.index], wanted)
    assert unsure[window.cut(bite(masks, 4))].all()
    assert not (unsure & eroded.any(0)).any()


def test_sound_films_are_known_to_be_sound_and_films_that_are_not_listed_are_unknown(imported):
    _, cases = imported
    with np.load(cases["JP-HMCRD-P0010_20200105-1005_R"].truth) as truth:
        assert not truth["eroded"].any() and not truth["unsure"].any()
    assert "JP-HMCRD-P0009_20200104-1004_R" in cases


def test_a_joint_with_pixels_in_doubt_teaches_no_pixels(imported):
    _, cases = imported
    case = cases["JP-SARC-P0002_20200102-1001_R"]
    sample = load_sample(case)
    with np.load(case.truth) as truth:
        np.testing.assert_array_equal(sample.eroded >> 6, truth["unsure"])
        np.testing.assert_array_equal(sample.eroded & 63, truth["eroded"])
    radius, lunate = (load_crop_erosion(case, j, load_crop(case, j).shape) for j in (4, 3))
    assert radius is None and (lunate is None or lunate.any())
    item = sample_to_item(sample, 120)
    batch = {"image": item["image"][None], "eroded": item["eroded"][None]}
    boxes = torch.tensor([[[0.0, 0.0, 40.0, 40.0]] * 5 + [[0.0, 0.0, 120.0, 120.0]]])
    found, crops = torch.ones(1, 6, dtype=torch.bool), torch.zeros(1, 6, 1, 32, 32)
    output = SimpleNamespace(roi_valid=found, crops=crops, roi_boxes=boxes)
    sure = _sure(output, batch, WRIST)
    assert sure.tolist() == [[True] * 5 + [False]]


def test_whole_hands_have_the_bones_and_joints_of_the_anatomy(release, hands, tmp_path):
    out = tmp_path / "hands"
    assert main(["data", "import", "ram-h1200", str(release), str(out), "--hand"]) == 0
    assert not [fault for fault in check_dataset(out) if fault.severity == "error"]
    anatomy = load_anatomy("hand")
    case = next(case for case in RamW600.open(out).cases if case.identifier == "JP-SARC-P0002_20200102-1001_R")
    sample = load_sample(case, right_hand=False)
    image, masks = hands["JP_SARC_P0002_20200102_1001_R"]
    np.testing.assert_array_equal(np.round(sample.image[0] * 255), image)
    np.testing.assert_array_equal(unpack_masks(sample.bones, len(anatomy.bones))[:14], masks)
    scores = dict(zip(anatomy.joint_names, case.scores, strict=True))
    assert [scores[name] for name in ("Metacarpal1st", "Trapezium", "Scaphoid", "DistalUlna")] == [0, 1, 2, -1]
    eroded = unpack_masks(sample.eroded, len(anatomy.joints))
    assert eroded[anatomy.joint_index("Scaphoid")].sum() == bite(masks, 2).sum()


def test_leaks_are_listed_and_left_out_unless_the_official_split_is_asked_for(imported, release, tmp_path, capsys):
    out, cases = imported
    with (out / "leaks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["film"], row["reason"], row["kept"]) for row in rows] == [
        ("JP_SARC_P0001_20200101_1000_L", "same patient", "JP_SARC_P0001_20210101_1003_R"),
        ("JP_SARC_P0003_20200103_1002_R", "same pixels", "JP_HMCRD_P0009_20200104_1004_R"),
    ]
    assert len(cases) == 4
    assert main(["data", "import", "ram-h1200", str(release), str(tmp_path / "official"), "--official"]) == 0
    printed = capsys.readouterr().out
    assert "6 wrists (train 3, val 1, test 2)" in printed
    assert "JP-HMCRD-P0009, JP-SARC-P0003" in printed
    assert "same patient 1, same pixels 1" in printed
    with (tmp_path / "official" / "narrowing.csv").open() as file:
        assert {(row["SR"], row["STT"]) for row in csv.DictReader(file)} == {("4", "")}


def test_spacings_of_resampled_films_are_corrected():
    assert resampling((1670, 2010), 1431, 861) == pytest.approx(1670 / 1431)
    assert resampling((2010, 1670), 1431, 861) == pytest.approx(1670 / 1431)
    assert resampling((1700, 2600), 1700, 1300) == 1
    assert resampling(None, 1700, 1300) == 1


def test_a_folder_that_is_not_the_release_is_refused_in_one_line(release, tmp_path, capsys):
    for sources, said in (([tmp_path], "no folder Segmentation"), ([release, release], "takes one folder")):
        assert main(["data", "import", "ram-h1200", *map(str, sources), str(tmp_path / "new")]) != 0
        assert said in capsys.readouterr().err
    from jointwrist.data.importers.ram_h1200.release import parse_name

    with pytest.raises(DataError, match="P0001"):
        parse_name("P0001_L", tmp_path)
