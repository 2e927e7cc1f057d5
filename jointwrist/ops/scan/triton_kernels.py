"""Triton kernels of the selective scan; `triton_scan` calls them and says how they work.

Shapes: x, step, gate, y (B, L, D); inputs, outputs (B, G, L, N); rates (D, N); skip, bias (D,); last, dlast (B, D, N);
states (B, chunks, D, N). A program has the indices of an image and of a block of channels of one group.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _softplus(x):
    # log1p by Kahan's quotient, exact to rounding where 1 + exp(x) loses the digits of exp(x)
    e = tl.exp(tl.minimum(x, 20.0))
    w = 1.0 + e
    log1p = tl.where(w == 1.0, e, tl.log(w) * (e / tl.where(w == 1.0, 1.0, w - 1.0)))
    return tl.where(x > 20.0, x, log1p)


@triton.jit
def _step(step_ptr, at, bias, inside, SOFTPLUS: tl.constexpr):
    """Return the step size before and after softplus; 0 outside, where nothing may change."""
    raw = tl.load(step_ptr + at, mask=inside, other=0.0).to(tl.float32) + bias
    size = _softplus(raw) if SOFTPLUS else raw
    return raw, tl.where(inside, size, 0.0)


@triton.jit
def scan_forward(
    x_ptr, step_ptr, rates_ptr, inputs_ptr, outputs_ptr, skip_ptr, gate_ptr, bias_ptr, y_ptr, last_ptr, states_ptr,
    channels, groups, length, states, group_channels, blocks,
    KEEP: tl.constexpr, SOFTPLUS: tl.constexpr, GATED: tl.constexpr, CHUNK: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Write y and the last states, and the states at chunk ends if KEEP."""
    image = tl.program_id(0).to(tl.int64)
    group, block = tl.program_id(1) // blocks, tl.program_id(1) % blocks
    d, n = block * BLOCK_D + tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N)
    inside, real = d < group_channels, n < states
    d = group * group_channels + d
    both = inside[:, None] & real[None, :]
    rates = tl.load(rates_ptr + d[:, None] * states + n[None, :], mask=both, other=0.0)
    skip, bias = tl.load(skip_ptr + d, mask=inside, other=0.0), tl.load(bias_ptr + d, mask=inside, other=0.0)
    row, shared = image * length, (image * groups + group) * length
    chunks = (length + CHUNK - 1) // CHUNK
    h = tl.zeros((BLOCK_D, BLOCK_N), tl.float32)
    for t in range(length):
        at = (row + t) * channels + d
        _, size = _step(step_ptr, at, bias, inside, SOFTPLUS)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        b = tl.load(inputs_ptr + (shared + t) * states + n, mask=real, other=0.0).to(tl.float32)
        c = tl.load(outputs_ptr + (shared + t) * states + n, mask=real, other=0.0).to(tl.float32)
        h = tl.exp(size[:, None] * rates) * h + (size * x)[:, None] * b[None, :]
        y = tl.sum(h * c[None, :], 1) + skip * x
        if GATED:
            gate = tl.load(gate_ptr + at, mask=inside, other=0.0).to(tl.float32)
            y = y * gate / (1.0 + tl.exp(-gate))
        tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)
        if KEEP:
            if (t + 1) % CHUNK == 0:
                kept = ((image * chunks + t // CHUNK) * channels + d[:, None]) * states + n[None, :]
                tl.store(states_ptr + kept, h, mask=both)
    tl.store(last_ptr + (image * channels + d[:, None]) * states + n[None, :], h, mask=both)


@triton.jit
def scan_backward(
    x_ptr, step_ptr, rates_ptr, inputs_ptr, outputs_ptr, skip_ptr, gate_ptr, bias_ptr, states_ptr, dy_ptr, dlast_ptr,
    scratch_ptr, dx_ptr, dstep_ptr, drates_ptr, dinputs_ptr, doutputs_ptr, dskip_ptr, dgate_ptr, dbias_ptr,
    channels, groups, length, states, group_channels, blocks,
    SOFTPLUS: tl.constexpr, GATED: tl.constexpr, CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Write all gradients, float32; those of inputs and outputs one for each program, to be added up."""
    image = tl.program_id(0).to(tl.int64)
    group, block = tl.program_id(1) // blocks, tl.program_id(1) % blocks
    i, n = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N)
    inside, real = block * BLOCK_D + i < group_channels, n < states
    d = group * group_channels + block * BLOCK_D + i
    both = inside[:, None] & real[None, :]
    rates = tl.load(rates_ptr + d[:, None] * states + n[None, :], mask=both, other=0.0)
    skip, bias = tl.load(skip_ptr + d, mask=inside, other=0.0), tl.load(bias_ptr + d, mask=inside, other=0.0)
    row, shared = image * length, (image * groups + group) * length
    program = image * groups * blocks + tl.program_id(1)
    chunks = (length + CHUNK - 1) // CHUNK
    tile = i[:, None] * BLOCK_N + n[None, :]
    own = scratch_ptr + program * CHUNK * BLOCK_D * BLOCK_N + tile
    weights = (image * channels + d[:, None]) * states + n[None, :]
    dh = tl.load(dlast_ptr + weights, mask=both, other=0.0)
    drates = tl.zeros((BLOCK_D, BLOCK_N), tl.float32)
    dskip, dbias = tl.zeros((BLOCK_D,), tl.float32), tl.zeros((BLOCK_D,), tl.float32)
    for back in range(chunks):
        chunk = chunks - 1 - back
        first = chunk * CHUNK
        steps = tl.minimum(length - first, CHUNK)
        before = ((image * chunks + tl.maximum(chunk - 1, 0)) * channels + d[:, None]) * states + n[None, :]
        h = tl.load(states_ptr + before, mask=both & (n[None, :] * 0 + chunk > 0), other=0.0)
        for s in range(steps):
            at = (row + first + s) * channels + d
            _, size = _step(step_ptr, at, bias, inside, SOFTPLUS)
            x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
            b = tl.load(inputs_ptr + (shared + first + s) * states + n, mask=real, other=0.0).to(tl.float32)
            # the state before the step: the one after it follows from it
            tl.store(own + s * BLOCK_D * BLOCK_N, h)
            h = tl.exp(size[:, None] * rates) * h + (size * x)[:, None] * b[None, :]
        tl.debug_barrier()
        for reverse in range(steps):
            s = steps - 1 - reverse
            t = first + s
            at = (row + t) * channels + d
            raw, size = _step(step_ptr, at, bias, inside, SOFTPLUS)
            x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
            b = tl.load(inputs_ptr + (shared + t) * states + n, mask=real, other=0.0).to(tl.float32)
            c = tl.load(outputs_ptr + (shared + t) * states + n, mask=real, other=0.0).to(tl.float32)
            previous = tl.load(own + s * BLOCK_D * BLOCK_N)
            decay = tl.exp(size[:, None] * rates)
            h = decay * previous + (size * x)[:, None] * b[None, :]
            dy = tl.load(dy_ptr + at, mask=inside, other=0.0).to(tl.float32)
            if GATED:
                gate = tl.load(gate_ptr + at, mask=inside, other=0.0).to(tl.float32)
                sigmoid = 1.0 / (1.0 + tl.exp(-gate))
                y = tl.sum(h * c[None, :], 1) + skip * x
                tl.store(dgate_ptr + at, dy * y * sigmoid * (1.0 + gate * (1.0 - sigmoid)), mask=inside)
                dy = dy * gate * sigmoid
            mine = (program * length + t) * states + n
            tl.store(doutputs_ptr + mine, tl.sum(dy[:, None] * h, 0), mask=real)
            dh += dy[:, None] * c[None, :]
            tl.store(dinputs_ptr + mine, tl.sum(dh * (size * x)[:, None], 0), mask=real)
            carried = dh * previous * decay
            through = tl.sum(dh * b[None, :], 1)
            dstep = tl.sum(carried * rates, 1) + through * x
            if SOFTPLUS:
                dstep = dstep / (1.0 + tl.exp(-raw))
            tl.store(dx_ptr + at, through * size + dy * skip, mask=inside)
            tl.store(dstep_ptr + at, dstep, mask=inside)
            drates += carried * size[:, None]
            dskip += tl.where(inside, dy * x, 0.0)
            dbias += tl.where(inside, dstep, 0.0)
            dh = dh * decay
        tl.debug_barrier()
    tl.store(drates_ptr + weights, drates, mask=both)
    tl.store(dskip_ptr + image * channels + d, dskip, mask=inside)
    tl.store(dbias_ptr + image * channels + d, dbias, mask=inside)
