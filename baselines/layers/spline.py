"""The cubic B-spline basis of Kolmogorov-Arnold layers."""

from __future__ import annotations

import torch
from torch import Tensor

#: Number of basis functions: five cells on [-1, 1], plus the degree of 3.
NUM_BASIS = 8
CELL = 0.4


def cubic_basis(x: Tensor) -> Tensor:
    """Return the values (..., 8) of the uniform cubic B-splines with knots -2.2, -1.8, ..., 2.2.

    They sum to 1 on [-1, 1] and are 0 outside [-2.2, 2.2]. With equidistant knots, each is the same piecewise cubic
    function of the distance to its centre, so that the Cox-de Boor recursion is not needed.
    Source: de Boor, A Practical Guide to Splines, chapter IX; Liu et al., KAN, arXiv 2404.19756.
    """
    centres = torch.linspace(-1.4, 1.4, NUM_BASIS, device=x.device)
    cells = (x.unsqueeze(-1) - centres).abs() / CELL
    return ((2 - cells).relu() ** 3 - 4 * (1 - cells).relu() ** 3) / 6
