"""A user's anatomy of three bones and one joint, from one YAML file to a trained network and all of its outputs."""

from __future__ import annotations

import json
from dataclasses import replace

import dicom_files
import numpy as np
import pytest
import torch
from PIL import Image
from test_anatomy import SMALL, drawn_toes

from jointwrist.anatomy import info_anatomy, load_anatomy
from jointwrist.cli import main
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.errors import DataError
from jointwrist.inference.comparison import compare
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import UNKNOWN_SIDE
from jointwrist.inference.taken_whole import TAKEN_WHOLE
from jointwrist.outputs.tables import make_tables
from jointwrist.viewer.describe import describe_model, describe_result
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.weights.checkpoint import load_weights, read_info, save_weights

#: A network of some thousand parameters.
TINY = [
    "image_size=64", "optim.epochs=1", "optim.batch_size=2", "segmentation.overlap=1", "options.encoder=conv",
    "options.widths=[16,16,8,8,8]", "options.roi_channels=8", "options.roi_crop=32", "options.roi_dim=32",
]  # fmt: skip


#: A second score, of which the table in the dataset's folder holds the grades of two radiographs.
WITH_NARROWING = SMALL + "  - {name: narrowing, display: Joint-space narrowing, highest: 3}\n"


@pytest.fixture(scope="module")
def toes(tmp_path_factory):
    """Folder with toe.yaml, an imported dataset in `data`, and a network trained on it in `run`."""
    folder = tmp_path_factory.mktemp("toes")
    (folder / "toe.yaml").write_text(WITH_NARROWING)
    drawn_toes(folder / "drawn")
    source = [str(folder / "drawn" / "toes.json"), str(folder / "data"), "--table", str(folder / "drawn" / "table.csv")]
    assert main(["data", "import", "coco", *source, "--anatomy", str(folder / "toe.yaml")]) == 0
    names = [case.identifier for case in RamW600.open(folder / "data").cases]
    grades = "".join(f"{name},{number % 4}\n" for number, name in enumerate(names))
    (folder / "data" / "narrowing.csv").write_text(f"identifier,MTP\n{grades}")
    command = ["train", "jointwrist_tiny", "--data", str(folder / "data"), "-o", str(folder / "run"), "--set", *TINY]
    assert main(command) == 0
    weights = folder / "run" / "best.safetensors"
    model, info = load_weights(weights)
    model.decoder.mask_head.bias.data.fill_(9.0)  # one epoch finds no bone: now every pixel belongs to all
    save_weights(weights, model, info)
    return folder


