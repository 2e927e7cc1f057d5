"""Derivatives that a kernel does not compute, from PyTorch's own operators.

A kernel knows its values and their gradients. What goes beyond that (gradients of gradients, forward-mode derivatives,
the transforms of `torch.func`) is left to the same function written in operators that PyTorch can differentiate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

#: Values of which some are absent.
Values = Sequence[Tensor | None]


def operators_needed(*values: Tensor | None) -> bool:
    """Return whether a kernel must give way to PyTorch's operators.

    That is so under the transforms of `torch.func`, for batches of gradients (`is_grads_batched`), and for values with
    a tangent, which a kernel would drop without a word.
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
    """Compute gradients in the backward pass of a kernel, such that they can be differentiated in their turn.

    Args:
        kernel: Computes the gradients by `inputs`, None for those that are absent.
        function: What the kernel differentiates, written in PyTorch's operators: of `inputs`, as many outputs as
            `outgoing` has values.
        inputs: Inputs of the forward pass, None where absent.
        outgoing: Gradients by the outputs, None where absent.

    Returns:
        One gradient for each input; for one that is absent or needs no gradient perhaps None.
    """
    if operators_needed(*inputs, *outgoing):
        return _gradients_by_operators(function, inputs, outgoing, again=torch.is_grad_enabled())
    if torch.is_grad_enabled():
        return _Gradients.apply(kernel, function, len(inputs), *inputs, *outgoing)
    return kernel()


class _Gradients(torch.autograd.Function):
    """Gradients from a kernel, whose own derivatives come from PyTorch's operators."""

    @staticmethod
    def forward(ctx, kernel, function, count, *values):
        """Run the kernel; the first `count` values are the inputs, the others the gradients by the outputs."""
        ctx.function, ctx.count = function, count
        ctx.save_for_backward(*values)
        ctx.set_materialize_grads(False)
        return tuple(kernel())

    @staticmethod
    def backward(ctx, *weights):
        """Pass the gradients by the gradients back to the inputs and to the gradients by the outputs."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            values = _nodes(ctx.saved_tensors)
            inputs, outgoing = values[: ctx.count], values[ctx.count :]
            first = _gradients_by_operators(ctx.function, inputs, outgoing, again=True)
            return None, None, None, *_pulled_back(first, values, weights, again)


def _gradients_by_operators(function, inputs: Values, outgoing: Values, again: bool) -> Values:
    """Gradients of a function written in PyTorch's operators; those by its outputs are `outgoing`."""
    # of one device; autocast would compute in half precision what the kernel computes in single
    device = next(value for value in inputs if value is not None).device.type
    with torch.enable_grad(), torch.autocast(device, enabled=False):
        inputs = _nodes(inputs)
        return _pulled_back(function(*inputs), inputs, outgoing, again)


def _nodes(values: Values) -> Values:
    """Give each value a node of its own in the graph.

    Where one input was computed from another, as the step sizes of a Mamba block are from u, a gradient by the latter
    would otherwise run through the caller's graph too, and count there twice.
    """
    return [value if value is None or not value.requires_grad else value.view_as(value) for value in values]


def _pulled_back(outputs: Values, inputs: Values, weights: Values, again: bool) -> Values:
    """Gradients of the weighted outputs by the inputs, None where there is none; differentiable if `again`."""
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
