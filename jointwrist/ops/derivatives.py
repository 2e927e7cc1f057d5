"""Derivatives that a compiled kernel does not provide, computed by PyTorch's operators.

A kernel computes values and first-order gradients. Gradients of gradients, forward-mode derivatives and the transforms
of `torch.func` use the same function written in operators that PyTorch can differentiate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

#: Values of which some are absent.
Values = Sequence[Tensor | None]


def operators_needed(*values: Tensor | None) -> bool:
    """Return whether PyTorch's operators must be used in place of a kernel.

    They must under the transforms of `torch.func`, for batched gradients (`is_grads_batched`), and for values with a
    forward-mode tangent, which a kernel would silently drop.
    """
    if torch._C._are_functorch_transforms_active():
        return True
    return any(_has_tangent(value) or _is_batch(value) for value in values if value is not None)


def _has_tangent(value: Tensor) -> bool:
    return forward_ad.unpack_dual(value).tangent is not None


def _is_batch(value: Tensor) -> bool:
    return not torch.compiler.is_compiling() and torch._C._functorch.is_legacy_batchedtensor(value)


def gradients(
    kernel: Callable[[], Values], function: Callable[..., tuple[Tensor, ...]], inputs: Values, outgoing: Values
) -> Values:
    """Compute the gradients of a kernel's backward pass in a form that can be differentiated again.

    Args:
        kernel: Computes the gradients with respect to `inputs`, None for absent ones.
        function: The kernel's forward function in PyTorch's operators: takes `inputs`, returns as many outputs as
            `outgoing` has values.
        inputs: Inputs of the forward pass, None where absent.
        outgoing: Gradients with respect to the outputs, None where absent.

    Returns:
        One gradient per input; it can be None for an input that is absent or needs no gradient.
    """
    if operators_needed(*inputs, *outgoing):
        return _gradients_by_operators(function, inputs, outgoing, again=torch.is_grad_enabled())
    if torch.is_grad_enabled():
        return _Gradients.apply(kernel, function, len(inputs), *inputs, *outgoing)
    return kernel()


class _Gradients(torch.autograd.Function):
    """Gradients computed by a kernel, with derivatives computed by PyTorch's operators."""

    @staticmethod
    def forward(ctx, kernel, function, count, *values):
        """Run the kernel; the first `count` values are the inputs, the others the gradients of the outputs."""
        ctx.function, ctx.count = function, count
        ctx.save_for_backward(*values)
        ctx.set_materialize_grads(False)
        return tuple(kernel())

    @staticmethod
    def backward(ctx, *weights):
        """Backpropagate through the gradients to the inputs and to the gradients of the outputs."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            values = _nodes(ctx.saved_tensors)
            inputs, outgoing = values[: ctx.count], values[ctx.count :]
            first = _gradients_by_operators(ctx.function, inputs, outgoing, again=True)
            return None, None, None, *_pulled_back(first, values, weights, again)


def _gradients_by_operators(function, inputs: Values, outgoing: Values, again: bool) -> Values:
    """Gradients of a function in PyTorch's operators; `outgoing` are the gradients of its outputs."""
    # without autocast, which would compute in half precision what the kernel computes in single precision
    device = next(value for value in inputs if value is not None).device.type
    with torch.enable_grad(), torch.autocast(device, enabled=False):
        inputs = _nodes(inputs)
        return _pulled_back(function(*inputs), inputs, outgoing, again)


def _nodes(values: Values) -> Values:
    """Give each value its own node in the graph.

    If one input was computed from another, as the step sizes of a Mamba block from u, the gradient of the latter would
    otherwise also pass through the caller's graph and be counted twice.
    """
    return [value if value is None or not value.requires_grad else value.view_as(value) for value in values]


def _pulled_back(outputs: Values, inputs: Values, weights: Values, again: bool) -> Values:
    """Gradients of the weighted outputs with respect to the inputs, None where absent; differentiable if `again`."""
    weighted = [
        (output, weight)
        for output, weight in zip(outputs, weights, strict=True)
        if weight is not None and output is not None and output.requires_grad
    ]
    wanted = [value for value in inputs if value is not None and value.requires_grad]
    if not weighted or not wanted:
        return [None] * len(inputs)
    outputs, weights = zip(*weighted, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, weights, create_graph=again, allow_unused=True))
    return [next(found) if value is not None and value.requires_grad else None for value in inputs]
