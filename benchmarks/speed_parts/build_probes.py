"""CPU times of parts of one build, run in its folder by `builds`: `python build_probes.py PART`.

It imports only names that earlier builds have too, so that one file measures all of them. It uses one thread and prints
a median in ms.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

try:
    from jointwrist.engine.processes.session import keep_freed_memory
except ModuleNotFoundError:  # builds up to b682e7d
    from jointwrist.engine.session import keep_freed_memory


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """Median processor time of a call; the first is not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        function()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times[1:])


def scan(states: int) -> float:
    """Forward and backward pass of the compiled scan; 2 sequences, 192 channels, 4,096 steps, channels last."""
    from jointwrist.ops.scan import selective_scan

    generator = torch.Generator().manual_seed(0)
    wide = [torch.randn(2, 4096, 192, generator=generator).mT.requires_grad_() for _ in range(2)]
    narrow = [torch.randn(2, 4096, states, generator=generator).mT.requires_grad_() for _ in range(2)]
    rates = (-torch.arange(1.0, states + 1).repeat(192, 1)).requires_grad_()
    bias = (torch.randn(192, generator=generator) - 4).requires_grad_()
    given = [*wide, rates, *narrow]

    def both() -> None:
        y = selective_scan(*given, delta_bias=bias, delta_softplus=True, backend="cpu")
        torch.autograd.grad(y, [*given, bias], wide[0].detach())

    return milliseconds(both, 7)


def four_way(channels: int, side: int, states: int) -> float:
    """Forward and backward pass of a whole SS2D on 8 feature maps: projections, four directions, merge."""
    from jointwrist.models.mamba import SS2D

    torch.manual_seed(0)
    block, x = SS2D(channels, states), torch.randn(8, side, side, channels, requires_grad=True)
    return milliseconds(lambda: block(x).sum().backward(), 5)


def whole_hand(turns: int) -> float:
    """Localisation in a phantom of a whole hand of 210 mm with stated side, rotated by quarter turns; a first call."""
    radiograph, find = _hand(turns)
    start = time.process_time()
    find(radiograph)
    return 1000 * (time.process_time() - start)


def _hand(turns: int):
    try:
        from jointwrist.data.radiograph import Radiograph
        from jointwrist.inference.localiser import Localiser
        from jointwrist.inference.locate import locate
        from jointwrist.phantom import PhantomConfig, make_wrist

        localiser = Localiser.load()
    except ModuleNotFoundError:  # builds up to 189d199
        from jointwrist.data.dicom import Radiograph
        from jointwrist.data.phantom import PhantomConfig, make_wrist
        from jointwrist.inference.field import FieldFinder
        from jointwrist.inference.locate import locate

        localiser = FieldFinder()
    made = make_wrist(7000, 0, PhantomConfig(size=420, field_of_view=(210.0, 210.0)))
    pixels = np.ascontiguousarray(np.rot90(np.asarray(made.image[0]), -turns))
    return Radiograph(pixels, side=made.side), lambda radiograph: locate(localiser, radiograph)


#: Name of the row, measurement, and smallest allowed ratio of the other build's time to this one's.
PARTS: dict[str, tuple[Callable[[], float], float]] = {
    "scan `cpu`, N=16 L=4096": (lambda: scan(16), 1.25),
    "scan `cpu`, N=1 L=4096": (lambda: scan(1), 0.95),
    "SS2D, 48 channels, 64x64, N=1": (lambda: four_way(48, 64, 1), 1.5),
    "SS2D, 96 channels, 32x32, N=1": (lambda: four_way(96, 32, 1), 1.5),
    "SS2D, 192 channels, 16x16, N=1": (lambda: four_way(192, 16, 1), 1.5),
    "SS2D, 48 channels, 64x64, N=16": (lambda: four_way(48, 64, 16), 1.5),
    "whole hand, upright": (lambda: whole_hand(0), 3.0),
    "whole hand, turned by 90 degrees": (lambda: whole_hand(1), 3.0),
    "whole hand, turned by 180 degrees": (lambda: whole_hand(2), 3.0),
    "whole hand, turned by 270 degrees": (lambda: whole_hand(3), 3.0),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    print(PARTS[sys.argv[1]][0]())
