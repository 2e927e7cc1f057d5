"""The JSON values of a result: everything except the pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist import __version__
from jointwrist.inference.pixel_aspect import with_square_pixels
from jointwrist.text import NOTICE

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult


def result_json(result: WristResult) -> dict[str, Any]:
    """Return everything of a result except its pixels, as JSON values."""
    return {
        "source": result.name,
        "model": result.model,
        "version": __version__,
        "notice": NOTICE,
        "side": result.side if result.anatomy.sides else None,
        "size": list(result.radiograph.pixels.shape),
        "field": list(result.placement.crop) if result.placement.crop else None,
        "turn": result.placement.rotation,
        "pixel_spacing_mm": _spacing(result),
        "pixel_aspect": result.radiograph.aspect,
        "bones": [_bone(result, index) for index in range(len(result.masks))],
        "joints": [_joint(result, joint.index) for joint in result.anatomy.eroded_joints],
        **(
            {"scores": {found.score.name: found.rows(result.anatomy) for found in result.further}}
            if result.further
            else {}
        ),
        "erosion_threshold": result.threshold,
        "joint_spaces": result.joint_spaces(),
        "scope": result.scope and result.scope.to_dict(),
        "pixels_across_wrist": result.resolution and round(result.resolution.pixels),
        "notes": list(result.notes),
        "weights": result.describe_weights(),
    }


def _spacing(result: WristResult) -> float | list[float] | None:
    """Return the side of a pixel in mm, or height and width of an oblong one."""
    if result.radiograph.aspect == 1 or result.radiograph.pixel_mm is None:
        return result.radiograph.spacing_mm
    return list(result.radiograph.pixel_mm)


def _bone(result: WristResult, index: int) -> dict[str, Any]:
    mask, found = result.masks[index], bool(result.found[index])
    area = int(result.areas[index])
    entry: dict[str, Any] = {"name": result.anatomy.bone_names[index], "found": found, "area_px": area}
    if result.radiograph.pixel_mm is not None:
        entry["area_mm2"] = round(area * math.prod(result.radiograph.pixel_mm), 2)
    if result.uncertainty is not None and np.isfinite(result.uncertainty.bone_dice[index]):
        entry["dice_between_views"] = round(float(result.uncertainty.bone_dice[index]), 4)
    if result.scope is not None:
        entry["scope"] = [limit._asdict() for limit in result.scope.bones[index]]
    if found:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        entry["box"] = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    return entry


def _joint(result: WristResult, index: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": result.anatomy.joint_names[index], "found": bool(result.scored[index])}
    if result.scope is not None or result.limits(index):
        entry |= {
            "withheld": bool(result.withheld[index]),
            "scope": [limit._asdict() for limit in result.limits(index)],
        }
    if np.isfinite(result.boxes[index]).all():
        entry["box"] = [round(float(edge), 1) for edge in result.boxes[index]]
    if result.scored[index]:
        probability = float(result.probabilities[index])
        entry |= {
            "probability": round(probability, 4),
            "eroded": bool(result.eroded[index]),
            "score": int(result.scores[index]),
            "score_label": result.anatomy.erosion.labels[result.scores[index]],
        }
        if result.extent is not None:
            entry["extent"] = _extent(result, index)
        if result.uncertainty is not None and np.isfinite(result.uncertainty.probability_sd[index]):
            entry["probability_sd"] = round(float(result.uncertainty.probability_sd[index]), 4)
    return entry


def _extent(result: WristResult, index: int) -> dict[str, float]:
    share, depth, area = map(float, result.extent[index])
    pixel = with_square_pixels(result.radiograph).spacing_mm
    lengths = {"depth_px": round(depth, 1), "area_px": round(area)}
    if pixel is not None:
        lengths = {"depth_mm": round(depth * pixel, 2), "area_mm2": round(area * pixel**2, 1)}
    return {"contour_share": round(share, 3), **lengths}
