"""Upper bound of the Dice coefficients that an exclusive label map, with one bone per pixel, can reach."""

from __future__ import annotations

import numpy as np

#: Largest duality gap per bone, in Dice coefficient.
_GAP = 1e-6
_STEPS = 5000


def dice_bound(bits: np.ndarray) -> tuple[float, int]:
    """Bound the Dice coefficients that an exclusive label map can have against overlapping masks.

    If p of the t pixels of a bone are labelled, and no others, its Dice coefficient is 2 p / (p + t), concave in p;
    labelled pixels outside the bone lower it. The best division of each overlap between its bones, fractions allowed,
    is therefore a concave problem with linear constraints. The conditional gradient method (Frank and Wolfe, 1956)
    solves it with a certificate: no label map exceeds the returned sum of Dice coefficients plus duality gap.

    Args:
        bits: (H, W) integer bit map of the true masks, bit b for bone b.

    Returns:
        Upper bound of the sum of the Dice coefficients of the bones present, and the number of these bones.
    """
    patterns, counts = np.unique(bits[bits != 0], return_counts=True)
    masks = int(patterns.max(initial=0)).bit_length()
    member = ((patterns[:, None] >> np.arange(masks, dtype=bits.dtype)) & 1).astype(bool)
    total = counts @ member
    there = total > 0
    counts, member, total = counts.astype(float), member[:, there], total[there].astype(float)
    if not there.any():
        return 0.0, 0
    shares = member / member.sum(1, keepdims=True)
    for step in range(_STEPS):
        kept = counts @ shares
        gradient = 2 * total / (kept + total) ** 2
        worth = np.where(member, gradient, 0.0)
        best = worth.argmax(1)
        gap = counts @ (worth.max(1) - (worth * shares).sum(1))
        if gap <= _GAP * len(total):
            break
        target = np.zeros_like(shares)
        target[np.arange(len(best)), best] = 1
        shares += (target - shares) * 2 / (step + 3)
    return float((2 * kept / (kept + total)).sum() + gap), len(total)
