"""Anatomies as data: the wrist is that of RAM-W600, every fault of a file is one clear line, files read back."""

from __future__ import annotations

import json
import re
from copy import deepcopy

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from jointwrist.anatomy import WRIST, list_anatomies, load_anatomy, parse_anatomy, to_values
from jointwrist.cli import main
from jointwrist.config import ConfigError, build
from jointwrist.data.batches.torch_datasets import sample_to_item
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.layout import EROSIONS
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.dataset.writer import DatasetWriter, Pixels
from jointwrist.data.importers.identify import identify
from jointwrist.data.mask_resize import resize_bits
from jointwrist.data.preprocess import unpack_bits
from jointwrist.data.sample import WristSample, as_right_hand, pack_masks, unpack_masks
from jointwrist.engine.config.run_config import AugmentConfig, RunConfig
from jointwrist.engine.loop.build import build_model, weight_info
from jointwrist.engine.tasks.augment import Augment
from jointwrist.errors import DataError
from jointwrist.losses import overlap_dice_loss
from jointwrist.metrics.segmentation import case_metrics, overlap_metrics
from jointwrist.metrics.segmentation_results import segmentation_results
from jointwrist.ops.drawn_roi import drawn_regions

SMALL = """
name: toe
bones:
  - {name: Metatarsal, spellings: [MT1], colour: [10, 200, 30]}
  - {name: Phalanx, display: Proximal phalanx, code: [SCT, "1", Phalanx]}
  - {name: Sesamoid}
joints:
  - {name: MTP, display: Metatarsophalangeal joint, bone: Metatarsal, end: true, articulating: [Phalanx]}
overlaps:
  - [Metatarsal, Phalanx]
scores:
  - {name: erosion, highest: 4, levels: 3}
"""


def small() -> dict:
    return yaml.safe_load(SMALL)


def test_the_wrist_is_that_of_ram_w600():
    # order of the channels and pairs as in the public evaluation code of the data set
    assert WRIST.bone_names == (
        "Capitate", "DistalRadius", "DistalUlna", "Hamate", "Lunate", "TriquetrumPisiform", "Scaphoid", "Trapezium",
        "Trapezoid", "Metacarpal1st", "Metacarpal2nd", "Metacarpal3rd", "Metacarpal4th", "Metacarpal5th",
    )  # fmt: skip
    assert WRIST.overlaps == (
        (1, 6), (1, 4), (6, 7), (0, 6), (7, 9), (0, 11), (3, 12), (4, 6), (7, 8), (0, 8), (3, 13), (7, 10), (8, 10),
        (10, 11),
    )  # fmt: skip
    assert [(joint.name, joint.bone, joint.end, joint.articulating_bones) for joint in WRIST.joints] == [
        ("Metacarpal1st", 9, True, (7,)),
        ("Trapezium", 7, False, (9, 6, 8)),
        ("Scaphoid", 6, False, (1, 7, 8, 4, 0)),
        ("Lunate", 4, False, (1, 6, 0, 5)),
        ("DistalRadius", 1, True, (6, 4)),
        ("DistalUlna", 2, True, (4, 1, 5)),
    ]
    assert [joint.released for joint in WRIST.joints] == [
        "Metacarpal1st", "Trapzium", "Scaphoid", "Lunate", "DistalRadius", "DistalUlna",
    ]  # fmt: skip
    assert WRIST.erosion.values == (0, 1, 2, 3, 4, 5) and WRIST.erosion.labels == ("0", "1", "2", "3-5")
    assert WRIST.erosion.joints == (0, 1, 2, 3, 4, 5)
    assert WRIST.bones[0].colour == (31, 119, 180) and WRIST.bones[13].colour == (247, 182, 210)


def test_the_hand_is_that_of_ram_h1200():
    hand = load_anatomy("hand")
    categories = (
        "Capitate DP1 DP2 DP3 DP4 DP5 Hamate Lunate MC1 MC2 MC3 MC4 MC5 MP2 MP3 MP4 MP5 PP1 PP2 PP3 PP4 PP5"
        " Pisifrom_Triquetrum Radius Scaphoid Sesamoid Trapezium Trapezoid Ulna"
    ).split()
    assert sorted(hand.bone_index(name) for name in categories) == list(range(len(hand.bones)))
    eroded = "CMC-T Tm S L R U IP MCP-T MCP-I MCP-M MCP-R MCP-S PIP-I PIP-M PIP-R PIP-S".split()
    narrowed = "CMC-M CMC-R CMC-S SC SR STT MCP-T MCP-I MCP-M MCP-R MCP-S PIP-I PIP-M PIP-R PIP-S".split()
    assert {hand.joint_index(site) for site in eroded} == set(hand.erosion.joints)
    assert {hand.joint_index(site) for site in narrowed} == set(hand.score("narrowing").joints)
    assert len(eroded) == 16 and len(narrowed) == 15 and hand.score("narrowing").highest == 4
    assert hand.bone_names[:14] == WRIST.bone_names and hand.overlaps[:14] == WRIST.overlaps


