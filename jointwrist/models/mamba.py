"""Mamba blocks: the 1-D mixer of mamba-ssm and the four-way 2-D selective scan of VMamba."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import DropPath
from torch import Tensor, nn

from jointwrist.ops.scan import selective_scan
from jointwrist.ops.scan.dispatch import choose_backend


def init_step(channels: int, low: float = 1e-3, high: float = 1e-1, floor: float = 1e-4) -> Tensor:
    """Draw biases whose softplus is log-uniform between `low` and `high` (Mamba, arXiv 2312.00752, section 3.6)."""
    step = torch.exp(torch.rand(channels) * (math.log(high) - math.log(low)) + math.log(low)).clamp_min(floor)
    return step + torch.log(-torch.expm1(-step))


def undecayed(*parameters: nn.Parameter) -> None:
    """Mark parameters that weight decay would pull away from their meaning, by the flag that mamba-ssm uses."""
    for parameter in parameters:
        parameter._no_weight_decay = True


def init_rates(channels: int, states: int) -> Tensor:
    """Return the logarithms of the S4D-Real rates 1..N for each channel, (channels, states)."""
    return torch.log(torch.arange(1, states + 1, dtype=torch.float32)).repeat(channels, 1)


class MambaBlock(nn.Module):
    """Mamba mixer with the parameter names of `mamba_ssm.Mamba`, so that its checkpoints can be loaded.

    Args:
        d_model: Width.
        d_state: States per channel.
        d_conv: Kernel size of the causal convolution.
        expand: Inner width relative to the width.
        backend: Backend of the scan.
    """

    def __init__(self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: int = 2, backend: str = "auto"):
        super().__init__()
        inner, rank = expand * d_model, math.ceil(d_model / 16)
        self.rank, self.d_state, self.backend = rank, d_state, backend
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, d_conv, padding=d_conv - 1, groups=inner)
        self.x_proj = nn.Linear(inner, rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        nn.init.uniform_(self.dt_proj.weight, -(rank**-0.5), rank**-0.5)
        self.dt_proj.bias = nn.Parameter(init_step(inner))
        self.A_log = nn.Parameter(init_rates(inner, d_state))
        self.D = nn.Parameter(torch.ones(inner))
        undecayed(self.A_log, self.D, self.dt_proj.bias)
        self.out_proj = nn.Linear(inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (B, L, C) tokens along L, causally."""
        length = x.shape[1]
        u, z = rearrange(self.in_proj(x), "b l c -> b c l").chunk(2, 1)
        u = F.silu(self.conv1d(u)[..., :length])
        low, inputs, outputs = self.x_proj(rearrange(u, "b c l -> b l c")).split(
            [self.rank, self.d_state, self.d_state], -1
        )
        delta = rearrange(low @ self.dt_proj.weight.T, "b l c -> b c l")
        y = selective_scan(
            u,
            delta,
            -torch.exp(self.A_log.float()),
            rearrange(inputs, "b l n -> b n l"),
            rearrange(outputs, "b l n -> b n l"),
            D=self.D,
            z=z,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
            backend=self.backend,
        )
        return self.out_proj(rearrange(y, "b c l -> b l c"))


def cross_scan(x: Tensor) -> Tensor:
    """Unfold (B, C, H, W) to sequences (B, 4, C, H * W): by rows, by columns, and both reversed."""
    rows, columns = x.flatten(2), x.transpose(2, 3).flatten(2)
    return torch.stack([rows, columns, rows.flip(-1), columns.flip(-1)], 1)


def cross_merge(y: Tensor, height: int, width: int) -> Tensor:
    """Fold the sequences of `cross_scan` back to (B, C, H, W) and add the four."""
    rows = y[:, 0] + y[:, 2].flip(-1)
    columns = y[:, 1] + y[:, 3].flip(-1)
    return rows.unflatten(-1, (height, width)) + columns.unflatten(-1, (width, height)).transpose(2, 3)


