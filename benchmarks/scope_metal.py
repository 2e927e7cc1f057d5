"""Fit the small network that looks for implants: on phantoms with metal, and on others into which metal is inserted.

The network is trained on the cells that show metal, and on the mean of the cells that decide. Grey values, window,
sharpness and noise are varied, and grey is often cut off just above the bones, so that metal has to be told by its
shape as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from jointwrist.phantom.scope.metal import metal
from jointwrist.weights.small_network import Convolution, SmallNetwork

#: Channels, strides and dilations of the layers before the last; cells of the image's logit; side of a cell in pixels.
CHANNELS, STRIDES, DILATIONS, CELLS, CELL = (10, 14, 14, 14), (2, 2, 1, 1), (1, 1, 1, 2), 8, 4
STEPS, RATE, SEED = 4000, 1e-2, 0
#: Wrists of a step into which metal is inserted, most of them, and phantoms that were drawn with metal.
INSERTED, DRAWN, SHARE = 10, 6, 0.6
#: Attenuation from which a cell shows metal, and below which it shows none; smallest number of pixels of an implant.
SHOWN, NONE, SMALLEST = 0.2, 0.02, 25
#: Implants of fewer pixels, such as wires and screws, are inserted twice as often.
SMALL = 600


@contextmanager
def recorded_metal() -> Iterator[list[np.ndarray]]:
    """Collect the attenuation (H, W) of the metal of the phantoms that are made meanwhile, as right hands."""
    drawn: list[np.ndarray] = []

    def record(*arguments) -> np.ndarray:
        drawn.append(metal(*arguments))
        return drawn[-1]

    with patch.object(sys.modules["jointwrist.phantom.scope.draw_scope"], "metal", record):
        yield drawn


def planes_of(grey: Tensor, nearest: Tensor) -> Tensor:
    """Return (N, 3, H, W) planes as `metal_planes` computes them from (N, H, W) grey and distances."""
    grey = grey.clamp(-1, 4)[:, None]
    coarse = F.avg_pool2d(F.pad(F.avg_pool2d(grey, 6), (1, 1, 1, 1), mode="replicate"), 3, 1)
    wide = F.interpolate(coarse, size=grey.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([(grey - 0.8) * 1.5, (grey - wide) * 4, nearest[:, None] / 6], 1)


def fit_metal(without: np.ndarray, drawn: np.ndarray, metals: np.ndarray) -> SmallNetwork:
    """Train the network; its threshold is 0.

    Args:
        without: (N, 3, H, W) planes of wrists without metal.
        drawn: (M, 3, H, W) planes of phantoms with metal.
        metals: (M, H, W) attenuation of their metal.
    """
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    plain, having = (torch.from_numpy(planes[:, (0, 2)]).float() for planes in (without, drawn))
    metals = torch.from_numpy(metals).float()
    area = (metals > 0.5 * SHOWN).sum((1, 2)).numpy()
    weight = np.where(area < SMALL, 2.0, 1.0) * (area > SMALLEST)
    weight /= weight.sum()
    network, bias = _network(), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.AdamW([*network.parameters(), bias], RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
    for _ in tqdm(range(STEPS), desc="training", disable=None):
        of_drawn = rng.integers(len(having), size=DRAWN)
        planes = torch.cat([plain[rng.integers(len(plain), size=INSERTED)], having[of_drawn]])
        put = torch.roll(metals[rng.choice(len(metals), INSERTED, p=weight)], _pair(rng, 16), (1, 2))
        cells = _varied(planes[:, 0] / 1.5 + 0.8, planes[:, 1] * 6, put, metals[of_drawn], rng)
        optimiser.zero_grad()
        _loss(network(cells[0])[:, 0], cells[1], bias).backward()
        optimiser.step()
        schedule.step()
    return SmallNetwork(tuple(_plain(layer) for layer in network if isinstance(layer, nn.Conv2d)), CELLS, 0.0)


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, stride, dilation in zip((3, *CHANNELS), CHANNELS, STRIDES, DILATIONS, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(CHANNELS[-1], 1, 1))


def _plain(layer: nn.Conv2d) -> Convolution:
    weights, bias = (values.detach().numpy().astype(np.float32) for values in (layer.weight, layer.bias))
    return Convolution(weights, bias, layer.stride[0], layer.dilation[0])


def _loss(logits: Tensor, shown: Tensor, bias: Tensor) -> Tensor:
    """Return the cross-entropy of the cells, those that show metal three times, and a quarter of the image's."""
    there, clear = (shown > SHOWN).float(), ((shown > SHOWN) | (shown < NONE)).float()
    weight = clear * (1 + 2 * there)
    of_cells = (F.binary_cross_entropy_with_logits(logits, there, reduction="none") * weight).sum() / weight.sum()
    count = there.flatten(1).sum(1)
    sure = (count == 0) | (count >= CELLS - 1)
    image = logits.flatten(1).topk(CELLS, 1).values.mean(1)[sure] + bias
    return of_cells + 0.25 * F.binary_cross_entropy_with_logits(image, (count[sure] > 0).float())


def _varied(
    grey: Tensor, nearest: Tensor, put: Tensor, drawn: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Insert metal into the first of (N, H, W) wrists, and vary all; return their planes and the metal of each cell."""
    count = len(grey)

    def between(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1).uniform_(low, high)

    seen = (grey > -0.49).float()  # metal beyond the edge of the radiograph is not
    first = put * (torch.rand(len(put), 1, 1) < SHARE).float() * torch.exp(between(-1.2, 1.2)[: len(put)])
    shown = torch.cat([first, drawn]) * seen
    high = grey[:, ::3, ::3].flatten(1).topk(8, 1).values[:, -1].view(-1, 1, 1)
    cut = high * between(0.98, 1.1) + torch.where(torch.rand(count, 1, 1) < 0.5, between(0, 0.15), between(0, 1.8))
    grey = grey.clone()
    grey[: len(put)] = torch.minimum(grey + shown, cut)[: len(put)]
    span = high + 0.6
    grey = ((grey + 0.6) / span).clamp(0, 3) ** torch.exp(between(-0.3, 0.3)) * span - 0.6
    grey = grey * between(0.9, 1.1) + between(-0.06, 0.06)
    blurred = torch.rand(count) < 0.4
    if blurred.any():
        grey[blurred] = _blurred(grey[blurred], float(rng.uniform(0.3, 1.2)))
    grey = grey + torch.randn_like(grey) * between(0, 0.08) * (torch.rand(count, 1, 1) < 0.7)
    axes = [axis for axis, chance in ((1, 0.3), (2, 0.5)) if rng.random() < chance]
    grey, nearest, shown = (values.flip(axes) for values in (grey, nearest, shown))
    return planes_of(grey, nearest), F.max_pool2d(shown[:, None], CELL)[:, 0]


def _blurred(grey: Tensor, sigma: float) -> Tensor:
    kernel = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / 2 / sigma**2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, 7)
    return F.conv2d(F.conv2d(grey[:, None], kernel, padding=(0, 3)), kernel.mT, padding=(3, 0))[:, 0]


def _pair(rng: np.random.Generator, most: int) -> tuple[int, int]:
    down, right = rng.integers(-most, most + 1, 2)
    return int(down), int(right)
