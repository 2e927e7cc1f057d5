"""Scores of masks and probabilities that any tool wrote: the same rows from every format, and every fault named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from odd_dataset import write_odd_dataset, write_results
from PIL import Image

from jointwrist.anatomy import BONE_NAMES
from jointwrist.cli import main
from jointwrist.data.mask_formats import bit_map, coco, label_map, labelme, nifti, seg_nrrd
from jointwrist.data.mask_formats.layers import layers_of
from jointwrist.data.sample import pack_masks, unpack_masks
from jointwrist.metrics.label_map import dice_bound
from jointwrist.metrics.segmentation import case_metrics

for package in ("nibabel", "nrrd", "pycocotools"):
    pytest.importorskip(package)

FORMATS = ("npz", "png", "npy", "stack", "bones", "seg.nrrd", "labelme", "instances", "results")


@pytest.fixture(scope="module")
def root(masked, tmp_path_factory):
    """Three radiographs that are not square."""
    folder = tmp_path_factory.mktemp("odd")
    return folder, write_odd_dataset(folder, masked[:3])


@pytest.fixture(scope="module")
def predicted(root):
    """The true masks, moved by a pixel, as bit maps."""
    return {name: pack_masks(np.roll(masks, 1, axis=2)) for name, masks in root[1].items()}


def write(kind, folder, predicted):
    """Write bit maps as another tool would."""
    folder.mkdir()
    images = []
    for name, bits in predicted.items():
        layers, size = layers_of(bits), bits.shape
        match kind:
            case "npz":
                bit_map.write_npz(folder / f"{name}_masks.npz", bits)
            case "png":
                bit_map.write_png(folder / f"{name}.png", bits)
            case "npy":
                np.save(folder / f"{name}.npy", unpack_masks(bits))
            case "stack":
                nifti.write_stack(folder / f"{name}.nii.gz", bits)
            case "bones":
                nifti.write_folder(folder / name, layers)
            case "seg.nrrd":
                seg_nrrd.write(folder / f"{name}.seg.nrrd", layers, size)
            case "labelme":
                labelme.write(folder / f"{name}.json", f"{name}.png", layers, size)
            case "labels":
                label_map.write(folder / f"{name}.png", bits)
        images.append(coco.CocoImage.of(f"{name}.png", size, layers))
    if kind in ("instances", "results"):
        coco.write(folder / "instances.json", images)
    if kind == "results":
        write_results(folder / "results.json", folder / "instances.json")
        (folder / "instances.json").unlink()
    return folder


def score(folder, root, *options):
    out = folder.parent / "scores"
    code = main(
        ["evaluate", "--predictions", str(folder), "--data", str(root), "--split", "all", "-o", str(out), *options]
    )
    return code, out


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_figures_of_the_masks(kind, root, predicted, tmp_path, capsys):
    folder, truths = root
    code, out = score(write(kind, tmp_path / "masks", predicted), folder, "--name", "other tool")
    assert code == 0
    assert "3 wrists, DSC" in capsys.readouterr().out
    rows = pd.read_csv(out / "segmentation.csv", dtype={"case": str})
    assert list(rows.columns[:3]) == ["model", "case", "patient"]
    assert set(rows["model"]) == {"other tool"}
    assert len(rows) == 3 * 28
    for name, bits in predicted.items():
        wanted = case_metrics(unpack_masks(bits), truths[name])
        found = rows[(rows["case"] == name) & (rows["kind"] == "bone")].set_index("region").loc[list(BONE_NAMES)]
        for key, figures in wanted.items():
            assert np.allclose(found[key], figures, atol=1e-6, rtol=1e-5, equal_nan=True), key


def test_masks_of_predict_have_the_rows_of_evaluate_on_the_image_grid(dataset, phantom_root, tmp_path):
    """From every format, digit for digit."""
    cases = [case for case in dataset.segmentation("test") if case.mask is not None]
    scores, field = ["--data", str(phantom_root), "--split", "test"], ["--field", "whole"]
    assert main(["evaluate", "jointwrist_tiny", *scores, "--grid", "image", *field, "-o", str(tmp_path / "own")]) == 0
    radiographs = [str(case.image) for case in cases]
    assert main(["predict", *radiographs, *field, "--rotation", "0", "-o", str(tmp_path / "predictions")]) == 0
    wanted = (tmp_path / "own" / "segmentation.csv").read_text()
    bits = {
        case.identifier: bit_map.read_bits(tmp_path / "predictions" / f"{case.identifier}_masks.png") for case in cases
    }
    folders = [tmp_path / "predictions", *(write(kind, tmp_path / kind, bits) for kind in FORMATS)]
    for folder in folders:
        assert score(folder, phantom_root, "--split", "test")[0] == 0
        assert (tmp_path / "scores" / "segmentation.csv").read_text() == wanted, folder


@pytest.mark.filterwarnings("ignore:the (ground truth|prediction) of class", "ignore:monai.metrics.utils")
def test_monai_agrees_on_the_same_nifti(root, predicted, tmp_path):
    monai_data, metrics = pytest.importorskip("monai.data"), pytest.importorskip("monai.metrics")
    import torch

    folder, truths = root
    _, out = score(write("stack", tmp_path / "masks", predicted), folder)
    rows = pd.read_csv(out / "segmentation.csv", dtype={"case": str})
    reader = monai_data.NibabelReader(squeeze_non_spatial_dims=True)
    for name, masks in truths.items():
        stack, _ = reader.get_data(reader.read(tmp_path / "masks" / f"{name}.nii.gz"))
        stack = stack.reshape(*stack.shape[:2], 14)
        pred = torch.from_numpy(np.moveaxis(stack, -1, 0).swapaxes(1, 2).astype(np.float32))[None]
        truth = torch.from_numpy(masks.astype(np.float32))[None]
        dice = metrics.DiceMetric(ignore_empty=True)(pred, truth)[0].numpy()
        nsd = metrics.compute_surface_dice(pred, truth, [2.0] * 14, include_background=True)[0].numpy()
        found = rows[(rows["case"] == name) & (rows["kind"] == "bone")].set_index("region").loc[list(BONE_NAMES)]
        present = masks.any((1, 2))
        assert np.abs(found["dsc"].to_numpy() - dice)[present].max() < 1e-6
        assert np.abs(found["nsd"].to_numpy() - nsd)[present].max() < 1e-6


def test_what_cannot_be_scored_is_named(masked, tmp_path, capsys):
    truths = write_odd_dataset(tmp_path / "root", masked[:6])
    bits = {name: pack_masks(masks) for name, masks in truths.items()}
    missing, small, transposed, mirrored, turned, right = bits
    del bits[missing]
    bits[small] = bits[small][1:]
    bits[transposed] = bits[transposed].T
    bits[mirrored] = bits[mirrored][:, ::-1]
    bits[turned] = bits[turned][::-1, ::-1]
    bits["9999_0001_R"] = bits[right]
    code, out = score(write("stack", tmp_path / "masks", bits), tmp_path / "root")
    assert code == 2
    printed = capsys.readouterr()
    assert "1 of 6 wrists, DSC 100.00 %, NSD 100.00 %" in printed.out
    assert set(pd.read_csv(out / "segmentation.csv")["case"]) == {right}
    for text in (
        f"{missing}: no masks",
        f"{small}: {tmp_path / 'masks' / small}.nii.gz: masks of 97 x 119 pixels, the radiograph has 97 x 120",
        "they are transposed",
        f"{mirrored}: the masks are mirrored left to right",
        f"{turned}: the masks are rotated by 180 degrees",
        "of no radiograph in this folder: 9999_0001_R.nii.gz",
    ):
        assert text in printed.err


def test_transposed_masks_of_a_square_radiograph_are_recognised(masked, phantom_root, tmp_path, capsys):
    bits = {case.identifier: pack_masks(masks).T for case, masks in masked[:1]}
    assert score(write("stack", tmp_path / "masks", bits), phantom_root)[0] == 2
    assert "the masks are transposed" in capsys.readouterr().err


def test_a_label_map_is_scored_and_its_upper_bound_is_reported(root, tmp_path, capsys):
    folder, truths = root
    bits = {name: pack_masks(masks) for name, masks in truths.items()}
    code, out = score(write("labels", tmp_path / "masks", bits), folder)
    assert code == 0
    printed = capsys.readouterr().out
    rows = pd.read_csv(out / "segmentation.csv")
    pd.testing.assert_frame_equal(rows, pd.read_csv(out / "label_map.csv"))
    mean = 100 * rows[rows["kind"] == "bone"]["dsc"].mean()
    bound = float(printed.split("mean DSC of a label map: ")[1].split(" %")[0])
    assert mean - 0.01 < bound < mean + 1
    assert f"DSC {mean:.2f} %" in printed.split("smaller bone")[1]


def test_no_label_map_exceeds_the_bound():
    """Of all label maps of small images, none has a higher sum of Dice coefficients, and the best is near."""
    random, slack = np.random.default_rng(1), []
    for _ in range(25):
        bits = random.integers(0, 8, 8).astype(np.uint16)
        planes = np.array([(bits >> bone) & 1 for bone in range(3)], bool)
        there = planes.any(1)
        choices = [np.array([0, *(np.flatnonzero(pixel) + 1)]) for pixel in planes.T]
        maps = np.stack(np.meshgrid(*choices, indexing="ij"), -1).reshape(-1, len(bits))
        pred = maps[:, None] == np.arange(1, 4)[:, None]
        dice = 2 * (pred & planes).sum(2) / np.maximum(pred.sum(2) + planes.sum(1), 1)
        bound, bones = dice_bound(bits[None])
        assert bones == there.sum()
        slack.append(bound - dice[:, there].sum(1).max())
    assert min(slack) > -1e-9
    assert np.median(slack) < 0.01


def test_numbers_and_names_of_another_tool_are_mapped(root, predicted, tmp_path):
    folder, _ = root
    masks = write("labels", tmp_path / "masks", predicted)
    _, out = score(masks, folder)
    wanted = (out / "segmentation.csv").read_text()
    for path in masks.iterdir():
        labels = np.asarray(Image.open(path))
        Image.fromarray(np.where(labels, 40 - labels, 0).astype(np.uint8)).save(path)
    names = tmp_path / "names.yaml"
    names.write_text("".join(f"{39 - bone}: {name}\n" for bone, name in enumerate(BONE_NAMES)))
    _, out = score(masks, folder, "--map", str(names))
    assert (out / "segmentation.csv").read_text() == wanted


def test_a_label_map_of_16_bits_is_no_bit_map(root, predicted, tmp_path, capsys):
    masks = write("labels", tmp_path / "masks", predicted)
    _, out = score(masks, root[0])
    wanted = (out / "segmentation.csv").read_text()
    for path in masks.iterdir():
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16)).save(path)
    assert score(masks, root[0])[0] == 2
    assert "say so with --format labels" in capsys.readouterr().err
    assert score(masks, root[0], "--format", "labels")[0] == 0
    assert (out / "segmentation.csv").read_text() == wanted


def test_a_label_map_whose_bones_begin_at_0_is_refused(root, predicted, tmp_path, capsys):
    """A map that leaves the ground out would shift every bone by one."""
    masks = write("labels", tmp_path / "masks", predicted)
    for path in masks.iterdir():
        Image.fromarray(np.asarray(Image.open(path)) - np.uint8(1)).save(path)  # the ground becomes 255
    (tmp_path / "names.yaml").write_text("255: null\n")
    assert score(masks, root[0], "--map", str(tmp_path / "names.yaml"))[0] == 2
    assert "most pixels are 255, but 0 is the background" in capsys.readouterr().err


def test_results_may_name_their_categories_and_must_have_masks(root, predicted, tmp_path, capsys):
    masks = write("results", tmp_path / "masks", predicted)
    _, out = score(masks, root[0])
    wanted = (out / "segmentation.csv").read_text()
    results = json.loads((masks / "results.json").read_text())
    numbers = [{**result, "category_id": float(result["category_id"])} for result in results]
    (masks / "results.json").write_text(json.dumps(numbers))
    assert score(masks, root[0])[0] == 0
    assert (out / "segmentation.csv").read_text() == wanted
    for key in ("category_id", "category_name"):
        named = [{**result, key: BONE_NAMES[result["category_id"] - 1]} for result in results]
        for result in named if key == "category_name" else ():
            del result["category_id"]
        (masks / "results.json").write_text(json.dumps(named))
        assert score(masks, root[0])[0] == 0
        assert (out / "segmentation.csv").read_text() == wanted
    for result in results:
        result["bbox"] = [1, 1, 9, 9]
        del result["segmentation"]
    (masks / "results.json").write_text(json.dumps(results))
    capsys.readouterr()
    assert score(masks, root[0])[0] == 2
    assert "a box is not a mask" in capsys.readouterr().err


def test_faults_of_other_splits_do_not_matter(root, predicted, tmp_path):
    folder = shutil.copytree(root[0], tmp_path / "release")
    masks = folder / "BoneSegmentation" / "masks"
    (masks / "train" / "no identifier.npy").write_bytes(b"")
    command = ["evaluate", "--predictions", str(write("npy", tmp_path / "masks", predicted)), "--data", str(folder)]
    assert main([*command, "--split", "val", "-o", str(tmp_path / "out")]) == 0
    assert main([*command, "--split", "all", "-o", str(tmp_path / "out")]) == 2


def test_a_split_without_labels_is_named(root, predicted, tmp_path, capsys):
    folder = shutil.copytree(root[0], tmp_path / "release")
    shutil.rmtree(folder / "BoneSegmentation" / "masks" / "test")
    command = ["evaluate", "--predictions", str(write("npy", tmp_path / "masks", predicted)), "--data", str(folder)]
    assert main([*command, "-o", str(tmp_path / "out")]) == 2
    assert "no radiograph of the split test has masks; choose another --split, or all" in capsys.readouterr().err


def test_the_best_of_several_results_counts(root, predicted, tmp_path):
    folder, _ = root
    _, out = score(write("results", tmp_path / "masks", predicted), folder)
    wanted = (out / "segmentation.csv").read_text()
    path = tmp_path / "masks" / "results.json"
    results = json.loads(path.read_text())
    worse = [{**result, "score": 0.2, "segmentation": results[0]["segmentation"]} for result in results]
    path.write_text(json.dumps([*worse, *results]))
    _, out = score(tmp_path / "masks", folder)
    assert (out / "segmentation.csv").read_text() == wanted


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("stack", lambda path: path.write_bytes(path.read_bytes()[:200]), "damaged NIfTI file"),
        ("seg.nrrd", lambda path: path.write_bytes(path.read_bytes()[:-300]), "damaged voxels"),
        ("seg.nrrd", lambda path: path.write_bytes(b"NRRD0005\n"), "NRRD"),
        ("npz", lambda path: path.write_bytes(path.read_bytes()[:200]), "damaged npz file"),
        ("png", lambda path: path.write_bytes(path.read_bytes()[:200]), "damaged PNG"),
        ("npy", lambda path: np.save(path, np.full((14, 120, 97), 0.3)), "values other than 0 and 1"),
        ("labelme", lambda path: path.write_text('{"shapes": [{}]}'), "not a labelme file"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_the_others_are_scored(kind, change, message, root, predicted, tmp_path, capsys):
    masks = write(kind, tmp_path / "masks", predicted)
    first = min(masks.iterdir())
    change(first)
    assert score(masks, root[0])[0] == 2
    printed = capsys.readouterr()
    assert message in printed.err and str(first) in printed.err
    assert "2 of 3 wrists" in printed.out


def test_folders_that_hold_nothing_or_too_much_are_refused(root, predicted, tmp_path, capsys):
    folder, _ = root
    masks = write("stack", tmp_path / "masks", predicted)
    write("npy", tmp_path / "other", predicted)
    for path in (tmp_path / "other").iterdir():
        shutil.copy(path, masks)
    assert score(masks, folder)[0] == 2
    assert "choose one with --format" in capsys.readouterr().err
    assert score(masks, folder, "--format", "npy")[0] == 0
    shutil.copy(min((tmp_path / "other").iterdir()), tmp_path / "other" / f"{min(predicted)}_b.npy")
    assert score(tmp_path / "other", folder)[0] == 2
    assert "both belong to" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    assert score(tmp_path / "none", folder)[0] == 2
    assert "holds no masks" in capsys.readouterr().err
    assert main(["evaluate", "--data", str(folder)]) == 2
