"""Ordinal output shared by the erosion heads: ordered thresholds, a bias per joint, and a calibration."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import Anatomy


class OrdinalHead(nn.Module):
    """Base of the erosion heads: turns one value per joint into logits of P(level > k).

    P(level > k) = sigmoid(value + bias_j - c_k) with c_0 < c_1 < ..., the proportional odds model (McCullagh, J. R.
    Stat. Soc. B 42(2), 1980).

    Args:
        anatomy: Joints, J, and the levels of their erosion score, K + 1.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        super().__init__()
        self.joints = anatomy.joints
        self.joint_bias = nn.Parameter(torch.zeros(len(self.joints)))
        self.first_cut = nn.Parameter(torch.zeros(()))
        self.cut_steps = nn.Parameter(torch.zeros(anatomy.erosion.levels - 2))
        #: Scale and shift of the logits in evaluation mode, fitted on the validation split after training.
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    def cuts(self) -> Tensor:
        """Ordered thresholds c_0 < c_1 < ... of the ordinal output."""
        steps = F.softplus(self.cut_steps)
        # not cumsum, which is not deterministic on CUDA
        sums = (steps * torch.ones(len(steps), len(steps), device=steps.device).tril()).sum(1)
        return torch.cat([self.first_cut[None], self.first_cut + sums])

    def ordinal_logits(self, value: Tensor) -> Tensor:
        """Compute (B, J, K) logits of P(level > k) from (B, J) values; calibrated in evaluation mode."""
        logits = (value + self.joint_bias)[..., None] - self.cuts()
        return logits if self.training else self.calibration[0] * logits + self.calibration[1]
