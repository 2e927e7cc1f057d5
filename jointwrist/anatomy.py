"""Bones, joint surfaces, overlap pairs and erosion levels of RAM-W600: the single source of names, order and colours.

Order, overlap pairs and spellings are those of the released dataset (RAM-W600, arXiv 2507.05193, and its public code).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bone:
    """A mask channel.

    Attributes:
        index: Channel in the released masks and bit in the packed bit map.
        name: Identifier used throughout this package.
        display: Name shown to users.
        spellings: Other spellings in the released files.
        colour: RGB, 0..255.
        atlas: Names of the bone surfaces of the atlas that belong to this channel.
    """

    index: int
    name: str
    display: str
    spellings: tuple[str, ...]
    colour: tuple[int, int, int]
    atlas: tuple[str, ...]


@dataclass(frozen=True)
class JointSurface:
    """One of the six joint surfaces scored for erosion (Sharp/van der Heijde).

    Attributes:
        index: Position in the score vector.
        name: Identifier used throughout this package.
        display: Name shown to users.
        spellings: Spellings in the released folders, score file, COCO boxes and metadata columns.
        bone: Index of the bone that bears the surface.
        articulating_bones: Indices of the bones that it articulates with.
    """

    index: int
    name: str
    display: str
    spellings: tuple[str, ...]
    bone: int
    articulating_bones: tuple[int, ...]


BONES: tuple[Bone, ...] = (
    Bone(0, "Capitate", "Capitate", (), (31, 119, 180), ("Capitate",)),
    Bone(1, "DistalRadius", "Distal radius", ("Radius",), (174, 199, 232), ("DistalRadius",)),
    Bone(2, "DistalUlna", "Distal ulna", ("Ulna",), (255, 127, 14), ("DistalUlna",)),
    Bone(3, "Hamate", "Hamate", (), (255, 187, 120), ("Hamate",)),
    Bone(4, "Lunate", "Lunate", (), (44, 160, 44), ("Lunate",)),
    Bone(
        5,
        "TriquetrumPisiform",
        "Triquetrum and pisiform",
        ("Triquetrum+Pisiform", "Pisifrom", "Pisiform", "Triquetrum", "TriquetrumPisifrom"),
        (152, 223, 138),
        ("Triquetrum", "Pisiform"),
    ),
    Bone(6, "Scaphoid", "Scaphoid", (), (214, 39, 40), ("Scaphoid",)),
    Bone(7, "Trapezium", "Trapezium", ("Trapzium",), (255, 152, 150), ("Trapezium",)),
    Bone(8, "Trapezoid", "Trapezoid", ("Trapzoid",), (148, 103, 189), ("Trapezoid",)),
    Bone(9, "Metacarpal1st", "1st metacarpal", ("Metacarpal1",), (197, 176, 213), ("Metacarpal1st",)),
    Bone(10, "Metacarpal2nd", "2nd metacarpal", ("Metacarpal2",), (140, 86, 75), ("Metacarpal2nd",)),
    Bone(11, "Metacarpal3rd", "3rd metacarpal", ("Metacarpal3",), (196, 156, 148), ("Metacarpal3rd",)),
    Bone(12, "Metacarpal4th", "4th metacarpal", ("Metacarpal4",), (227, 119, 194), ("Metacarpal4th",)),
    Bone(13, "Metacarpal5th", "5th metacarpal", ("Metacarpal5",), (247, 182, 210), ("Metacarpal5th",)),
)

JOINTS: tuple[JointSurface, ...] = (
    JointSurface(0, "Metacarpal1st", "1st metacarpal base", ("Metacarpal1st", "1st MC", "MC1"), 9, (7,)),
    JointSurface(1, "Trapezium", "Trapezium", ("Trapzium", "Trapz"), 7, (9, 6, 8)),
    JointSurface(2, "Scaphoid", "Scaphoid", ("Sc",), 6, (1, 7, 8, 4, 0)),
    JointSurface(3, "Lunate", "Lunate", ("Lu",), 4, (1, 6, 0, 5)),
    JointSurface(4, "DistalRadius", "Distal radius", ("DR", "Radius"), 1, (6, 4)),
    JointSurface(5, "DistalUlna", "Distal ulna", ("DU", "Ulna"), 2, (4, 1, 5)),
)

#: Joints on long bones, whose joint region is limited to the end near the articulating bones.
LONG_BONE_JOINTS = tuple(
    joint.index for joint in JOINTS if joint.name in ("Metacarpal1st", "DistalRadius", "DistalUlna")
)

#: Pairs of bones whose projections overlap, in the order of the release's evaluation code.
OVERLAP_PAIRS: tuple[tuple[int, int], ...] = (
    (1, 6), (1, 4), (6, 7), (0, 6), (7, 9), (0, 11), (3, 12),
    (4, 6), (7, 8), (0, 8), (3, 13), (7, 10), (8, 10), (10, 11),
)  # fmt: skip

NUM_BONES = len(BONES)
NUM_JOINTS = len(JOINTS)
BONE_NAMES: tuple[str, ...] = tuple(bone.name for bone in BONES)
JOINT_NAMES: tuple[str, ...] = tuple(joint.name for joint in JOINTS)
#: Sharp/van der Heijde erosion scores of one joint surface.
SCORES: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
NOT_SCORED = -1
#: Levels of the ordinal erosion output: scores 0, 1, 2, and 3 to 5 together, for 3 and 5 are nearly absent in RAM-W600.
EROSION_LEVELS = 4
#: Labels of the levels for users.
LEVEL_LABELS: tuple[str, ...] = ("0", "1", "2", "3-5")
#: Joint names as spelled in the released score file and crop names.
RELEASE_JOINT_NAMES: tuple[str, ...] = ("Metacarpal1st", "Trapzium", "Scaphoid", "Lunate", "DistalRadius", "DistalUlna")
#: Columns of the joint scores in Metadata.xlsx, without the side suffix "_L" or "_R".
METADATA_JOINT_COLUMNS: tuple[str, ...] = ("1st MC", "Trapz", "Sc", "Lu", "DR", "DU")


def _fold(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


_BONE_BY_SPELLING = {_fold(s): bone.index for bone in BONES for s in (bone.name, bone.display, *bone.spellings)}
_JOINT_BY_SPELLING = {_fold(s): joint.index for joint in JOINTS for s in (joint.name, joint.display, *joint.spellings)}


def bone_index(name: str) -> int:
    """Return the channel of a bone, given by any of its spellings.

    Raises:
        KeyError: The name is unknown; the message lists the known names.
    """
    try:
        return _BONE_BY_SPELLING[_fold(name)]
    except KeyError:
        raise KeyError(f"unknown bone {name!r}; bones are {', '.join(BONE_NAMES)}") from None


def joint_index(name: str) -> int:
    """Return the position of a joint surface, given by any of its spellings.

    Raises:
        KeyError: The name is unknown; the message lists the known names.
    """
    try:
        return _JOINT_BY_SPELLING[_fold(name)]
    except KeyError:
        raise KeyError(f"unknown joint {name!r}; joints are {', '.join(JOINT_NAMES)}") from None
