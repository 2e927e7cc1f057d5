"""Encoders as programs: torch.export gives the numbers of the model, by PyTorch's own operators alone; so does ONNX."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from jointwrist.models.encoder import Encoder
from jointwrist.models.encoder_sizes import EncoderSize

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra `export` is not installed",
)
#: One block of each stage, two where shifted windows are wanted: exporting takes seconds.
SMALL = EncoderSize(8, (8, 8, 16, 16), 8, {})
LAYOUTS = {"hybrid": "l-M-ma-aa", "mamba": "m-m-mm-mm", "swin": "a-a-aa-aa"}


def encoder_and_image(kind: str, backend: str) -> tuple[Encoder, torch.Tensor]:
    torch.manual_seed(0)
    # 40 x 33: padding and its removal are part of the program
    return Encoder(LAYOUTS[kind], SMALL, 1, 0.1, backend).eval(), torch.rand(1, 1, 40, 33)


def exported(kind: str, backend: str) -> tuple[Encoder, torch.Tensor, torch.export.ExportedProgram]:
    encoder, image = encoder_and_image(kind, backend)
    with torch.no_grad():
        return encoder, image, torch.export.export(encoder, (torch.zeros_like(image),), strict=False)


@pytest.mark.parametrize(("kind", "backend"), [(kind, "torch") for kind in LAYOUTS])
def test_exported_program_gives_the_same_features(kind, backend):
    encoder, image, program = exported(kind, backend)
    assert not any("jointwrist" in str(node.target) for node in program.graph.nodes)
    with torch.no_grad():
        for found, expected in zip(program.module()(image), encoder(image), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@needs_onnx
def test_onnxruntime_gives_the_same_features(tmp_path):
    import onnxruntime

    encoder, image, program = exported("hybrid", "torch")
    path = tmp_path / "encoder.onnx"
    torch.onnx.export(program, dynamo=True, input_names=["image"], optimize=False, verbose=False).save(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = encoder(image)
    for found, feature in zip(session.run(None, {"image": image.numpy()}), expected, strict=True):
        np.testing.assert_allclose(found, feature.numpy(), rtol=1e-3, atol=1e-4)
