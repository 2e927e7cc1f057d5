"""Exported programs answer as the model: through onnxruntime, through the predictor, and as a PyTorch program."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_predictor import radiograph
from torch import nn

from jointwrist.cli import main
from jointwrist.errors import DataError
from jointwrist.inference import model_export
from jointwrist.inference.engines.torch_network import TorchNetwork
from jointwrist.inference.predictor import Predictor
from jointwrist.models.encoder_sizes import SIZES, VERSIONS, EncoderSize, uniform_layouts
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import load_weights, save_weights

needs_onnx = pytest.mark.skipif(
    any(__import__("importlib.util").util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra `export` is not installed",
)
SIZE, DETAIL = 32, 48


#: A joint network with one block of each kind that stage 3 and 4 of the hybrid encoder have: exporting takes seconds.
MICRO = EncoderSize(8, (8, 8, 16, 16), 8, uniform_layouts((1, 1, 2, 1), "m-m-ma-a"))
OPTIONS = {"size": "micro", "widths": (16, 16, 16, 16, 16), "roi_channels": 8, "roi_crop": 32, "roi_dim": 32}


def save(folder, name, options, **info):
    torch.manual_seed(0)
    model = create_model(name, **options).eval()
    if name == "jointwrist_tiny":  # random weights whose masks are neither empty nor full
        nn.init.zeros_(model.decoder.mask_head.bias)
    path = folder / f"{name}.safetensors"
    save_weights(path, model, {"model": name, "options": options, "image_size": SIZE, **info})
    return path


@pytest.fixture(scope="module")
def joint_weights(tmp_path_factory):
    SIZES[VERSIONS[-1]]["micro"] = MICRO
    folder, thresholds = tmp_path_factory.mktemp("joint"), {"mask": 0.45, "erosion": 0.3}
    yield save(folder, "jointwrist_tiny", OPTIONS, detail_size=DETAIL, thresholds=thresholds)
    del SIZES[VERSIONS[-1]]["micro"]


@pytest.fixture(scope="module")
def joint_onnx(joint_weights):
    path = joint_weights.with_suffix(".onnx")
    assert main(["export", str(joint_weights), str(path)]) == 0
    return path


@needs_onnx
def test_onnxruntime_alone_predicts_the_same(joint_weights, joint_onnx):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(joint_onnx), providers=["CPUExecutionProvider"])
    model, _ = load_weights(joint_weights)
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(1, 1, SIZE, SIZE, generator=generator)
    detail = torch.rand(1, 1, DETAIL, DETAIL, generator=generator)
    with torch.no_grad():
        expected = model(image, detail)
    found = dict(
        zip(
            [entry.name for entry in session.get_outputs()],
            session.run(None, {"image": image.numpy(), "detail": detail.numpy()}),
            strict=True,
        )
    )
    assert expected.roi_valid.any()
    for name in ("mask_logits", "erosion_logits", "roi_boxes"):
        np.testing.assert_allclose(found[name], getattr(expected, name).numpy(), atol=1e-4)
    np.testing.assert_array_equal(found["roi_valid"], expected.roi_valid.numpy())


@needs_onnx
@pytest.mark.parametrize("side", ["L", "R"])
def test_the_predictor_takes_an_onnx_program(joint_weights, joint_onnx, side):
    radiographs = [radiograph(60, 44), radiograph(40, 40)]
    programs, networks = (
        Predictor.from_pretrained(path, localise=False)(radiographs, side=side) for path in (joint_onnx, joint_weights)
    )
    for a, b in zip(programs, networks, strict=True):
        assert (a.threshold, a.model) == (b.threshold, b.model) == (0.3, "jointwrist_tiny")
        assert (a.masks != b.masks).mean() < 1e-4
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
        assert a.scored.any()


@needs_onnx
def test_a_program_carries_what_is_needed_to_use_it(joint_onnx):
    import onnx

    program = onnx.load(joint_onnx)
    onnx.checker.check_model(program)
    info = json.loads(next(entry.value for entry in program.metadata_props if entry.key == "jointwrist"))
    assert (info["image_size"], info["detail_size"], info["task"]) == (SIZE, DETAIL, "joint")
    assert info["bones"][0] == "Capitate" and len(info["joints"]) == 6
    domains = {node.domain for node in program.graph.node}
    assert not any("jointwrist" in domain for domain in domains)


@needs_onnx
def test_a_baseline_in_onnx(tmp_path):
    pytest.importorskip("monai", reason="the extra `baselines` is not installed")
    weights = save(tmp_path, "unetpp", {})
    assert model_export.export_weights(weights, tmp_path / "unetpp.onnx", "onnx") < 1e-4
    pixels = radiograph(50, 40)
    a, b = (
        Predictor.from_pretrained(path, localise=False)(pixels, side="R").single()
        for path in (tmp_path / "unetpp.onnx", weights)
    )
    assert (a.masks != b.masks).mean() < 1e-3


def test_torch_program(joint_weights, tmp_path, capsys):
    path = tmp_path / "joint.pt2"
    assert main(["export", str(joint_weights), str(path)]) == 0
    assert "reproduces the model's output" in capsys.readouterr().out
    files = {"jointwrist.json": ""}
    program = torch.export.load(path, extra_files=files)
    assert json.loads(files["jointwrist.json"])["thresholds"] == {"mask": 0.45, "erosion": 0.3}
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("jointwrist" in target for target in targets), "needs no kernel of this package"
    model, _ = load_weights(joint_weights)
    image, detail = torch.rand(1, 1, SIZE, SIZE), torch.rand(1, 1, DETAIL, DETAIL)
    with torch.no_grad():
        expected, found = model(image, detail), program.module()(image, detail)
    torch.testing.assert_close(found[0], expected.mask_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], expected.erosion_logits, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def phantom():
    """A left wrist, as a picture shows it."""
    config = PhantomConfig(size=300)
    return next(wrist for wrist in (make_wrist(5, index, config) for index in range(9)) if wrist.side == "L").image[0]


@needs_onnx
@pytest.mark.slow
def test_the_shipped_weights_in_onnx_predict_the_same(tmp_path, phantom):
    path = tmp_path / "jointwrist_tiny.onnx"
    assert main(["export", "jointwrist_tiny", str(path)]) == 0
    program, network = (
        Predictor.from_pretrained(source, device="cpu")(phantom, side="L").single()
        for source in (path, "jointwrist_tiny")
    )
    assert len(network.bones) == 14 and network.scored.all()
    assert (program.masks != network.masks).mean() < 1e-4
    np.testing.assert_allclose(program.probabilities, network.probabilities, atol=1e-3)
    np.testing.assert_allclose(program.boxes, network.boxes, atol=0.05)
    np.testing.assert_array_equal(program.scores, network.scores)


@pytest.mark.slow
def test_the_shipped_weights_as_a_torch_program_predict_the_same(tmp_path, phantom):
    path = tmp_path / "jointwrist_tiny.pt2"
    assert main(["export", "jointwrist_tiny", str(path)]) == 0
    predictor, exported = Predictor.from_pretrained("jointwrist_tiny", "cpu"), torch.export.load(path).module()

    class Program(nn.Module):
        def forward(self, image, detail):
            return SimpleNamespace(**dict(zip(model_export.OUTPUTS["joint"], exported(image, detail), strict=False)))

    network = predictor(phantom, side="L").single()
    predictor.network = TorchNetwork(Program(), "cpu")
    program = predictor(phantom, side="L").single()
    assert len(network.bones) == 14 and network.scored.all()
    assert (program.masks != network.masks).mean() < 1e-4
    np.testing.assert_allclose(program.probabilities, network.probabilities, atol=1e-3)
    np.testing.assert_array_equal(program.scores, network.scores)


def test_an_erosion_classifier_takes_its_crop_size():
    assert model_export._input_sizes({"model": "mobilenet", "config": {"erosion": {"crop_size": 64}}}, "erosion") == (
        64,
    )
    assert model_export._input_sizes({"model": "mobilenet"}, "erosion") == (224,)


class Unsteady(nn.Module):
    def forward(self, image):
        return torch.rand(1, 14, *image.shape[-2:]) + 0 * image


def test_a_program_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    info = {"model": "unetpp", "image_size": SIZE}
    monkeypatch.setattr(model_export, "load_weights", lambda path: (Unsteady(), info))
    with pytest.raises(DataError, match="differ from the model"):
        model_export.export_weights(tmp_path / "w.safetensors", tmp_path / "x.pt2", "torch")
    assert not list(tmp_path.iterdir())


def test_models_that_cannot_be_exported_are_refused(tmp_path, joint_weights, monkeypatch, capsys):
    (tmp_path / "other.onnx").write_bytes(b"no program")
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    with pytest.raises(DataError, match=r"other\.onnx: not an ONNX program"):
        Predictor.from_pretrained(tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="formats are onnx, torch"):
        model_export.export_weights(joint_weights, tmp_path / "x", "tflite")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(joint_weights), str(tmp_path / "x.onnx")]) == 2
    assert ".[export]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wrist.bin"], "end it in .onnx or .pt2"),
        (["wrist"], "end it in .onnx or .pt2"),
        (["wrist.onnx", "--format", "torch"], "but --format is torch"),
        (["wrist.PT2", "--format", "onnx"], "but --format is onnx"),
    ],
)
def test_an_ending_that_says_nothing_or_something_else_is_refused(words, message, joint_weights, tmp_path, capsys):
    assert main(["export", str(joint_weights), str(tmp_path / words[0]), *words[1:]]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / words[0]).exists()
