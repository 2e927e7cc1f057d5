"""The backend "torch": PyTorch alone, in chunks of time steps whose states the backward pass recomputes."""

from __future__ import annotations

import torch
from torch import Tensor

from jointwrist.ops.derivatives import gradients
from jointwrist.ops.scan.blocked import recurrence
from jointwrist.ops.scan.elementwise import whole_scan

CHUNK = 64


def _states(matrix: Tensor) -> Tensor:
    """Permute (B, G, N, T) to (T, B, G, N, 1), which broadcasts with (T, B, G, 1, D/G)."""
    return matrix.permute(3, 0, 1, 2)[..., None]


def _channels(values: Tensor, groups: int) -> Tensor:
    """Permute (B, D, T) to (T, B, G, 1, D/G); PyTorch vectorises over the last axis, the channels."""
    batch, channels, length = values.shape
    return values.permute(2, 0, 1).reshape(length, batch, groups, 1, channels // groups)


class _Buffer:
    """Buffer for a chunk of steps of (B, G, N, D/G) values, with a view of each step; reused for all chunks."""

    def __init__(self, batch: int, rates: Tensor, length: int):
        self.whole = rates.new_empty(min(CHUNK, length), batch, *rates.shape)
        self.steps = self.whole.unbind(0)

    def product(self, first: Tensor, second: Tensor) -> Tensor:
        """Write the product of (T, ...) values into the buffer and return it; the next product overwrites it."""
        return torch.mul(first, second, out=self.whole[: len(first)])


def _run(decay: _Buffer, drive: _Buffer, count: int, state: Tensor) -> Tensor:
    """Replace inputs by states in place, starting from `state`; return the last state."""
    for decay_t, drive_t in zip(decay.steps[:count], drive.steps, strict=False):
        state = drive_t.addcmul_(decay_t, state)
    return state


def _run_back(decay: _Buffer, gradient: _Buffer, count: int, carry: Tensor) -> Tensor:
    """Replace gradients of the outputs by those of the states in place; return that of the state before the first."""
    later = gradient.steps[count - 1].add_(carry)
    for t in range(count - 2, -1, -1):
        later = gradient.steps[t].addcmul_(decay.steps[t + 1], later)
    return later * decay.steps[0]


class ChunkedScan(torch.autograd.Function):
    """Selective scan whose memory is linear in the length, without a stored (L, D, N) tensor."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C):
        """Scan; see `reference.recurrence` for shapes."""
        groups = B.shape[1]
        rates = _rates(A, groups)
        state = u.new_zeros(u.shape[0], *rates.shape)
        starts, ys = [], []
        decay, drive = (_Buffer(len(u), rates, u.shape[-1]) for _ in range(2))
        for part in _parts(u.shape[-1]):
            starts.append(state)
            steps = _channels(delta[..., part], groups)
            decay.product(steps, rates).exp_()
            states = drive.product(steps * _channels(u[..., part], groups), _states(B[..., part]))
            state = _run(decay, drive, len(steps), state).clone()
            ys.append(states.mul_(_states(C[..., part])).sum(3))
        ctx.save_for_backward(u, delta, A, B, C, *starts)
        return torch.cat(ys).reshape(u.shape[-1], *u.shape[:2]).permute(1, 2, 0), state.mT.flatten(1, 2)

    @staticmethod
    def backward(ctx, dy, dlast):
        """Return the gradients."""
        u, delta, A, B, C, *starts = ctx.saved_tensors
        inputs = u, delta, A, B, C
        return tuple(gradients(lambda: _walk_back(*inputs, starts, dy, dlast), recurrence, inputs, (dy, dlast)))


def _walk_back(u, delta, A, B, C, starts, dy, dlast) -> tuple[Tensor, ...]:
    """Gradients of the inputs, chunk by chunk from the last; each recomputes its states from the stored first one."""
    groups = B.shape[1]
    rates = _rates(A, groups)
    du, ddelta = torch.empty_like(u), torch.empty_like(delta)
    da, db, dc = torch.zeros_like(rates), torch.empty_like(B), torch.empty_like(C)
    carry = dlast.unflatten(1, (groups, -1)).mT.clone(memory_format=torch.contiguous_format)
    buffers = [_Buffer(len(u), rates, u.shape[-1]) for _ in range(3)]
    for part, start in reversed(list(zip(_parts(u.shape[-1]), starts, strict=True))):
        steps, x = _channels(delta[..., part], groups), _channels(u[..., part], groups)
        b, c, dy_t = _states(B[..., part]), _states(C[..., part]), _channels(dy[..., part], groups)
        driven = steps * x
        decay = buffers[0].product(steps, rates).exp_()
        states = buffers[1].product(driven, b)
        _run(*buffers[:2], len(steps), start)
        dc[..., part] = _over_channels(dy_t, states)
        gradient = buffers[2].product(dy_t, c)
        carry = _run_back(buffers[0], buffers[2], len(steps), carry)
        weighted = (gradient * b).sum(3, keepdim=True)
        db[..., part] = _over_channels(driven, gradient)
        through = decay.mul_(gradient)
        through[1:].mul_(states[:-1])
        through[0].mul_(start)
        ddelta[..., part] = _back(torch.addcmul((through * rates).sum(3, keepdim=True), weighted, x))
        du[..., part] = _back(weighted * steps)
        da += through.mul_(steps).sum((0, 1))
    return du, ddelta, da.mT.reshape(A.shape), db, dc


def _rates(A: Tensor, groups: int) -> Tensor:
    """Permute (D, N) to (G, N, D/G), contiguous."""
    return A.unflatten(0, (groups, -1)).mT.contiguous()


def _over_channels(weights: Tensor, states: Tensor) -> Tensor:
    """Weighted sum of (T, B, G, N, D/G) over the channels, with weights (T, B, G, 1, D/G), as (B, G, N, T)."""
    return (states * weights).sum(-1).permute(1, 2, 3, 0)


def _back(values: Tensor) -> Tensor:
    """Permute (T, B, G, 1, D/G) back to (B, D, T)."""
    return values.flatten(2).permute(1, 2, 0)


def _parts(length: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return None: PyTorch runs everywhere."""
    return None


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan in PyTorch; arguments and results as described in `dispatch`."""
    return whole_scan(ChunkedScan.apply, *problem)
