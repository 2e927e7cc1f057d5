#!/usr/bin/env bash
# PyTorch 2.14.1: a gradient penalty through a torch.autograd.Function whose own gradient is differentiable.
#
# Guess: torch.compile(backend="eager") runs the captured operators unchanged, so it gives the penalty's gradient of the
#        network that is not compiled, or refuses as backend="aot_eager" and the default do.
# Seen:  value, first gradient and penalty are right; the penalty's gradient is silently wrong, as the compiled
#        function's backward pass leaves no graph behind. A user who falls back to "eager" after the refusal trains on it.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1
cd "$folder"
cat > penalty.py <<'PYTHON'
import sys

import torch


class Swish(torch.autograd.Function):
    """x sigmoid(x), which keeps x alone for the backward pass, as memory-saving activations do."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return gradient * s * (1 + x * (1 - s))


def network(weight, x):
    return Swish.apply(x @ weight).sum()


def penalty(function, weight):
    x = points.clone().requires_grad_()
    value = function(weight, x)
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    return value, slope, slope.square().sum()


def penalty_gradient(backend):
    torch.compiler.reset()
    function = torch.compile(network, backend=backend) if backend else network
    w = weight.clone().requires_grad_()
    value, slope, size = penalty(function, w)
    return value.detach(), slope.detach(), size.detach(), torch.autograd.grad(size, w)[0]


torch.manual_seed(0)
points, weight = torch.randn(6, 4, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
assert torch.autograd.gradgradcheck(Swish.apply, points.clone().requires_grad_())

plain, eager = penalty_gradient(None), penalty_gradient("eager")
direction, step = torch.randn_like(weight), 1e-6
ahead, behind = (penalty(network, (weight + s * direction).requires_grad_())[2] for s in (step, -step))
difference = float((ahead - behind).detach() / (2 * step))
along = [float((found[3] * direction).sum()) for found in (plain, eager)]
same = all(torch.allclose(one, other) for one, other in zip(plain[:3], eager[:3]))
try:
    penalty_gradient("aot_eager")
    refused = False
except RuntimeError:
    refused = True

print("torch", torch.__version__)
print("value, first gradient and penalty of both agree:", same)
print(f"slope of the penalty along a direction of the weights, by finite difference: {difference:.6f}")
print(f"expected: not compiled {along[0]:.6f}")
print(f"seen: torch.compile(backend='eager') {along[1]:.6f}")
print("torch.compile(backend='aot_eager') refuses:", refused)
right = abs(along[0] - difference) < 1e-5 * abs(difference)
wrong = abs(along[1] - difference) > 0.1 * abs(difference)
sys.exit(0 if same and right and wrong and refused else 1)
PYTHON
"$folder/venv/bin/python" -W ignore penalty.py