@pytest.mark.parametrize("name", list_anatomies())
def test_values_and_anatomy_are_the_same(name):
    anatomy = load_anatomy(name)
    assert parse_anatomy(json.loads(json.dumps(to_values(anatomy))), "stored") == anatomy
    assert len({bone.colour for bone in anatomy.bones}) == len(anatomy.bones)


def test_a_users_file(tmp_path):
    (tmp_path / "toe.yaml").write_text(SMALL)
    toe = load_anatomy(tmp_path / "toe.yaml")
    assert toe.bone_names == ("Metatarsal", "Phalanx", "Sesamoid") and toe.overlap_names == ("Metatarsal&Phalanx",)
    assert toe.bone_index("mt-1") == 0 and toe.bone_index("proximal phalanx") == 1
    assert toe.joints[0].bone == 0 and toe.joints[0].articulating_bones == (1,) and toe.unscored == (-1,)
    assert toe.erosion.values == (0, 1, 2, 3, 4) and toe.erosion.labels == ("0", "1", "2-4")
    assert toe.bones[0].colour == (10, 200, 30) and toe.bones[1].code == ("SCT", "1", "Phalanx")
    with pytest.raises(KeyError, match="unknown bone 'Talus'; bones are Metatarsal"):
        toe.bone_index("Talus")
    with pytest.raises(ValueError, match="toe has no score 'narrowing'; its scores are erosion"):
        toe.score("narrowing")


def test_colours_of_a_palette_differ():
    values = small() | {"bones": [{"name": f"B{i}"} for i in range(63)], "joints": [], "scores": []}
    anatomy = parse_anatomy(values | {"overlaps": [["B0", "B1"]]}, "many")
    colours = np.array([bone.colour for bone in anatomy.bones], int)
    apart = np.abs(colours[:, None] - colours[None]).sum(-1) + 1000 * np.eye(63, dtype=int)
    assert len(anatomy.bones) == 63 and apart.min() > 10 and apart[:16, :16].min() > 40


