"""Assess from pixels and predicted masks whether a radiograph is within the scope of the weights.

Nothing here depends on what runs the network: PyTorch and onnxruntime give the same masks, and therefore the same
findings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jointwrist.anatomy import BONES, NUM_BONES
from jointwrist.errors import DataError
from jointwrist.inference.scope.aligned_wrist import AlignedWrist, align_wrist
from jointwrist.inference.scope.features import cast_features, growth_plate_features, metal_planes, shape_features
from jointwrist.inference.scope.joint_line import joint_line
from jointwrist.inference.scope.neighbours import NEIGHBOURS, line_features
from jointwrist.inference.scope.report import NOT_SEPARABLE, OUTSIDE, Limit, ScopeReport
from jointwrist.renamed_names import former_names
from jointwrist.weights.scope_model import Logistic, ScopeModel
from jointwrist.weights.small_network import SmallNetwork

_OTHER = "other projection"
#: Features of each of `weights.scope_model.FINDINGS`.
FEATURES: dict[str, Callable[[AlignedWrist], np.ndarray]] = {
    "implant": metal_planes,
    "cast": cast_features,
    "growth plate": growth_plate_features,
    _OTHER: shape_features,
}


def assess_scope(model: ScopeModel, image: np.ndarray, logits: np.ndarray) -> ScopeReport:
    """Assess whether a radiograph of a wrist is within the scope of the weights.

    Args:
        model: Scope models of the weights.
        image: (D, D) float32 grey values of a right hand, the network's input.
        logits: (14, S, S) float32 of its masks, above 0 within the bones.

    Raises:
        DataError: A model was fitted to other features than this version measures.
    """
    wrist = align_wrist(image, logits)
    if wrist is None:  # the bones are not arranged as in a posteroanterior wrist
        return ScopeReport((_OTHER,), ((Limit(OUTSIDE, _OTHER),),) * NUM_BONES, {})
    above = {name: _above(each, FEATURES[name](wrist), name) for name, each in model.findings.items()}
    findings = tuple(name for name, logit in above.items() if logit > 0)
    limits = [[Limit(OUTSIDE, name) for name in findings] for _ in range(NUM_BONES)]
    for pair, each in model.fusion.items():
        features = fusion_features(wrist, pair)
        logit = -np.inf if features is None else _above(each, features, "fusion")
        above["fusion"] = max(above.get("fusion", -np.inf), logit)
        if logit > 0:
            first, second = NEIGHBOURS[pair]
            for bone, other in ((first, second), (second, first)):
                limits[bone].append(Limit(NOT_SEPARABLE, f"no joint line to the {BONES[other].display}"))
    return ScopeReport(findings, tuple(map(tuple, limits)), above)


def _above(model: Logistic | SmallNetwork, features: np.ndarray, name: str) -> float:
    """Return the logit of a finding above the threshold."""
    if len(features) != model.inputs:
        raise DataError(
            f"the scope model {name!r} of the weights takes {model.inputs} features, but this version measures"
            f" {len(features)}; fit it again with benchmarks/scope.py, or use the version that it was fitted with"
        )
    return float(model(features)) - model.threshold


def fusion_features(wrist: AlignedWrist, pair: int) -> np.ndarray | None:
    """Return the features of the joint line of a pair of `NEIGHBOURS`; None if its bones do not meet."""
    line = joint_line(wrist, *NEIGHBOURS[pair])
    return None if line is None else line_features(line)


__getattr__ = former_names(__name__, SIGNS="FEATURES", judge="assess_scope", fusion_signs="fusion_features")
