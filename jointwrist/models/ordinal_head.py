"""Ordinal outputs of the erosion heads: ordered thresholds and a bias per joint; for erosion, a calibration too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import Anatomy

#: Logit at the levels that a score with fewer levels than the others lacks.
NEVER = -30.0
#: Smallest distance of two thresholds that is set.
_SMALLEST_STEP = 1e-3


class OrdinalOutput(nn.Module):
    """Turns one value per joint into logits of P(level > k).

    P(level > k) = sigmoid(value + bias_j - c_k) with c_0 < c_1 < ..., the proportional odds model (McCullagh, J. R.
    Stat. Soc. B 42(2), 1980).

    Args:
        joints: Number of joints, J.
        levels: Number of levels, K + 1.
    """

    def __init__(self, joints: int, levels: int) -> None:
        super().__init__()
        self.joint_bias = nn.Parameter(torch.zeros(joints))
        self.first_cut = nn.Parameter(torch.zeros(()))
        self.cut_steps = nn.Parameter(torch.zeros(levels - 2))

    def cuts(self) -> Tensor:
        """Ordered thresholds c_0 < c_1 < ... of the ordinal output."""
        steps = F.softplus(self.cut_steps)
        # not cumsum, which is not deterministic on CUDA
        sums = (steps * torch.ones(len(steps), len(steps), device=steps.device).tril()).sum(1)
        return torch.cat([self.first_cut[None], self.first_cut + sums])

    @torch.no_grad()
    def set_distances(self, distances: Tensor) -> None:
        """Set the distances (K - 1,) of the thresholds c_1 < c_2 < ... from c_0, in place."""
        steps = torch.diff(distances, prepend=distances.new_zeros(1)).clamp_min(_SMALLEST_STEP)
        self.cut_steps.copy_(torch.log(torch.expm1(steps)))

    def uncalibrated(self, value: Tensor) -> Tensor:
        """Compute (B, J, K) logits of P(level > k) from (B, J) values."""
        return (value + self.joint_bias)[..., None] - self.cuts()


class FurtherScore(OrdinalOutput):
    """A score other than erosion, computed from the head's features of each joint.

    Args:
        width: Features per joint.
        joints: Number of joints, J.
        levels: Number of levels, K + 1.
    """

    def __init__(self, width: int, joints: int, levels: int) -> None:
        super().__init__(joints, levels)
        self.value = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Compute (B, J, K) logits of P(level > k) from (B, J, width) features."""
        return self.uncalibrated(self.value(features).squeeze(-1).float())


class OrdinalHead(OrdinalOutput):
    """Base class of the erosion heads: ordinal outputs for erosion and for the anatomy's further scores.

    Args:
        anatomy: Joints and scores.
        width: Features per joint, from which the further scores are computed.
    """

    def __init__(self, anatomy: Anatomy, width: int) -> None:
        super().__init__(len(anatomy.joints), anatomy.erosion.levels)
        self.joints = anatomy.joints
        #: Scale and shift of the erosion logits in evaluation mode, fitted on the validation split after training.
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))
        self.further = nn.ModuleList(
            FurtherScore(width, len(anatomy.joints), score.levels) for score in anatomy.further_scores
        )

    def ordinal_logits(self, value: Tensor) -> Tensor:
        """Compute (B, J, K) erosion logits of P(level > k) from (B, J) values; calibrated in evaluation mode."""
        logits = self.uncalibrated(value)
        return logits if self.training else self.calibration[0] * logits + self.calibration[1]

    def further_logits(self, features: Tensor) -> Tensor | None:
        """Compute (B, F, J, K) logits of P(level > k) of the further scores; None if there are none.

        Args:
            features: (B, J, width).

        Returns:
            K is that of the score with most levels; the others have `NEVER` at the levels that they lack.
        """
        if not len(self.further):
            return None
        logits = [score(features) for score in self.further]
        steps = max(each.shape[-1] for each in logits)
        return torch.stack([F.pad(each, (0, steps - each.shape[-1]), value=NEVER) for each in logits], 1)
