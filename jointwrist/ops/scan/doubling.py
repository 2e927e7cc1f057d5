"""The recurrence in a logarithmic number of PyTorch operators, for export, compilation and higher derivatives.

The maps h -> a h + b are composed: step t with step t - s, for s = 1, 2, 4 and so on (Hillis and Steele, Commun. ACM
29(12), 1986, p. 1170). There is no division, so strong decay loses no precision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jointwrist.ops.scan.elementwise import whole_scan


def recurrence(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Run the recurrence; arguments and results as `reference.recurrence`."""
    groups = B.shape[1]
    x, step = (value.unflatten(1, (groups, -1))[:, :, :, None] for value in (delta * u, delta))
    decay = torch.exp(step * A.unflatten(0, (groups, -1))[..., None])
    state = x * B[:, :, None]
    shift = 1
    while shift < u.shape[-1]:
        state = torch.cat([state[..., :shift], state[..., shift:] + decay[..., shift:] * state[..., :-shift]], -1)
        decay = torch.cat([decay[..., :shift], decay[..., shift:] * decay[..., :-shift]], -1)
        shift *= 2
    y = (state * C[:, :, None]).sum(3).flatten(1, 2)
    return y, state[..., -1].flatten(1, 2)


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan in differentiable PyTorch operators; arguments and results as for a backend, see `dispatch`."""
    return whole_scan(recurrence, *problem)