class SS2D(nn.Module):
    """Four-way 2-D selective scan of VMamba, second version (arXiv 2401.10166): without gate, channels last.

    Args:
        dim: Width.
        d_state: States per channel.
        expand: Inner width relative to the width.
        backend: Backend of the scan.
    """

    def __init__(self, dim: int, d_state: int = 1, expand: float = 1.0, backend: str = "auto"):
        super().__init__()
        inner, rank = int(expand * dim), math.ceil(dim / 16)
        self.rank, self.d_state, self.backend = rank, d_state, backend
        self.in_proj = nn.Linear(dim, inner, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.x_proj_weight = nn.Parameter(
            torch.empty(4, rank + 2 * d_state, inner).uniform_(-(inner**-0.5), inner**-0.5)
        )
        self.dt_projs_weight = nn.Parameter(torch.empty(4, inner, rank).uniform_(-(rank**-0.5), rank**-0.5))
        self.dt_projs_bias = nn.Parameter(torch.stack([init_step(inner) for _ in range(4)]))
        self.A_logs = nn.Parameter(init_rates(4 * inner, d_state))
        self.Ds = nn.Parameter(torch.ones(4 * inner))
        undecayed(self.A_logs, self.Ds, self.dt_projs_bias)
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scan (B, H, W, C) by rows, by columns and both reversed, and add the results."""
        x = F.silu(self.conv2d(rearrange(self.in_proj(x), "b h w c -> b c h w")))
        scan = self._scan_each if self._one_at_a_time(x) else self._scan_all
        return self.out_proj(self.out_norm(scan(x)))

    def _one_at_a_time(self, x: Tensor) -> bool:
        """Return whether the CPU kernel is used, which reads sequences backwards in place."""
        exporting = torch.compiler.is_exporting()
        return not exporting and choose_backend(self.backend, x.device, x.dtype, self.d_state) == "cpu"

    def _scan_each(self, x: Tensor) -> Tensor:
        """Scan (B, C, H, W) in the four directions, one after another; (B, H, W, C).

        Channels stay last and only the columns are copied, so that there is little to move in memory.
        """
        height, width = x.shape[2:]
        image = rearrange(x, "b c h w -> b h w c").contiguous()
        orders = image.flatten(1, 2), image.transpose(1, 2).flatten(1, 2)
        rates, skips = -torch.exp(self.A_logs.float()).unflatten(0, (4, -1)), self.Ds.unflatten(0, (4, -1))
        y = []
        for at in range(4):
            sequence = orders[at % 2]
            low, inputs, outputs = F.linear(sequence, self.x_proj_weight[at]).split(
                [self.rank, self.d_state, self.d_state], -1
            )
            scanned = selective_scan(
                sequence.mT,
                F.linear(low, self.dt_projs_weight[at]).mT,
                rates[at],
                inputs.mT,
                outputs.mT,
                D=skips[at],
                delta_bias=self.dt_projs_bias[at],
                delta_softplus=True,
                backend=self.backend,
                reverse=at >= 2,
            )
            y.append(scanned.mT)
        rows = (y[0] + y[2]).unflatten(1, (height, width))
        return rows + (y[1] + y[3]).unflatten(1, (width, height)).transpose(1, 2)

    def _scan_all(self, x: Tensor) -> Tensor:
        """Scan (B, C, H, W) in the four directions in one call of the scan; (B, H, W, C)."""
        height, width = x.shape[2:]
        sequences = cross_scan(x)
        low, inputs, outputs = torch.matmul(self.x_proj_weight, sequences).split(
            [self.rank, self.d_state, self.d_state], 2
        )
        delta = torch.matmul(self.dt_projs_weight, low)
        y = selective_scan(
            sequences.flatten(1, 2),
            delta.flatten(1, 2),
            -torch.exp(self.A_logs.float()),
            inputs,
            outputs,
            D=self.Ds,
            delta_bias=self.dt_projs_bias.flatten(),
            delta_softplus=True,
            backend=self.backend,
        ).unflatten(1, (4, -1))
        return rearrange(cross_merge(y, height, width), "b c h w -> b h w c")


class VSSBlock(nn.Module):
    """VMamba block on (B, H, W, C): SS2D and an MLP, each with layer norm before and a residual connection.

    Args:
        dim: Width.
        drop_path: Stochastic depth rate.
        hidden: Hidden width of the MLP; None takes four times the width.
        states: States per channel of the scan.
        local: Add a depthwise 7x7 convolution beside the scan.
        backend: Backend of the scan.
    """

    #: Published weights that fit this block; see `jointwrist.weights.pretrained`.
    pretrained_kind = "VMamba"

    def __init__(
        self,
        dim: int,
        drop_path: float = 0.0,
        hidden: int | None = None,
        states: int = 1,
        local: bool = False,
        backend: str = "auto",
    ):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.op = SS2D(dim, states, backend=backend)
        self.local = nn.Conv2d(dim, dim, 7, padding=3, groups=dim) if local else None
        self.norm2 = nn.LayerNorm(dim)
        hidden = hidden or 4 * dim
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, H, W, C)."""
        normed = self.norm(x)
        mixed = self.op(normed)
        if self.local is not None:
            mixed = mixed + self.local(normed.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.drop_path(mixed)
        return x + self.drop_path(self.mlp(self.norm2(x)))
