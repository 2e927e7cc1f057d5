"""Prior probability of each erosion level at each joint, for logit adjustment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.config import build
from jointwrist.data.dataset.case import Case
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.losses import level_log_odds, score_levels
from jointwrist.phantom import PhantomConfig


def erosion_prior(config: RunConfig, cases: Sequence[Case], anatomy: Anatomy = WRIST) -> Tensor:
    """Log odds of P(level > k) per joint, from the training scores or from the distribution of the phantom stream."""
    joints, number = len(anatomy.joints), anatomy.erosion.levels
    if config.stream.wrists:
        phantom = build(PhantomConfig, dict(config.stream.options))
        severity = torch.tensor(phantom.severity) / sum(phantom.severity)
        levels = torch.stack([severity[0], severity[1], severity[2:].sum()]) * phantom.prevalence
        counts = torch.cat([1 - levels.sum(0, keepdim=True), levels]).expand(joints, -1)
        return level_log_odds(counts * 1000)
    scores = torch.tensor([case.scores for case in cases if case.scores is not None]).reshape(-1, joints)
    levels = score_levels(scores, number)
    counts = torch.stack([(levels == level).sum(0) for level in range(number)], 1).float()
    return level_log_odds(counts)
