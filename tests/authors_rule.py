"""Parameters that the authors' code was given before its outputs were recorded, and the comparison with them."""

from __future__ import annotations

import math
import zlib

import pytest
import torch


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


def assert_output_equals(output, expected, atol=1e-4):
    """Compare an output with the recorded shape, mean, deviation and 64 samples of the authors'."""
    assert list(output.shape) == expected["output_shape"]
    samples = output.flatten()[torch.linspace(0, output.numel() - 1, 64).round().long()]
    torch.testing.assert_close(samples, torch.tensor(expected["samples"]).to(samples), rtol=1e-3, atol=atol)
    assert output.mean().item() == pytest.approx(expected["mean"], abs=1e-4)
    assert output.std().item() == pytest.approx(expected["std"], abs=1e-4)
