"""Rows of the tables from the JSON values of a comparison of two visits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jointwrist.outputs.tables.cells import SEPARATOR, flag, score_range

_VISITS = ("baseline", "followup")


def comparison_rows(file: str, change: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a comparison by table.

    Args:
        file: Its JSON file.
        change: Its JSON values.
    """
    named = {"file": file, **{key: change.get(key) for key in (*_VISITS, "side")}}
    unit = {"unit": change.get("unit")}
    return {
        "comparisons": [named | _comparison(change)],
        "joint_changes": [named | _joint(joint) for joint in change.get("joints", ())],
        "bone_changes": [named | unit | _bone(bone) for bone in change["bone_areas"]],
        "joint_space_changes": [named | unit | _joint_space(space) for space in change.get("joint_spaces", ())],
    }


def _comparison(change: Mapping[str, Any]) -> dict[str, Any]:
    weights = change.get("weights") or {}
    steps = [joint["level_change"] for joint in change.get("joints", ()) if joint.get("level_change") is not None]
    return {
        "model": change.get("model"),
        "weights": weights.get("file"),
        "real_erosions": flag(weights.get("real_erosions")),
        "unit": change.get("unit"),
        **{key: change["registration"].get(key) for key in ("scale", "angle_degrees", "residual_px")},
        "joints_scored_twice": len(steps),
        "joints_higher": sum(step > 0 for step in steps) if steps else None,
        "joints_lower": sum(step < 0 for step in steps) if steps else None,
        "warnings": SEPARATOR.join(change.get("warnings", ())),
        "notes": SEPARATOR.join(change.get("notes", ())),
    }


def _joint(joint: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "joint": joint["name"],
        **{f"{visit}_range": score_range(joint.get(f"{visit}_score")) for visit in _VISITS},
        **{f"{visit}_probability": joint.get(f"{visit}_probability") for visit in _VISITS},
        "level_change": joint.get("level_change"),
    }


def _bone(bone: Mapping[str, Any]) -> dict[str, Any]:
    areas = {f"{visit}_area": bone.get(visit) for visit in _VISITS}
    return {"bone": bone["name"], **areas, "change_percent": bone.get("change_percent")}


def _joint_space(space: Mapping[str, Any]) -> dict[str, Any]:
    bone, other = space["between"]
    figures = {key: value for key, value in space.items() if not isinstance(value, list | dict)}
    return {"bone": bone, "other_bone": other} | figures
