"""A MONAI bundle answers as `Predictor`, through MONAI's own configuration parser, loaders and engine."""

from __future__ import annotations

import json
import pickletools
import zipfile
from dataclasses import replace
from pathlib import Path

import apart
import numpy as np
import pytest
import torch
from PIL import Image
from test_predictor import radiograph
from torch import nn

from jointwrist.bundle.write import WEIGHTS
from jointwrist.cli import main
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights

pytest.importorskip("monai", reason="the extra `monai` is not installed")

from monai.bundle import ConfigParser, verify_metadata, verify_net_in_out
from monai.data import decollate_batch

SCHEMA = Path(__file__).parent / "data" / "monai_metadata.json"
SIZE, DETAIL = 32, 48
OPTIONS = {
    "encoder": "conv",
    "widths": [16] * 5,
    "erosion_head": "shapes",
    "roi_channels": 8,
    "roi_crop": 32,
    "roi_dim": 32,
}


def save(folder, name, options, **info):
    torch.manual_seed(0)
    model = create_model(name, **options).eval()
    if name == "jointwrist_tiny":  # random weights whose masks are neither empty nor full
        nn.init.zeros_(model.decoder.mask_head.bias)
    save_weights(folder / f"{name}.safetensors", model, {"model": name, "options": options, "image_size": SIZE, **info})
    return folder / f"{name}.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    thresholds = {"mask": 0.45, "erosion": 0.3}
    return save(tmp_path_factory.mktemp("w"), "jointwrist_tiny", OPTIONS, detail_size=DETAIL, thresholds=thresholds)