def broken(change) -> dict:
    values = deepcopy(small())
    change(values)
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["joints"][0].update(bone="Talus"), "joints.MTP.bone names an unknown bone 'Talus'; bones are"),
        (lambda v: v["joints"][0].update(articulating=["Talus"]), "joints.MTP.articulating names an unknown bone 'Tal"),
        (lambda v: v["joints"][0].update(articulating=[]), "joints.MTP.articulating: names no bone that Metatarsal"),
        (lambda v: v["joints"][0].update(articulating=["Metatarsal"]), "names Metatarsal itself, or a bone twice"),
        (lambda v: v["joints"][0].pop("bone"), "joints.MTP.bone is missing; bones are Metatarsal, Phalanx"),
        (lambda v: v["bones"].append({"name": "Phalanx"}), "bones: the name Phalanx is given twice"),
        (lambda v: v["bones"][2].update(spellings=["MT-1"]), "'MT-1' means both Metatarsal and Sesamoid"),
        (
            lambda v: v["bones"][2].update(name="../Sesamoid"),
            "letters, digits, _, \\+ and -, as they become file names",
        ),
        (lambda v: v["bones"][1].pop("name"), "bones.2.name is missing"),
        (lambda v: v["bones"][0].update(colour=[1, 2]), "bones.Metatarsal.colour needs 3 values"),
        (lambda v: v["bones"][0].update(colour=[1, 2, 256]), "bones.Metatarsal.colour is 256; it must be at least 0"),
        (lambda v: v["bones"][0].update(colour="red"), "bones.Metatarsal.colour needs a list, not 'red'"),
        (
            lambda v: v["bones"][0].update(color=[1, 2, 3]),
            "bones.Metatarsal.color; did you mean bones.Metatarsal.colour",
        ),
        (lambda v: v["bones"].insert(0, "Talus"), "bones: entry 1 needs keys and values, not 'Talus'"),
        (lambda v: v.update(bones="Talus"), "bones needs a list"),
        (
            lambda v: v.update(bones=[{"name": f"B{i}"} for i in range(64)]),
            "bones: lists 64; at most 63 fit into a bit",
        ),
        (lambda v: v.update(bones=[]), "bones: lists no bone"),
        (lambda v: v.update(bonse=[]), "unknown key bonse; did you mean bones"),
        (lambda v: v.update(overlaps=[]), "overlaps: lists no pair of bones; overlap figures and losses need one"),
        (lambda v: v.pop("overlaps"), "overlaps: lists no pair of bones"),
        (lambda v: v.update(overlaps=[["Phalanx", "Talus"]]), "overlaps names an unknown bone 'Talus'"),
        (lambda v: v.update(overlaps=[["Phalanx", "Phalanx"]]), "Phalanx cannot overlap with itself"),
        (lambda v: v["overlaps"].append(["Phalanx", "Metatarsal"]), "the pair Metatarsal, Phalanx is listed twice"),
        (lambda v: v.update(overlaps=[["Phalanx"]]), "overlaps needs 2 values"),
        (lambda v: v["scores"][0].update(levels=0), "scores.erosion.levels is 0; it must be at least 2"),
        (lambda v: v["scores"][0].update(levels=6), "scores.erosion.levels is 6; scores 0 to 4 have at most 5"),
        (lambda v: v["scores"][0].update(highest=0), "scores.erosion.highest is 0; it must be at least 1"),
        (lambda v: v["scores"][0].update(highest="five"), "scores.erosion.highest needs a whole number, not 'five'"),
        (lambda v: v["scores"][0].update(joints=["IP"]), "scores.erosion.joints names an unknown joint 'IP'"),
        (lambda v: v.update(scores=[]), "scores: lists no erosion score, by which"),
        (lambda v: v.pop("name"), "name is missing"),
    ],
)
def test_a_fault_is_one_clear_line(tmp_path, change, message):
    path = tmp_path / "toe.yaml"
    path.write_text(yaml.safe_dump(broken(change)))
    with pytest.raises(ConfigError, match=message) as error:
        load_anatomy(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_missing_file_names_those_of_the_package(tmp_path):
    with pytest.raises(ConfigError, match=re.escape("no such anatomy; name a YAML file, or one of the package: hand,")):
        load_anatomy(tmp_path / "none.yaml")


def test_a_package_in_an_archive_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("jointwrist.anatomy.read.FOLDER", tmp_path / "package.zip" / "anatomy")
    with pytest.raises(ConfigError, match=r"package\.zip.*: the package's files are not there; unpack the archive"):
        load_anatomy("wrist")


def test_sizes_follow_the_anatomy():
    """Metrics, losses and drawn regions of a hand, whose bones need a bit map of 32 bits."""
    hand = load_anatomy("hand")
    generator = np.random.default_rng(0)
    masks = generator.random((29, 24, 24)) < 0.3
    bits = pack_masks(masks)
    assert bits.dtype == np.uint32 and np.array_equal(unpack_masks(bits, 29), masks)
    same, of_bits = (
        case_metrics(masks, masks[::-1], anatomy=hand),
        case_metrics(bits, pack_masks(masks[::-1]), anatomy=hand),
    )
    assert same["dsc"].shape == (29,) and all(np.array_equal(same[key], of_bits[key], equal_nan=True) for key in same)
    overlap = overlap_metrics(bits, bits, anatomy=hand)
    assert np.all(overlap["dsc"] == 1) and overlap["dsc"].shape == (len(hand.overlaps),)
    rows = segmentation_results(
        case="0001_0001_R", patient="0001", side="R", scores=hand.unscored, predicted=bits, truth=bits, anatomy=hand
    )
    assert [row["region"] for row in rows] == [*hand.bone_names, *hand.overlap_names]
    with pytest.raises(ValueError, match="must be a uint32 bit map"):
        case_metrics(bits.astype(np.uint16), bits, anatomy=hand)
    with pytest.raises(ValueError, match="a bit map of 29 bones holds no value as high as"):
        case_metrics(bits | np.uint32(2**30), bits, anatomy=hand)
    whole = np.zeros((29, 24, 24), bool)
    whole[14, 4:12, 4:12] = whole[23, 12:20, 4:12] = True
    assert drawn_regions(whole, joints=hand.joints).joint.shape == (22, 24, 24)


def test_overlap_loss_is_over_the_pairs_of_the_anatomy():
    toe = parse_anatomy(small(), "toe")
    target = torch.zeros(1, 3, 8, 8)
    target[:, 0, :5], target[:, 1, 3:], target[:, 2] = 1, 1, 1
    found = target.clone()
    assert overlap_dice_loss(found, target, anatomy=toe) < 1e-6
    found[:, 2] = 0  # the third bone is in no pair
    assert overlap_dice_loss(found, target, anatomy=toe) < 1e-6
    found[:, 1] = 1 - found[:, 1]
    assert overlap_dice_loss(found, target, anatomy=toe) > 0.9


@pytest.mark.parametrize(
    ("rule", "dtype"), [("coverage", torch.int32), ("coverage", torch.int64), ("nearest", torch.int32)]
)
def test_wide_bit_maps_are_resized_bone_by_bone(rule, dtype):
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(31 if dtype is torch.int32 else 63, 20, 20, generator=generator) < 0.5
    bits = sum(mask.to(dtype) << bone for bone, mask in enumerate(masks))
    resized = resize_bits(bits[None], 13, rule)
    assert resized.dtype is dtype
    for bone, mask in enumerate(masks):
        alone = resize_bits(mask[None].to(torch.int16), 13, rule)
        assert torch.equal((resized >> bone) & 1, alone.to(dtype)), bone


def drawn_toes(folder, number: int = 4):
    """Write radiographs of toes as PNG, with a COCO file of their bones and a table of scores."""
    folder.mkdir()
    generator = np.random.default_rng(1)
    images, annotations, rows = [], [], ["file,patient,study,side,split,spacing_mm,MTP"]
    for index in range(number):
        picture = (generator.random((96, 96)) * 60).astype(np.uint8)
        boxes = ((30, 6, 36, 44), (30, 44, 36, 40), (50, 40, 12, 12))
        for bone, (x, y, width, height) in enumerate(boxes):
            picture[y : y + height, x : x + width] += np.uint8(60 + 10 * bone)
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            entry = {"id": 3 * index + bone + 1, "image_id": index + 1, "category_id": bone + 1}
            annotations.append(entry | {"segmentation": [corners], "bbox": [x, y, width, height], "iscrowd": 0})
        Image.fromarray(picture).save(folder / f"toe{index}.png")
        images.append({"id": index + 1, "file_name": f"toe{index}.png", "width": 96, "height": 96})
        split = ("train", "train", "val", "test")[index % 4]
        rows.append(f"toe{index}.png,P{index},1,{'LR'[index % 2]},{split},0.15,{index % 5}")
    names = ("MT1", "phalanx", "Sesamoid")
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    (folder / "toes.json").write_text(json.dumps(content))
    (folder / "table.csv").write_text("\n".join(rows))


@pytest.fixture(scope="module")
def toes(tmp_path_factory):
    """Folder with `toe.yaml`, and toes imported by it into `data`."""
    folder = tmp_path_factory.mktemp("toes")
    (folder / "toe.yaml").write_text(SMALL)
    drawn_toes(folder / "drawn")
    arguments = ["coco", str(folder / "drawn" / "toes.json"), str(folder / "data")]
    arguments += ["--table", str(folder / "drawn" / "table.csv"), "--anatomy", str(folder / "toe.yaml")]
    assert main(["data", "import", *arguments]) == 0
    return folder


def test_a_dataset_carries_its_anatomy(toes, tmp_path, capsys):
    toe = load_anatomy(toes / "toe.yaml")
    dataset = RamW600.open(toes / "data")
    assert dataset.anatomy == toe and [case.scores for case in dataset.cases] == [(0,), (1,), (2,), (3,)]
    sample = load_sample(dataset.cases[0])
    assert unpack_masks(sample.bones, 3).sum((1, 2)).tolist() == [36 * 44, 36 * 40, 12 * 12]
    assert dataset.cases[0].crops.keys() == {0} and dataset.cases[0].boxes.shape == (1, 4)
    assert main(["data", "check", str(toes / "data")]) == 0
    assert main(["data", "export", "labelme", str(toes / "data"), str(tmp_path / "drawn")]) == 0
    again = ["data", "import", "labelme", str(tmp_path / "drawn"), str(tmp_path / "again")]
    again += ["--table", str(tmp_path / "drawn" / "table.csv"), "--anatomy", str(toes / "toe.yaml")]
    assert main(again) == 0
    other = RamW600.open(tmp_path / "again")
    assert other.anatomy == toe
    for case, copy in zip(dataset.cases, other.cases, strict=True):
        assert np.array_equal(load_sample(case).bones, load_sample(copy).bones) and case.scores == copy.scores
    with pytest.raises(DataError, match=r"anatomy\.yaml: is the anatomy toe, not the hand that was asked for"):
        RamW600.open(toes / "data", anatomy=load_anatomy("hand"))
    capsys.readouterr()
    assert main(["data", "import", "labelme", str(tmp_path / "drawn"), str(tmp_path / "wrists")]) == 2
    assert "no bone is known for 'Metatarsal', 'Phalanx', 'Sesamoid'" in capsys.readouterr().err


def test_a_hand_goes_through_the_layout_and_into_batches(tmp_path):
    """Bit maps of 29 bones and 22 joints, written, read, warped and unpacked bone by bone."""
    hand = load_anatomy("hand")
    generator = np.random.default_rng(2)
    masks = generator.random((29, 40, 40)) < 0.4
    eroded = (generator.random((40, 40)) < 0.1).astype(np.uint32) << np.uint32(21)
    writer = DatasetWriter(tmp_path, hand)
    pixels = Pixels((generator.random((40, 40)) * 255).astype(np.uint8))
    writer.add_masks("0001_0001_R", "train", pixels, masks)
    writer.add_arrays(EROSIONS, "0001_0001_R", eroded=eroded)
    scores = [3 if joint in hand.erosion.joints else -1 for joint in range(22)]
    boxes = np.tile(np.array([4.0, 4.0, 20.0, 20.0]), (22, 1))
    scored = [writer.add_scored("0001_0001_R", "train", pixels, pixels, scores, boxes)]
    writer.write_scores(scored), writer.write_boxes(scored)
    dataset = RamW600.open(tmp_path)
    (case,) = dataset.cases
    assert dataset.anatomy == hand and case.scores == tuple(scores) and len(case.crops) == 16
    item = sample_to_item(load_sample(case), 40)
    assert item["bones"].dtype is torch.int32 and item["eroded"].dtype is torch.int32 and item["scores"].shape == (22,)
    assert torch.equal(unpack_bits(item["bones"][None], 29)[0].bool(), torch.from_numpy(masks))
    augment = Augment(build(AugmentConfig, {"affine_probability": 1.0, "intensity_probability": 0.0}))
    torch.manual_seed(0)
    _, moved = augment(item["image"][None], torch.stack([item["bones"], item["eroded"]])[None])
    torch.manual_seed(0)
    alone = [torch.from_numpy(mask.astype(np.int16)) for mask in masks]
    _, each = augment(item["image"][None], torch.stack(alone)[None])
    assert torch.equal(unpack_bits(moved[:, 0], 29), each.float()) and moved[:, 0].any()
    assert torch.equal(moved[0, 1] & ~(1 << 21), torch.zeros_like(moved[0, 1]))


def test_baselines_have_an_output_per_bone():
    toe = parse_anatomy(small(), "toe")
    run = build(RunConfig, {"model": "unet", "task": "segmentation"})
    assert build_model(run, toe)(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)
    assert weight_info(run, 1, anatomy=toe)["options"] == {"num_classes": 3} and "anatomy" not in weight_info(run, 1)
    bare = parse_anatomy(small() | {"joints": [], "scores": []}, "toe")
    with pytest.raises(ConfigError, match="the anatomy toe has no joints; train a segmentation network"):
        build_model(build(RunConfig, {"model": "jointwrist_tiny", "task": "joint"}), bare)


def test_without_sides_nothing_is_mirrored_and_no_side_need_be_stated(tmp_path):
    spine = parse_anatomy(small() | {"name": "spine", "sides": False}, "spine.yaml")
    assert parse_anatomy(to_values(spine), "stored") == spine and not spine.sides
    toe = parse_anatomy(small(), "toe.yaml")
    assert toe.sides and toe.structure != spine.structure
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    for anatomy, mirrored in ((toe, True), (spine, False)):
        sample = WristSample("1_1_L", "1", "L", image, anatomy=anatomy)
        assert as_right_hand(sample).mirrored == mirrored
    (entry,) = identify([tmp_path / "film7.png"], anatomy=spine)
    assert entry.name.endswith("_R")
    with pytest.raises(DataError, match="states no side"):
        identify([tmp_path / "film7.png"], anatomy=toe)


@pytest.mark.parametrize("name", ["wrist", "hand"])
def test_terms_of_the_codes_name_their_bones(name):
    anatomy = load_anatomy(name)
    for bone in WRIST.bones:
        terms = [term for _, _, term in bone.parts or (bone.code,)]
        assert {anatomy.bone_names[anatomy.bone_index(term)] for term in terms} == {bone.name}
    numerals = [f"{word} {number}" for word in ("MC", "Metacarpal") for number in ("I", "II", "III", "IV", "V")]
    assert [anatomy.bone_names[anatomy.bone_index(term)][10] for term in numerals] == list("1234512345")