@pytest.fixture(scope="module")
def predicted(toes):
    """A result of a DICOM radiograph."""
    predictor = Predictor.from_pretrained(toes / "run", "cpu")
    pixels = np.asarray(Image.open(toes / "drawn" / "toe3.png")).astype(np.uint16) << 4
    return predictor(
        dicom_files.save(
            dicom_files.make(pixels, StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4"), toes / "toe.dcm"
        )
    ).single()


def test_weights_carry_the_anatomy(toes):
    model, info = load_weights(toes / "run" / "best.safetensors")
    assert info_anatomy(info) == load_anatomy(toes / "toe.yaml")
    output = model(torch.zeros(1, 1, 64, 64))
    assert output.mask_logits.shape == (1, 3, 64, 64) and output.erosion_logits.shape == (1, 1, 2)
    assert output.further_logits.shape == (1, 1, 1, 3)
    assert (output.further_logits.diff(dim=-1) < 0).all()  # P(level > k) falls with k
    assert "anatomy" not in read_info(toes / "run" / "best.safetensors")["options"]
    card = (toes / "run" / "README.md").read_text()
    assert "3 bone masks and the erosion of 1 joint surface of the anatomy toe. Also narrowing of 1." in card


def test_results_have_its_bones_and_joints(predicted, toes):
    assert predicted.masks.shape[0] == 3 and predicted.bones == ("Metatarsal", "Phalanx", "Sesamoid")
    content = predicted.to_dict()
    assert [entry["name"] for entry in content["bones"]] == ["Metatarsal", "Phalanx", "Sesamoid"]
    assert [entry["name"] for entry in content["joints"]] == ["MTP"] and TAKEN_WHOLE in content["notes"]
    assert content["joints"][0]["score_label"] in ("0", "1", "2-4")
    (narrowing,) = content["scores"]["narrowing"]
    assert narrowing["name"] == "MTP" and narrowing["score"] in range(4) and 0 <= narrowing["probability"] <= 1
    predicted.save(toes / "saved")
    assert np.load(toes / "saved" / "toe_masks.npz")["names"].tolist() == ["Metatarsal", "Phalanx", "Sesamoid"]
    with pytest.raises(DataError, match="visits are compared for wrists only, not for the anatomy toe"):
        compare(predicted, predicted)


def test_tables_have_its_bones_joints_and_further_scores(predicted):
    content = predicted.to_dict()
    tables = make_tables({"toe.json": content})
    assert set(tables) == {"wrists", "joints", "bones", "codebook"}
    assert tables["bones"]["bone"].tolist() == ["Metatarsal", "Phalanx", "Sesamoid"]
    joints = tables["joints"].set_index(["score", "joint"])
    for score, (entry,) in {"erosion": content["joints"], **content["scores"]}.items():
        row = joints.loc[(score, "MTP")]
        assert (row["level"], row["probability"]) == (entry["score"], entry["probability"])
        assert row["score_range"] == entry["score_label"].replace("-", " to ")
    assert tables["wrists"].loc[0, "level_MTP"] == content["joints"][0]["score"]
    assert (tables["codebook"]["meaning"].str.len() > 3).all()


def test_visits_are_compared_for_wrists_only(toes, tmp_path, capsys):
    film = str(toes / "drawn" / "toe3.png")
    assert main(["compare", film, film, "-w", str(toes / "run"), "-o", str(tmp_path)]) == 2
    assert "for wrists only, not for the anatomy toe; give weights of wrists" in capsys.readouterr().err


def test_predict_writes_every_format(toes, capsys):
    pytest.importorskip("nibabel"), pytest.importorskip("nrrd"), pytest.importorskip("pycocotools")
    out = toes / "predicted"
    command = ["predict", str(toes / "drawn" / "toe3.png"), "-w", str(toes / "run"), "-o", str(out), "--side", "R"]
    assert main([*command, "--also", "nrrd,nifti", "--for", "coco", "--sheet", str(out / "sheet.png")]) == 0
    assert " of 3 bones" in capsys.readouterr().out
    nibabel = pytest.importorskip("nibabel")
    assert nibabel.load(out / "toe3_masks.nii.gz").shape == (96, 96, 1, 3)
    written = json.loads((out / "coco" / "instances.json").read_text())
    assert [category["name"] for category in written["categories"]] == ["Metatarsal", "Phalanx", "Sesamoid"]


def test_evaluate_measures_its_regions(toes, capsys):
    for grid in ("network", "image"):
        arguments = ["--data", str(toes / "data"), "-o", str(toes / grid), "--grid", grid]
        assert main(["evaluate", str(toes / "run"), *arguments]) == 0
        rows = (toes / grid / "segmentation.csv").read_text().splitlines()
        assert len(rows) == 1 + 3 + 1 and "Metatarsal&Phalanx" in rows[-1]
        assert ",MTP," in (toes / grid / "erosion.csv").read_text()
        assert ",MTP," in (toes / grid / "narrowing.csv").read_text()
    assert "narrowing.csv: 1 wrist, QWK" in capsys.readouterr().out


def test_weights_and_data_of_two_anatomies_are_refused(toes, capsys):
    assert main(["evaluate", "jointwrist_tiny", "--data", str(toes / "data"), "-o", str(toes / "no")]) == 2
    told = capsys.readouterr().err
    assert "was trained for the anatomy wrist (14 bones), and cannot be used for toe (3 bones)" in told
    start = ["train", "jointwrist_tiny", "--data", str(toes / "data"), "-o", str(toes / "no"), "--set"]
    assert main([*start, *TINY, "start=jointwrist_tiny"]) == 2
    assert "cannot be used for toe (3 bones)" in capsys.readouterr().err
    assert main([*start[:-1], "--anatomy", "hand"]) == 2
    assert "is the anatomy toe, not the hand that was asked for" in capsys.readouterr().err
    assert main([*start, *TINY, "stream.wrists=4"]) == 2
    assert "stream.wrists trains on wrists" in capsys.readouterr().err


def test_dicom_objects_name_its_bones(predicted):
    hd = pytest.importorskip("highdicom")
    from jointwrist.outputs.dicom_pr import build_pr
    from jointwrist.outputs.dicom_seg import build_seg
    from jointwrist.outputs.dicom_sr import build_sr

    seg = build_seg(predicted)
    assert seg.number_of_segments == 3 and seg.ContentLabel == "TOE_BONES"
    described = [seg.get_segment_description(number) for number in (1, 2, 3)]
    assert [segment.segment_label for segment in described] == ["Metatarsal", "Proximal phalanx", "Sesamoid"]
    types = [segment.segmented_property_type for segment in described]
    assert [(kind.scheme_designator, kind.value) for kind in types] == [
        ("99JOINTWRIST", "Metatarsal"),
        ("SCT", "1"),
        ("99JOINTWRIST", "Sesamoid"),
    ]
    content = hd.sr.srread(_written(build_sr(predicted))).content
    (group,) = content.get_planar_roi_measurement_groups()
    assert group.tracking_identifier == "MTP"
    (group,) = content.get_image_measurement_groups()
    assert group.tracking_identifier == "MTP narrowing"
    (evaluation,) = group.get_qualitative_evaluations()
    assert evaluation.name.meaning == "Joint-space narrowing" and evaluation.value.meaning.startswith("Score ")
    assert build_pr(predicted).ContentLabel == "TOE"


def _written(dataset):
    from io import BytesIO

    buffer = BytesIO()
    dataset.save_as(buffer)
    buffer.seek(0)
    return buffer


def test_the_viewer_shows_it(toes, predicted):
    predictor = Predictor.from_pretrained(toes / "run", "cpu")
    facts = describe_model(predictor)
    assert [bone["display"] for bone in facts["bones"]] == ["Metatarsal", "Proximal phalanx", "Sesamoid"]
    assert [joint["name"] for joint in facts["joints"]] == ["MTP"] and facts["bones"][0]["colour"] == (10, 200, 30)
    shown = describe_result(predicted)
    assert len(shown["paths"]) == 3 and len(shown["maps"]) == 1
    radiographs = Radiographs(predictor, "R")
    (key,) = radiographs.add_files([toes / "drawn" / "toe0.png"])
    assert len(radiographs.result(key).masks) == 3
    radiographs.close()


def test_the_exported_program_predicts_the_same(toes):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    assert main(["export", str(toes / "run"), str(toes / "toe.onnx")]) == 0
    picture = toes / "drawn" / "toe1.png"
    ours, theirs = (
        Predictor.from_pretrained(path, "cpu")(picture, "R").single() for path in (toes / "run", toes / "toe.onnx")
    )
    assert theirs.anatomy == ours.anatomy == load_anatomy(toes / "toe.yaml")
    (here,), (there,) = ours.further, theirs.further
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-3)
    assert (ours.masks != theirs.masks).mean() < 1e-3 and theirs.masks.shape == ours.masks.shape


def test_an_anatomy_without_sides_is_not_mirrored_and_needs_none(toes):
    predictor = Predictor.from_pretrained(toes / "run", "cpu")
    predictor.anatomy = replace(predictor.anatomy, sides=False)
    pixels = np.asarray(Image.open(toes / "drawn" / "toe0.png").convert("L"))
    unstated, left = (predictor(pixels, side).single() for side in (None, "L"))
    assert unstated.side_known and unstated.to_dict()["side"] is None and UNKNOWN_SIDE not in unstated.notes
    np.testing.assert_array_equal(unstated.masks, left.masks)


def test_studies_of_inserted_erosions_take_weights_of_wrists(toes, tmp_path, capsys):
    films, run = str(toes / "drawn"), str(toes / "run")
    for command, joints in (
        (["detectability", films, "-w", run], "scores joints of"),
        (["adapt", films, "-w", run], "scores joints of"),
        (["adapt", films, "--bones", run], "segments"),
        (["detectability", films, "--bones", run], "segments"),
    ):
        assert main([*command, "-o", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert f"best.safetensors: {joints} the anatomy toe, and erosions are inserted into wrists only" in said
