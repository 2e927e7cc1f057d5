"""Judge from pixels and predicted masks whether a radiograph lies within the scope of the weights.

Nothing here depends on what runs the network: PyTorch and onnxruntime give the same masks, and so the same calls.
"""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import BONES, NUM_BONES
from jointwrist.data.resample import resample
from jointwrist.inference.mean_wrist import fit_mean_wrist
from jointwrist.inference.scope.joint_lines import joint_line, local_contrast, signed_distances
from jointwrist.inference.scope.neighbours import NEIGHBOURS, line_signs
from jointwrist.inference.scope.report import NOT_SEPARABLE, OUTSIDE, Limit, ScopeReport
from jointwrist.inference.scope.signs import (
    Film,
    cast_signs,
    growth_plate_signs,
    metal_signs,
    normalised_grey,
    shape_signs,
)
from jointwrist.weights.scope_model import ScopeModel

#: Share of a bone that stands out as metal from which the bone is limited by an implant.
_METAL_SHARE = 0.02
_OTHER = "other projection"


def judge(model: ScopeModel, image: np.ndarray, masks: np.ndarray) -> ScopeReport:
    """Judge a wrist.

    Args:
        model: Models of the weights.
        image: (H, W) float32 grey of a right hand, as the network takes it.
        masks: (14, S, S) bool masks on it, as the network predicts them.
    """
    film = film_of(image, masks)
    if film is None:  # bones that lie as in no wrist seen from the back of the hand
        return ScopeReport((_OTHER,), ((Limit(OUTSIDE, _OTHER),),) * NUM_BONES, {})
    signs, heights = film_signs(film)
    logits = {name: float(each(signs[name])) - each.threshold for name, each in model.findings.items()}
    findings = tuple(name for name, logit in logits.items() if logit > 0)
    limits: list[list[Limit]] = [[] for _ in range(NUM_BONES)]
    for name in findings:
        for bone in _with_metal(film, heights) if name == "implant" else range(NUM_BONES):
            limits[bone].append(Limit(OUTSIDE, name))
    logits["fusion"] = -np.inf
    for pair, of_line in film_line_signs(film).items():
        logit = float(model.fusion(of_line)) - model.fusion.threshold
        logits["fusion"] = max(logits["fusion"], logit)
        if logit > 0:
            first, second = NEIGHBOURS[pair]
            for bone, other in ((first, second), (second, first)):
                limits[bone].append(Limit(NOT_SEPARABLE, f"no joint line to the {BONES[other].display}"))
    return ScopeReport(findings, tuple(map(tuple, limits)), logits)


def film_of(image: np.ndarray, masks: np.ndarray) -> Film | None:
    """Return a radiograph prepared for the signs; None if the masks are not those of a wrist."""
    fit = fit_mean_wrist(masks)
    if fit is None:
        return None
    distances = signed_distances(masks, fit[0].scale)
    grey = normalised_grey(resample(image, masks.shape[1:]), distances.min(0))
    return Film(grey, masks, distances, fit[0])


def film_signs(film: Film) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the signs of each finding by its name, and the heights of `metal_signs`."""
    metal, heights = metal_signs(film)
    signs = {
        "implant": metal,
        "cast": cast_signs(film),
        "growth plate": growth_plate_signs(film),
        _OTHER: shape_signs(film),
    }
    return signs, heights


def film_line_signs(film: Film) -> dict[int, np.ndarray]:
    """Return the signs of each joint line by its index in `NEIGHBOURS`, for bones that meet."""
    contrast = local_contrast(film.grey, film.nearest < 1.5, film.mm)
    found = {}
    for pair, (first, second) in enumerate(NEIGHBOURS):
        line = joint_line(contrast, film.distances[first], film.distances[second], film.mm)
        if line is not None:
            found[pair] = line_signs(line, pair)
    return found


def _with_metal(film: Film, heights: np.ndarray) -> list[int]:
    """Return the bones that contain or touch metal; all bones if none does."""
    bright = heights > 0.5 * np.percentile(heights[film.nearest < 1.5], 99.95)
    shares = [float(bright[distance < 0.8].mean()) if (distance < 0.8).any() else 0.0 for distance in film.distances]
    return [bone for bone, share in enumerate(shares) if share > _METAL_SHARE] or list(range(NUM_BONES))
