"""A second radiograph of a phantom wrist: another placement and exposure, and joints narrowed by known amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from jointwrist.config import ConfigError
from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.joints import facing_normal
from jointwrist.phantom.pose import FINGERS, Pose
from jointwrist.phantom.render import Lesions, Material, in_plane

#: Joint spaces that can be narrowed: the bone that stays, the one that approaches it, and those that move along.
NARROWED: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "CMC3": ("Capitate", "Metacarpal3rd", ()),
    "CMC4": ("Hamate", "Metacarpal4th", ()),
    "CMC5": ("Hamate", "Metacarpal5th", ()),
    "STT": ("Scaphoid", "Trapezium", ("Trapezoid", "Metacarpal1st", "Metacarpal2nd")),
    "SC": ("Scaphoid", "Capitate", ("Hamate", *FINGERS[1:])),
    "SR": ("Scaphoid", "DistalRadius", ("DistalUlna",)),
}


@dataclass(frozen=True)
class Visit:
    """What differs from the first radiograph of the same wrist.

    Attributes:
        seed: Seed of the exposure and of the look, or None for those of the first radiograph.
        turn: Rotation in the plane of the radiograph, in degrees.
        shift: Shift to the right and down, in mm.
        tilt: Rotation about the horizontal axis, in degrees.
        pronation: Rotation about the long axis, in degrees.
        narrowing: By how many mm bones approach each other, by the joint's name in `NARROWED`. They move as rigid
            bodies in the plane of the radiograph.
    """

    seed: int | None = None
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0
    pronation: float = 0.0
    narrowing: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown joints."""
        if unknown := set(self.narrowing) - set(NARROWED):
            raise ConfigError(f"narrowing: {', '.join(sorted(unknown))}; joints are {', '.join(NARROWED)}")

    def posed(self, pose: Pose) -> Pose:
        """Return the pose of this radiograph from that of the first."""
        return replace(
            pose,
            turn=pose.turn + self.turn,
            tilt=pose.tilt + self.tilt,
            pronation=pose.pronation + self.pronation,
            shift=pose.shift + np.array(self.shift),
        )

    def moves(self, bodies: Sequence[Body]) -> dict[str, np.ndarray]:
        """Return how far bones move for the narrowing, (3,) mm in the radiograph frame, by the names of the bodies.

        Args:
            bodies: Bones laid on this radiograph, before they move.
        """
        moves = {body.name: np.zeros(3) for body in bodies}
        points = {body.name: body.points for body in bodies}
        groups = {body.name: body.group for body in bodies}
        for joint, amount in self.narrowing.items():
            fixed, approaching, others = NARROWED[joint]
            way = -amount * facing_normal(fixed, approaching, points)
            for name, group in groups.items():
                if group in (approaching, *others):
                    moves[name] = moves[name] + way
        return moves


def move(body: Body, lesions: Lesions, shift: np.ndarray) -> None:
    """Move a bone and what is missing from it, in place."""
    body.points, body.marrow, body.base = body.points + shift, body.marrow + shift, body.base + shift
    for rows in (lesions.bites, lesions.notches, lesions.cysts, lesions.rims, lesions.thinned):
        rows[:, :3] += shift


def anchored(material: Material, first: Body, body: Body) -> Material:
    """Return the material with its trabeculae at the same place of a bone as on the first radiograph."""
    offset = np.array(material.offset) + (_texture_place(first) - _texture_place(body)) / material.scale
    return replace(material, offset=tuple(offset.tolist()))


def _texture_place(body: Body) -> np.ndarray:
    cosine, sine = in_plane(body.axis)
    x, y = body.base[:2]
    return np.array([x * cosine - y * sine, x * sine + y * cosine])
