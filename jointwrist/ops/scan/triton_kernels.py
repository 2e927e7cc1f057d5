"""Triton kernels of the selective scan; see `triton_scan`, which launches them, for the algorithm.

Shapes: x, step, gate, y, dy (B, D, L); inputs, outputs (B, G, N, L); rates (D, N); skip, bias (D,); last, dlast
(B, D, N); states (B, chunks, D, N). A program has the indices of an image and of a block of channels of one group, and
works on tiles of (channels, states, steps).
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
def _step(step_ptr, at, bias, mask, SOFTPLUS: tl.constexpr):
    """Return the step size before and after softplus; 0 outside, where nothing may change."""
    raw = tl.load(step_ptr + at, mask=mask, other=0.0).to(tl.float32) + bias
    size = _softplus(raw) if SOFTPLUS else raw
    return raw, tl.where(mask, size, 0.0)


@triton.jit
def _load(ptr, at, mask):
    return tl.load(ptr + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _decay(size, rates):
    """Decays (channels, states, steps) of step sizes (channels, steps) and rates (channels, states)."""
    return tl.exp(size[:, None, :] * rates[:, :, None])


@triton.jit
def _added(size, x, b):
    """Return what is added to the state: (channels, states, steps) from twice (channels, steps) and (states, steps)."""
    return (size * x)[:, None, :] * b[None, :, :]


@triton.jit
def _compose(first_decay, first_added, then_decay, then_added):
    """Compose two steps h -> a h + b, which gives such a step again."""
    return then_decay * first_decay, then_decay * first_added + then_added


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
    d, n, t = block * BLOCK_D + tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N), tl.arange(0, CHUNK)
    inside, real = d < group_channels, n < states
    d = group * group_channels + d
    both = inside[:, None] & real[None, :]
    rates = tl.load(rates_ptr + d[:, None] * states + n[None, :], mask=both, other=0.0)
    skip = tl.load(skip_ptr + d, mask=inside, other=0.0)[:, None]
    bias = tl.load(bias_ptr + d, mask=inside, other=0.0)[:, None]
    rows, shared = (image * channels + d[:, None]) * length, ((image * groups + group) * states + n[:, None]) * length
    chunks = (length + CHUNK - 1) // CHUNK
    h = tl.zeros((BLOCK_D, BLOCK_N), tl.float32)
    for chunk in range(chunks):
        now = (chunk * CHUNK + t)[None, :]
        here = inside[:, None] & (now < length)
        _, size = _step(step_ptr, rows + now, bias, here, SOFTPLUS)
        x = _load(x_ptr, rows + now, here)
        b = _load(inputs_ptr, shared + now, real[:, None] & (now < length))
        c = _load(outputs_ptr, shared + now, real[:, None] & (now < length))
        decay, own = tl.associative_scan((_decay(size, rates), _added(size, x, b)), 2, _compose)
        state = own + decay * h[:, :, None]
        y = tl.sum(state * c[None, :, :], 1) + skip * x
        if GATED:
            gate = _load(gate_ptr, rows + now, here)
            y = y * gate / (1.0 + tl.exp(-gate))
        tl.store(y_ptr + rows + now, y.to(y_ptr.dtype.element_ty), mask=here)
        h = tl.sum(tl.where((t == CHUNK - 1)[None, None, :], state, 0.0), 2)
        if KEEP:
            tl.store(
                states_ptr + ((image * chunks + chunk) * channels + d[:, None]) * states + n[None, :], h, mask=both
            )
    tl.store(last_ptr + (image * channels + d[:, None]) * states + n[None, :], h, mask=both)


@triton.jit
def scan_backward(
    x_ptr, step_ptr, rates_ptr, inputs_ptr, outputs_ptr, skip_ptr, gate_ptr, bias_ptr, states_ptr, dy_ptr, dlast_ptr,
    dx_ptr, dstep_ptr, drates_ptr, dinputs_ptr, doutputs_ptr, dskip_ptr, dgate_ptr, dbias_ptr,
    channels, groups, length, states, group_channels, blocks,
    SOFTPLUS: tl.constexpr, GATED: tl.constexpr, CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Write all gradients; those of rates, skip and bias one for each image, of inputs and outputs for each program."""
    image = tl.program_id(0).to(tl.int64)
    group, block = tl.program_id(1) // blocks, tl.program_id(1) % blocks
    d, n, t = block * BLOCK_D + tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N), tl.arange(0, CHUNK)
    inside, real = d < group_channels, n < states
    d = group * group_channels + d
    both = inside[:, None] & real[None, :]
    rates = tl.load(rates_ptr + d[:, None] * states + n[None, :], mask=both, other=0.0)
    skip = tl.load(skip_ptr + d, mask=inside, other=0.0)[:, None]
    bias = tl.load(bias_ptr + d, mask=inside, other=0.0)[:, None]
    rows, shared = (image * channels + d[:, None]) * length, ((image * groups + group) * states + n[:, None]) * length
    program = image * groups * blocks + tl.program_id(1)
    mine = (program * states + n[:, None]) * length
    weights = (image * channels + d[:, None]) * states + n[None, :]
    chunks = (length + CHUNK - 1) // CHUNK
    carry = tl.load(dlast_ptr + weights, mask=both, other=0.0)
    drates = tl.zeros((BLOCK_D, BLOCK_N), tl.float32)
    dskip, dbias = tl.zeros((BLOCK_D,), tl.float32), tl.zeros((BLOCK_D,), tl.float32)
    for back in range(chunks):
        chunk = chunks - 1 - back
        now = (chunk * CHUNK + t)[None, :]
        here, listed = inside[:, None] & (now < length), real[:, None] & (now < length)
        raw, size = _step(step_ptr, rows + now, bias, here, SOFTPLUS)
        x = _load(x_ptr, rows + now, here)
        b, c = _load(inputs_ptr, shared + now, listed), _load(outputs_ptr, shared + now, listed)

        # the state before every step: from a scan over the steps before, as no decay can be divided away
        later = (t > 0)[None, :]
        _, size_before = _step(step_ptr, rows + now - 1, bias, here & later, SOFTPLUS)
        x_before = _load(x_ptr, rows + now - 1, here & later)
        b_before = _load(inputs_ptr, shared + now - 1, listed & later)
        kept = ((image * chunks + tl.maximum(chunk - 1, 0)) * channels + d[:, None]) * states + n[None, :]
        h = tl.load(states_ptr + kept, mask=both & (chunk > 0), other=0.0)
        faded, own = tl.associative_scan(
            (_decay(size_before, rates), _added(size_before, x_before, b_before)), 2, _compose
        )
        previous = own + faded * h[:, :, None]
        decay = _decay(size, rates)
        state = decay * previous + _added(size, x, b)

        dy = _load(dy_ptr, rows + now, here)
        if GATED:
            gate = _load(gate_ptr, rows + now, here)
            sigmoid = 1.0 / (1.0 + tl.exp(-gate))
            y = tl.sum(state * c[None, :, :], 1) + skip * x
            tl.store(dgate_ptr + rows + now, dy * y * sigmoid * (1.0 + gate * (1.0 - sigmoid)), mask=here)
            dy = dy * gate * sigmoid
        tl.store(doutputs_ptr + mine + now, tl.sum(dy[:, None, :] * state, 0), mask=listed)

        # the gradient of every state: a scan back in time, decayed by the step after
        _, size_after = _step(step_ptr, rows + now + 1, bias, inside[:, None] & (now + 1 < length), SOFTPLUS)
        faded, own = tl.associative_scan(
            (_decay(size_after, rates), dy[:, None, :] * c[None, :, :]), 2, _compose, reverse=True
        )
        dstate = own + faded * carry[:, :, None]
        carry = tl.sum(tl.where((t == 0)[None, None, :], dstate, 0.0), 2)
        tl.store(dinputs_ptr + mine + now, tl.sum(dstate * (size * x)[:, None, :], 0), mask=listed)
        toward_input = tl.sum(dstate * b[None, :, :], 1)
        toward_decay = dstate * previous * decay
        dstep = tl.sum(toward_decay * rates[:, :, None], 1) + toward_input * x
        if SOFTPLUS:
            dstep = dstep / (1.0 + tl.exp(-raw))
        dstep = tl.where(here, dstep, 0.0)
        tl.store(dx_ptr + rows + now, toward_input * size + dy * skip, mask=here)
        tl.store(dstep_ptr + rows + now, dstep, mask=here)
        drates += tl.sum(toward_decay * size[:, None, :], 2)
        dskip += tl.sum(dy * x, 1)
        dbias += tl.sum(dstep, 1)
    tl.store(drates_ptr + weights, drates, mask=both)
    tl.store(dskip_ptr + image * channels + d, dskip, mask=inside)
    tl.store(dbias_ptr + image * channels + d, dbias, mask=inside)
