"""Bones, joint surfaces, overlap pairs and scores as data: `Anatomy`, read from YAML.

`WRIST` is the default, used by the shipped weights and the paper; its constants are named here. `load_anatomy` returns
another anatomy, of the package or of a user's file.
"""

from __future__ import annotations

from jointwrist.anatomy.definition import NOT_SCORED, Anatomy, Bone, Code, JointSurface, Score
from jointwrist.anatomy.read import (
    anatomy_info,
    info_anatomy,
    list_anatomies,
    load_anatomy,
    parse_anatomy,
    to_values,
    to_yaml,
)

__all__ = [
    "NOT_SCORED", "WRIST", "Anatomy", "Bone", "Code", "JointSurface", "Score",
    "anatomy_info", "info_anatomy", "list_anatomies", "load_anatomy", "parse_anatomy",
    "shows_wrist", "to_values", "to_yaml",
]  # fmt: skip

#: The wrist of RAM-W600 (arXiv 2507.05193).
WRIST: Anatomy = load_anatomy("wrist")


def shows_wrist(anatomy: Anatomy) -> bool:
    """Whether the bones are those of the wrist, in its order, whatever the joints and scores are."""
    return anatomy.bone_names == WRIST.bone_names


BONES: tuple[Bone, ...] = WRIST.bones
JOINTS: tuple[JointSurface, ...] = WRIST.joints
#: Pairs of bones whose projections overlap, in the order of the release's evaluation code.
OVERLAP_PAIRS: tuple[tuple[int, int], ...] = WRIST.overlaps
NUM_BONES, NUM_JOINTS = len(BONES), len(JOINTS)
BONE_NAMES: tuple[str, ...] = WRIST.bone_names
JOINT_NAMES: tuple[str, ...] = WRIST.joint_names
bone_index = WRIST.bone_index