@pytest.fixture(scope="module")
def bundle(weights):
    folder = weights.with_name("wrist_bundle")
    assert main(["export", str(weights), str(folder), "--format", "monai-bundle"]) == 0
    return folder


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    """A left hand higher than wide, and a hand of unknown side wider than high."""
    folder = tmp_path_factory.mktemp("radiographs")
    for name, shape in {"a_L": (60, 44), "b": (40, 52)}.items():
        Image.fromarray((radiograph(*shape) * 255).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def parsed(bundle, radiographs, **values):
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    parser.update({"bundle_root": str(bundle), "dataset_dir": str(radiographs), "field": "whole", **values})
    return parser


def run_by_hand(parser):
    """Do what MONAI's evaluator does, without ignite."""
    network, finish = parser.get_parsed_content("network_def"), parser.get_parsed_content("postprocessing")
    with torch.no_grad():
        for batch in parser.get_parsed_content("dataloader"):
            outputs = network(batch["image"])
            yield from (
                finish({**item, "pred": output})
                for item, output in zip(decollate_batch(batch), decollate_batch(outputs), strict=True)
            )


@pytest.fixture
def saved(monkeypatch):
    """Names under which results would be saved, in their order; drawing overlays takes a second each."""
    names = []
    monkeypatch.setattr(WristResult, "save", lambda result, folder, stem: names.append(str(Path(folder, stem))))
    return names


def assert_same(items, results):
    for item, result in zip(items, results, strict=True):
        assert result.masks.any() and not result.masks.all()
        np.testing.assert_array_equal(item["pred"].numpy(), result.masks)
        np.testing.assert_allclose(item["erosion"].numpy(), result.probabilities, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(item["erosion_score"].numpy(), result.scores)
        np.testing.assert_allclose(item["wrist"].boxes, result.boxes, rtol=0, atol=1e-4)


def test_transforms_and_network_answer_as_the_predictor(bundle, weights, radiographs, saved):
    items = list(run_by_hand(parsed(bundle, radiographs, output_dir="out")))
    results = Predictor.from_pretrained(bundle / WEIGHTS, localise=False)(radiographs)
    assert results[0].scored.any() and results[0].side == "L"
    assert_same(items, results)
    assert items[0]["result"] == results[0].to_dict()
    assert items[0]["pred"].meta["filename_or_obj"].endswith("a_L.png")
    assert saved == ["out/a_L", "out/b"]


def test_monai_runs_it_in_a_process_of_its_own_and_writes_the_files_of_predict(
    processes, bundle, weights, radiographs, tmp_path
):
    pytest.importorskip("ignite", reason="the extra `monai` is not installed")
    pytest.importorskip("fire", reason="the extra `monai` is not installed")
    command = ["run", "--config_file", str(bundle / "configs" / "inference.json")]
    radiograph = radiographs / "a_L.png"
    values = {"bundle_root": bundle, "dataset_dir": radiograph, "output_dir": tmp_path / "monai", "field": "whole"}
    command += [text for name, value in values.items() for text in (f"--{name}", str(value))]
    done = apart.module(processes, tmp_path, "monai.bundle", command)
    assert done.returncode == 0, done.stderr
    (result,) = Predictor.from_pretrained(bundle / WEIGHTS, localise=False)([radiograph])
    for file in result.save(tmp_path / "ours"):
        assert file.read_bytes() == (tmp_path / "monai" / file.name).read_bytes(), file.name


def test_both_hands_of_a_radiograph_become_two_items_beside_those_of_one_hand(bundle, radiographs, saved):
    parser = parsed(bundle, radiographs, output_dir="out")
    predictor = parser.get_parsed_content("predictor")
    halves, locate = {"R": (0, 0, 26, 40), "L": (26, 0, 52, 40)}, predictor.locate

    def located(radiograph):
        if radiograph.side:
            return locate(radiograph)
        return [Placement(replace(radiograph, side=side), crop) for side, crop in halves.items()]

    predictor.locate = located
    items = list(run_by_hand(parser))
    assert_same(items, predictor(radiographs))
    assert saved == ["out/a_L", "out/b_R", "out/b_L"]


def test_a_segmentation_network(tmp_path, radiographs, saved):
    weights = save(tmp_path, "segresnet", {})
    assert main(["export", str(weights), str(tmp_path / "bundle"), "--format", "monai-bundle"]) == 0
    items = list(run_by_hand(parsed(tmp_path / "bundle", radiographs)))
    assert_same(items, Predictor.from_pretrained(weights, localise=False)(radiographs))
    assert all(torch.isnan(item["erosion"]).all() for item in items)


def test_the_metadata_are_those_that_the_specification_asks_for(bundle, tmp_path):
    file = bundle / "configs" / "metadata.json"
    verify_metadata(meta_file=str(file), filepath=str(SCHEMA))
    content = json.loads(file.read_text())
    del content["network_data_format"]["outputs"]["pred"]["dtype"]
    (tmp_path / "metadata.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="Failed validating"):
        verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=str(SCHEMA))


def test_the_network_takes_and_gives_what_the_metadata_say(bundle):
    configs = bundle / "configs"
    verify_net_in_out(
        "network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
        **{"bundle_root": str(bundle), "field": "whole", "network_def#masks_only": True},
    )
    told = json.loads((configs / "metadata.json").read_text())["network_data_format"]["outputs"]
    outputs = parsed(bundle, ".").get_parsed_content("network_def")(torch.rand(1, 1, DETAIL, DETAIL))
    assert list(told) == list(outputs) and next(iter(told)) == "pred"
    for name, output in outputs.items():
        assert [told[name]["num_channels"], *told[name]["spatial_shape"]] == list(output.shape[1:])
        assert f"torch.{told[name]['dtype']}" == str(output.dtype)
    assert told["pred"]["channel_def"]["0"] == "Capitate" and len(told["pred"]["channel_def"]) == 14


def test_the_state_dict_that_the_specification_asks_for_holds_tensors_alone(bundle, weights):
    path = bundle / "models" / "model.pt"
    with zipfile.ZipFile(path) as archive:
        pickle = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    called = {argument for operation, argument, _ in pickletools.genops(pickle) if operation.name == "GLOBAL"}
    storages = {name for name in called if name.startswith("torch ") and name.endswith("Storage")}
    assert called - storages == {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
    assert (bundle / "models" / "model.safetensors").read_bytes() == weights.read_bytes()
    assert "model.pt" not in (bundle / "configs" / "inference.json").read_text()


def test_models_that_cannot_be_a_bundle_are_refused(bundle, weights, radiographs, tmp_path, capsys):
    assert main(["export", str(weights), str(bundle), "--format", "monai-bundle"]) == 2
    assert "wrist_bundle: is not empty, and what it holds is never replaced" in capsys.readouterr().err
    classifier = save(tmp_path, "mobilenet", {})
    assert main(["export", str(classifier), str(tmp_path / "x"), "--format", "monai-bundle"]) == 2
    assert "whole radiographs need joint or segmentation" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert main(["export", str(weights), str(tmp_path / "x.onnx"), "--format", "monai-bundle"]) == 2
    assert "its ending is that of onnx" in capsys.readouterr().err
    for name in ("a.png", "a.bmp"):
        Image.open(radiographs / "b.png").save(tmp_path / name)
    with pytest.raises(RuntimeError) as raised:
        parsed(bundle, tmp_path).get_parsed_content("dataset")
    assert "their results would have one name" in str(raised.value.__cause__)
