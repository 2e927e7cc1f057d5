"""Gradient balancing at the shared features: limits the erosion gradient to a share of the mask gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor


class FeatureBalance(NamedTuple):
    """Settings for combining the gradients of two tasks at shared features.

    Attributes:
        share: Norm of the second task's gradient, relative to that of the first.
        project: Remove the part of the second gradient that opposes the first (PCGrad, arXiv 2001.06782).
    """

    share: float
    project: bool = False


def balanced_gradient(first: Tensor, second: Tensor, balance: FeatureBalance) -> Tensor:
    """Project and scale a task's gradient relative to that of the leading task.

    Norms and inner product are those of the whole batch: several processes add theirs, so that the result does not
    depend on their number. A scale of the losses, as mixed precision uses, cancels out.

    Args:
        first: Gradient of the leading task, of any shape.
        second: Gradient of the other task, of the same shape.
        balance: Share and projection.

    Returns:
        float32 gradient of the second task; 0 where one of the two is 0, and where the second is nothing but the
        opposite of the first.
    """
    first, second = first.float(), second.float()
    sums = torch.stack([first.square().sum(), second.square().sum(), (first * second).sum()])
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(sums)
    leading, other, common = sums.double()
    left = other
    if balance.project:
        opposed = torch.where(leading > 0, common.clamp(max=0) / leading, 0.0)
        second = second - opposed.float() * first
        left = other - opposed.square() * leading
    # the rounding error of a removed gradient has no meaningful direction
    scale = torch.where(left > 1e-6 * other, balance.share * (leading / left).sqrt(), 0.0)
    return scale.float() * second


class _Split(torch.autograd.Function):
    """Identity with two outputs, whose gradients arrive together."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, balance: FeatureBalance) -> tuple[Tensor, Tensor]:
        ctx.balance = balance
        return features.view_as(features), features.view_as(features)

    @staticmethod
    def backward(ctx: Any, first: Tensor, second: Tensor) -> tuple[Tensor, None]:
        return first + balanced_gradient(first, second, ctx.balance).to(first.dtype), None


def split_features(features: Tensor, balance: FeatureBalance) -> tuple[Tensor, Tensor]:
    """Return the features twice, for the leading and for the other task.

    Earlier layers receive the first task's gradient plus the balanced gradient of the second, in one backward pass.
    """
    return _Split.apply(features, balance)
