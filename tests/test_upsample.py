"""Bilinear upsampling against PyTorch's, and its gradient against finite differences."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from jointwrist.ops.upsample import upsample


@pytest.mark.parametrize("height, width", [(1, 1), (1, 5), (3, 2), (8, 7)])
def test_doubling_and_its_gradient_equal_those_of_pytorch(height, width):
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 2 * height, 2 * width, dtype=torch.float64)
    ours, theirs = upsample(x, (2 * height, 2 * width)), F.interpolate(x, scale_factor=2, mode="bilinear")
    assert torch.equal(ours, theirs)
    assert ours.grad_fn.name() != theirs.grad_fn.name()  # otherwise PyTorch's gradient is compared with itself
    gradients = [torch.autograd.grad((result * weight).sum(), x)[0] for result in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda values: upsample(values, (6, 8)), x)
    assert gradgradcheck(lambda values: upsample(values, (6, 8)), x)


@pytest.mark.parametrize("size", [(5, 8), (6, 7), (3, 4), (9, 12)])
def test_other_sizes_are_those_of_pytorch(size):
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    assert torch.equal(upsample(x, size), F.interpolate(x, size, mode="bilinear"))


def test_half_precision_gradient_is_as_near_as_that_of_pytorch():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 32, 32).bfloat16()
    exact = x.double().requires_grad_()
    (F.interpolate(exact, scale_factor=2, mode="bilinear") * weight).sum().backward()
    errors = []
    for function in (lambda v: upsample(v, (32, 32)), lambda v: F.interpolate(v, scale_factor=2, mode="bilinear")):
        half = x.bfloat16().requires_grad_()
        function(half).backward(weight)
        errors.append((half.grad - exact.grad).abs().max())
    assert errors[0] <= 1.5 * errors[1]
