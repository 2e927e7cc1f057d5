"""Data that the viewer's page draws, as JSON values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from jointwrist import __version__
from jointwrist.inference.comparison import Comparison
from jointwrist.inference.followup.registration import Similarity
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.outputs.labels import bone_names, extent, joint_labels
from jointwrist.outputs.svg import outline_path
from jointwrist.registry import list_models
from jointwrist.text import NOTICE

#: Pixels of the page that the extent of all bones takes when their names are set.
NAMES_SIDE = 500
#: Room of a joint's number, as a fraction of that extent.
NUMBER_ROOM = 0.075
#: Note of the page where the side is not known.
UNKNOWN_SIDE = "Side not known, taken for a right hand: choose it on the right."


def describe_model(predictor: Predictor) -> dict[str, Any]:
    """Describe the model, bones and joints, which are the same for all radiographs."""
    history, anatomy = predictor.history, predictor.anatomy
    scores = predictor.name in list_models(task="joint")
    return {
        "model": predictor.name,
        "version": __version__,
        "notice": NOTICE,
        "caution": f"{history.warning} {history}" if scores and history.warning else None,
        "bones": [{"name": bone.name, "display": bone.display, "colour": bone.colour} for bone in anatomy.bones],
        "joints": [{"name": joint.name, "display": joint.display} for joint in anatomy.eroded_joints],
    }


def describe_result(result: WristResult) -> dict[str, Any]:
    """Describe a result and the shapes to draw.

    Returns:
        `WristResult.to_dict` with `paths`, the outlines of the bones as SVG path data in pixels of the radiograph;
        `maps`, the heat maps of the joints as flat lists of logits, row by row, or None; `radiograph_notes`, the notes
        of the radiograph; `doubts`, what puts the whole result in doubt; `side_known`; `side_stated`, whether the
        DICOM header states the side; `numbers` and `names`, the places of `joint_labels` and `bone_names`; and
        `names_zoom`, the pixels of the page per pixel of the radiograph from which the names have room.
    """
    size = extent(result.masks)
    names_zoom = NAMES_SIDE / size
    labels = joint_labels(result, NUMBER_ROOM * size)
    places = {joint.index: place for place, joint in enumerate(result.anatomy.eroded_joints)}
    maps = None
    if result.heat_maps is not None:
        planes = result.heat_maps[list(result.anatomy.erosion.joints)]
        maps = [np.round(plane.ravel().astype(float), 2).tolist() for plane in planes]
    return {
        **result.to_dict(),
        "paths": [outline_path(mask) if found else "" for mask, found in zip(result.masks, result.found, strict=True)],
        "maps": maps,
        "radiograph_notes": list(result.radiograph.notes),
        "doubts": [
            *result.radiograph.cautions,
            *([] if result.side_known else [UNKNOWN_SIDE]),
            *result.resolution_notes,
            *result.scope_notes,
        ],
        "side_known": result.side_known,
        "side_stated": result.radiograph.side_stated,
        "numbers": [
            {"joint": places[label.joint], "number": label.number.tolist(), "tip": label.tip.tolist()}
            for label in labels
        ],
        "names": [
            {"bone": name.bone, "text": name.text, "middle": name.middle.tolist()}
            for name in bone_names(result, (names_zoom, names_zoom), labels)
        ],
        "names_zoom": names_zoom,
    }


def radiograph_bytes(result: WristResult) -> bytes:
    """Return the radiograph's grey values, row by row, as little-endian 16-bit numbers."""
    return (np.clip(result.radiograph.pixels, 0, 1) * 65535 + 0.5).astype("<u2").tobytes()


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """Return `Comparison.to_dict` with `matrix`, the SVG matrix from the follow-up to the baseline."""
    motion, (first, second) = comparison.registration, np.array(comparison.corners, float)
    on_radiographs = replace(motion, shift=motion.shift + first - motion.matrix @ second)
    return {**comparison.to_dict(), "matrix": svg_matrix(on_radiographs)}


def svg_matrix(motion: Similarity) -> list[float]:
    """Return a, b, c, d, e, f of the SVG matrix; in SVG the origin of a pixel is its corner, not its centre."""
    matrix = motion.matrix
    shift = motion(np.full((1, 2), -0.5))[0] + 0.5
    return [float(value) for value in (*matrix[:, 0], *matrix[:, 1], *shift)]
