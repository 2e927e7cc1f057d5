"""Bones, joint surfaces, overlap pairs and scores as data: `Anatomy`, read from YAML.

`WRIST` is the default, and that of the shipped weights and the paper; its constants are named here. `load_anatomy`
returns another of the package or that of a user's file.
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
#: Joints on long bones, whose joint region is limited to the end near the articulating bones.
LONG_BONE_JOINTS: tuple[int, ...] = tuple(joint.index for joint in JOINTS if joint.end)
#: Pairs of bones whose projections overlap, in the order of the release's evaluation code.
OVERLAP_PAIRS: tuple[tuple[int, int], ...] = WRIST.overlaps
NUM_BONES, NUM_JOINTS = len(BONES), len(JOINTS)
BONE_NAMES: tuple[str, ...] = WRIST.bone_names
JOINT_NAMES: tuple[str, ...] = WRIST.joint_names
#: Sharp/van der Heijde erosion scores of one joint surface.
SCORES: tuple[int, ...] = WRIST.erosion.values
#: Levels of the ordinal erosion output: scores 0, 1, 2, and 3 to 5 together.
EROSION_LEVELS: int = WRIST.erosion.levels
#: Labels of the levels for users.
LEVEL_LABELS: tuple[str, ...] = WRIST.erosion.labels
#: Joint names as spelled in the released score file and crop names.
RELEASE_JOINT_NAMES: tuple[str, ...] = tuple(joint.released for joint in JOINTS)
#: Columns of the joint scores in Metadata.xlsx, without the side suffix "_L" or "_R".
METADATA_JOINT_COLUMNS: tuple[str, ...] = ("1st MC", "Trapz", "Sc", "Lu", "DR", "DU")

bone_index, joint_index = WRIST.bone_index, WRIST.joint_index
