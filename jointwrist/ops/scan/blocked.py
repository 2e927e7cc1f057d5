"""The recurrence in a few dozen PyTorch operators, for export, compilation and higher derivatives.

A sequence is cut into blocks. All blocks advance together, step by step, and compose their maps h -> a h + b; the
states at the ends of the blocks follow from the same scan over the blocks (Blelloch, CMU-CS-90-190, section 1.3). Each
value is read a few times, whatever the length. There is no division, so strong decay loses no precision.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jointwrist.ops.scan.elementwise import whole_scan

#: Steps of a block.
_STEPS = 16


def recurrence(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Run the recurrence; arguments and results as `reference.recurrence`."""
    groups = B.shape[1]
    x, step = (value.unflatten(1, (groups, -1))[:, :, :, None] for value in (delta * u, delta))
    decay = torch.exp(step * A.unflatten(0, (groups, -1))[..., None])
    state = _states(decay, x * B[:, :, None])
    y = (state * C[:, :, None]).sum(3).flatten(1, 2)
    return y, state[..., -1].flatten(1, 2)


def _states(decay: Tensor, inputs: Tensor) -> Tensor:
    """Return h_t = decay_t h_{t-1} + inputs_t along the last axis, from h = 0."""
    length = inputs.shape[-1]
    blocks = -(-length // _STEPS)
    if blocks <= 1:
        return torch.cat(_advance(_steps(decay, -1), _steps(inputs, -1))[1], -1)
    decays, states = _advance(_by_steps(decay, blocks), _by_steps(inputs, blocks))
    before = F.pad(_states(decays[-1], states[-1])[..., :-1], (1, 0))
    whole = torch.cat([state + decay * before for decay, state in zip(decays, states, strict=True)])
    return whole.movedim(0, -1).flatten(-2)[..., :length]


def _by_steps(values: Tensor, blocks: int) -> list[Tensor]:
    """Return the (1, ..., blocks) values of each step, those of all blocks together; zeros fill up the last block."""
    lacking = blocks * _STEPS - values.shape[-1]
    padded = F.pad(values, (0, lacking)) if lacking else values
    return _steps(padded.unflatten(-1, (blocks, _STEPS)).movedim(-1, 0).contiguous(), 0)


def _steps(values: Tensor, dim: int) -> list[Tensor]:
    # not split, which ONNX writes as a sequence of copies
    return [values.narrow(dim, step, 1) for step in range(values.shape[dim])]


def _advance(decays: list[Tensor], inputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the product of the decays up to each step, and the state after it, from h = 0."""
    products, states = [decays[0]], [inputs[0]]
    for decay, value in zip(decays[1:], inputs[1:], strict=True):
        products.append(decay * products[-1])
        states.append(value + decay * states[-1])
    return products, states


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan in differentiable PyTorch operators; arguments and results as for a backend, see `dispatch`."""
    return whole_scan(recurrence, *problem)
