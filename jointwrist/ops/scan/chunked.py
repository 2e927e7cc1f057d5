"""PyTorch only: chunks of time steps, states recomputed in the backward pass, one chunk of them alive at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from jointwrist.ops.scan.doubling import recurrence
from jointwrist.ops.scan.elementwise import whole_scan

CHUNK = 64


def _expand(matrix: Tensor) -> Tensor:
    """Bring (B, G, N, T) to (T, B, G, 1, N), ready to meet (T, B, G, D/G, 1)."""
    return matrix.permute(3, 0, 1, 2)[:, :, :, None]


def _steps(values: Tensor, groups: int) -> Tensor:
    """Bring (B, D, T) to (T, B, G, D/G, 1)."""
    batch, channels, length = values.shape
    return values.permute(2, 0, 1).reshape(length, batch, groups, channels // groups, 1)


def _run(decay: Tensor, drive: Tensor, state: Tensor) -> Tensor:
    """Turn (T, ...) inputs into states in place, starting from `state`."""
    for decay_t, drive_t in zip(decay.unbind(0), drive.unbind(0), strict=True):
        state = drive_t.addcmul_(decay_t, state)
    return drive


class ChunkedScan(torch.autograd.Function):
    """Selective scan with linear memory in the length and no (L, D, N) tensor kept."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C):
        """Scan; see `reference.recurrence` for shapes."""
        groups = B.shape[1]
        rates = A.view(groups, -1, A.shape[1])
        state = u.new_zeros(u.shape[0], groups, u.shape[1] // groups, A.shape[1])
        starts, ys = [], []
        for part in _parts(u.shape[-1]):
            starts.append(state)
            steps, c = _steps(delta[..., part], groups), _expand(C[..., part])
            drive = steps * _steps(u[..., part], groups) * _expand(B[..., part])
            states = _run(torch.exp(steps * rates), drive, state)
            state = states[-1].clone()
            ys.append((states * c).sum(-1))
        ctx.save_for_backward(u, delta, A, B, C, *starts)
        return torch.cat(ys).reshape(u.shape[-1], *u.shape[:2]).permute(1, 2, 0), state.flatten(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, dlast):
        """Walk the chunks backwards, recomputing the states of each."""
        u, delta, A, B, C, *starts = ctx.saved_tensors
        groups = B.shape[1]
        rates = A.view(groups, -1, A.shape[1])
        du, ddelta = torch.empty_like(u), torch.empty_like(delta)
        da, db, dc = torch.zeros_like(rates), torch.empty_like(B), torch.empty_like(C)
        carry = dlast.reshape(starts[0].shape).clone()
        for part, start in reversed(list(zip(_parts(u.shape[-1]), starts, strict=True))):
            steps, x = _steps(delta[..., part], groups), _steps(u[..., part], groups)
            b, c = _expand(B[..., part]), _expand(C[..., part])
            decay = torch.exp(steps * rates)
            states = _run(decay, steps * x * b, start)
            dy_t = _steps(dy[..., part], groups)
            dc[..., part] = (dy_t * states).sum(3).permute(1, 2, 3, 0)
            gradient = dy_t * c
            for t in range(len(gradient) - 1, -1, -1):
                carry = gradient[t].add_(carry)
                carry = carry * decay[t]
            before = torch.cat([start[None], states[:-1]])
            through = gradient * before * decay
            da += (through * steps).sum((0, 1))
            weighted = (gradient * b).sum(-1, keepdim=True)
            ddelta[..., part] = _back((through * rates).sum(-1, keepdim=True) + weighted * x)
            du[..., part] = _back(weighted * steps)
            db[..., part] = (gradient * (steps * x)).sum(3).permute(1, 2, 3, 0)
        return du, ddelta, da.view_as(A), db, dc


def _back(values: Tensor) -> Tensor:
    """Bring (T, B, G, D/G, 1) back to (B, D, T)."""
    return values.flatten(2).permute(1, 2, 0)


def _parts(length: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return None: PyTorch runs everywhere."""
    return None


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan in PyTorch; see `dispatch` for what a backend takes and returns."""
    # an exported program has every operator written out: a loop over the steps would make it endless
    return whole_scan(recurrence if torch.compiler.is_exporting() else ChunkedScan.apply, *problem)
