"""Parameters that the authors' code was given before its outputs were recorded, and the comparison with them."""

from __future__ import annotations

import hashlib
import math
import zlib

import pytest
import torch
from torch.nn import functional


def seeded(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def rule(name, shape):
    """The value of a parameter, a function of the authors' name for it alone."""
    r = torch.randn(shape, generator=seeded(name))
    last = name.split(".")[-1]
    if last in ("A_log", "A_logs"):
        return torch.arange(1, shape[-1] + 1).float().log() + 0.1 * r
    if last in ("D", "Ds"):
        return 1 + 0.1 * r
    if last == "dt_projs_bias" or name.endswith("dt_proj.bias"):
        return -4 + 0.1 * r
    if last == "running_var":
        return 1 + 0.1 * r.abs()
    if last in ("running_mean", "bias"):
        return 0.1 * r
    if len(shape) < 2:
        return 1 + 0.1 * r
    return r / math.sqrt(math.prod(shape[1:]))


def ruled(model):
    """A state dict of the model's names with values by `rule`."""
    return {
        name: torch.zeros_like(value) if name.endswith("num_batches_tracked") else rule(name, value.shape)
        for name, value in model.state_dict().items()
    }


def arithmetic():
    """A digest of how this machine rounds the operations of a transformer in float32."""
    generator = seeded("arithmetic")
    digest = hashlib.sha256()
    for width in (32, 128, 1024, 4096):
        x, weight = torch.randn(256, width, generator=generator), torch.randn(64, width, generator=generator)
        y = functional.linear(x, weight, weight[:, 0])
        parts = (y, functional.gelu(y), y.softmax(-1), functional.layer_norm(y, (64,)), x.norm(dim=-1), x.abs().log())
        for part in parts:
            digest.update(part.numpy().tobytes())
    return digest.hexdigest()[:16]


def assert_output_equals(output, expected, atol=1e-4):
    """Compare an output with the recorded shape, mean, deviation and 64 samples of the authors'."""
    assert list(output.shape) == expected["output_shape"]
    samples = output.flatten()[torch.linspace(0, output.numel() - 1, 64).round().long()]
    torch.testing.assert_close(samples, torch.tensor(expected["samples"]).to(samples), rtol=1e-3, atol=atol)
    assert output.mean().item() == pytest.approx(expected["mean"], abs=1e-4)
    assert output.std().item() == pytest.approx(expected["std"], abs=1e-4)
