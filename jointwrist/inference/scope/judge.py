"""Judge from pixels and predicted masks whether a radiograph lies within the scope of the weights.

Nothing here depends on what runs the network: PyTorch and onnxruntime give the same masks, and so the same calls.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jointwrist.anatomy import BONES, NUM_BONES
from jointwrist.inference.scope.film import Film, film_of
from jointwrist.inference.scope.joint_lines import joint_line
from jointwrist.inference.scope.neighbours import NEIGHBOURS, line_signs
from jointwrist.inference.scope.report import NOT_SEPARABLE, OUTSIDE, Limit, ScopeReport
from jointwrist.inference.scope.signs import cast_signs, growth_plate_signs, metal_signs, shape_signs
from jointwrist.weights.scope_model import ScopeModel

_OTHER = "other projection"
#: Signs of each of `weights.scope_model.FINDINGS`.
SIGNS: dict[str, Callable[[Film], np.ndarray]] = {
    "implant": metal_signs,
    "cast": cast_signs,
    "growth plate": growth_plate_signs,
    _OTHER: shape_signs,
}


def judge(model: ScopeModel, image: np.ndarray, logits: np.ndarray) -> ScopeReport:
    """Judge a wrist.

    Args:
        model: Models of the weights.
        image: (D, D) float32 grey of a right hand, as the network takes it.
        logits: (14, S, S) float32 of the masks on it, above 0 in the bones.
    """
    film = film_of(image, logits)
    if film is None:  # bones that lie as in no wrist seen from the back of the hand
        return ScopeReport((_OTHER,), ((Limit(OUTSIDE, _OTHER),),) * NUM_BONES, {})
    above = {name: float(each(SIGNS[name](film))) - each.threshold for name, each in model.findings.items()}
    findings = tuple(name for name, logit in above.items() if logit > 0)
    limits = [[Limit(OUTSIDE, name) for name in findings] for _ in range(NUM_BONES)]
    for pair, each in model.fusion.items():
        signs = fusion_signs(film, pair)
        logit = -np.inf if signs is None else float(each(signs)) - each.threshold
        above["fusion"] = max(above.get("fusion", -np.inf), logit)
        if logit > 0:
            first, second = NEIGHBOURS[pair]
            for bone, other in ((first, second), (second, first)):
                limits[bone].append(Limit(NOT_SEPARABLE, f"no joint line to the {BONES[other].display}"))
    return ScopeReport(findings, tuple(map(tuple, limits)), above)


def fusion_signs(film: Film, pair: int) -> np.ndarray | None:
    """Return the signs of the joint line of two of `NEIGHBOURS`; None where they do not meet."""
    line = joint_line(film, *NEIGHBOURS[pair])
    return None if line is None else line_signs(line)
