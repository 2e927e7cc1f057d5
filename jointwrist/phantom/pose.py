"""Pose of the wrist: flexion, deviation, joint spaces, and placement of the hand on the radiograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jointwrist.phantom.atlas import load_atlas
from jointwrist.phantom.bone_shape import COARSE, FOREARM, Body
from jointwrist.phantom.joints import ARTICULATIONS, grown, set_joint_spaces

FINGERS = ("Metacarpal2nd", "Metacarpal3rd", "Metacarpal4th", "Metacarpal5th")
#: The atlas hand is small for its forearm, compared with clinical radiographs.
HAND_SIZE = 1.03
#: Shares of `malalignment` about x (flexion), y (the long axis) and z (in the plane of the radiograph).
_CARPAL = (1.0, 1.0, 0.7)
_MALALIGNED = {
    "DistalRadius": (0.0, 0.0, 0.0),
    "DistalUlna": (0.0, 3.0, 0.0),
    "Metacarpal1st": (0.0, 0.0, 0.0),
    **dict.fromkeys(FINGERS, (0.3, 1.0, 0.0)),
}
PROXIMAL_ROW = ("Scaphoid", "Lunate", "Triquetrum", "Pisiform")


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Return the matrix that rotates about x, then y, then z, by angles in degrees."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@dataclass(frozen=True)
class Motion:
    """An affine map x -> matrix @ x + shift."""

    matrix: np.ndarray
    shift: np.ndarray

    @staticmethod
    def about(matrix: np.ndarray, pivot: np.ndarray | tuple) -> Motion:
        """Return the map that applies a matrix about a fixed point."""
        return Motion(matrix, np.asarray(pivot) - matrix @ np.asarray(pivot))

    def then(self, other: Motion) -> Motion:
        """Return this map followed by another."""
        return Motion(other.matrix @ self.matrix, other.matrix @ self.shift + other.shift)

    def shifted(self, shift: np.ndarray) -> Motion:
        """Return this map followed by a shift."""
        return Motion(self.matrix, self.shift + shift)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 3)."""
        return points @ self.matrix.T + self.shift


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, lengths in mm, of one exposure."""

    deviation: float
    flexion: float
    thumb: np.ndarray
    spread: np.ndarray
    ulna: np.ndarray
    gaps: np.ndarray
    overlap: float
    tilt: float
    pronation: float
    rotation: float
    scale: float
    shift: np.ndarray
    malalignment: np.ndarray


def draw_pose(
    rng: np.random.Generator, variation: float, size_factor: float, narrowing: float, off_centre: float
) -> Pose:
    """Draw a pose; `narrowing` in [0, 1] is the share removed from the joint spaces, `off_centre` 1 is usual."""

    def normal(spread: float, limit: float = 2.2, shape: int | None = None) -> np.ndarray:
        return variation * spread * np.clip(rng.standard_normal(shape), -limit, limit)

    healthy = rng.uniform(0.6, 1.2)
    gaps = np.clip(healthy * (1 - narrowing) * rng.uniform(0.6, 1.3, len(ARTICULATIONS)), 0.05, None)
    return Pose(
        deviation=float(normal(6.5)),
        flexion=float(normal(8)),
        thumb=np.concatenate([normal(4, shape=2), normal(6, shape=1) - 2.0]),
        spread=normal(1.3, shape=4) + np.array([2.5, 0.0, -3.5, -8.0]) + np.array([1.5, 0.5, -0.5, -1.5]) * normal(1.2),
        ulna=normal(1.0, shape=3) * (0.6, 1.7, 0.5),
        gaps=gaps,
        overlap=float(np.clip(rng.normal(0.9, 0.7), -0.4, 2.4)),
        tilt=float(normal(5)),
        pronation=float(normal(7)),
        rotation=float(normal(6, 2.6)),
        scale=size_factor,
        shift=np.array([rng.normal(0, 4.0 * off_centre), rng.normal(-2.0, 5.5 * off_centre)]),
        malalignment=np.zeros((len(load_atlas().names), 3)),
    )


def malaligned(pose: Pose, degrees: float, rng: np.random.Generator) -> Pose:
    """Return the pose with each atlas bone rotated independently, by angles of `degrees` standard deviation."""
    share = np.array([_MALALIGNED.get(name, _CARPAL) for name in load_atlas().names])
    angles = np.clip(rng.standard_normal(share.shape), -2.2, 2.2)
    return replace(pose, malalignment=degrees * share * angles)


#: Rotation in degrees about the forearm, of either sign, of oblique and lateral projections.
_TURNED = (30.0, 95.0)


def in_other_projection(pose: Pose, share: float, rng: np.random.Generator) -> Pose:
    """Return the pose rotated about the forearm with probability `share`; otherwise the same pose."""
    pronation = rng.uniform(*_TURNED) * rng.choice((-1, 1))
    return replace(pose, pronation=float(pronation)) if rng.random() < share else pose


def pose_bodies(bodies: list[Body], pose: Pose, field_of_view: float) -> list[Body]:
    """Return the bodies in the radiograph frame: mm, x to the right, y down, z towards the palm, origin at a corner."""
    by_name = {body.name: body for body in bodies}
    names = load_atlas().names
    motions = {
        name: Motion.about(rotation(*angles), by_name[name].base).then(_wrist_motion(by_name[name], pose))
        for name, angles in zip(names, pose.malalignment, strict=True)
    }
    coarse = {name: motions[name](by_name[name].points[:COARSE]) for name in names}
    shifts, growth = set_joint_spaces(coarse, pose.gaps, pose.overlap)
    shifts["DistalUlna"] = shifts["DistalRadius"] + pose.ulna
    bodies = [grown(body, growth[body.name]) if body.name in growth else body for body in bodies]
    whole = np.diag([1.0, -1.0, 1.0]) @ rotation(pose.tilt, pose.pronation, pose.rotation) * pose.scale
    radiograph = Motion(whole, np.array([*(field_of_view / 2 + pose.shift), 0.0]))
    return [_laid(body, motions[body.group].shifted(shifts[body.group]).then(radiograph)) for body in bodies]


def _laid(body: Body, motion: Motion) -> Body:
    """Return the body mapped by a motion that mirrors it, as the radiograph frame does."""
    axis = motion.matrix @ body.axis
    return replace(
        body,
        points=motion(body.points),
        marrow=motion(body.marrow),
        faces=np.ascontiguousarray(body.faces[:, ::-1]),
        base=motion(body.base),
        axis=axis / np.linalg.norm(axis),
    )


def _wrist_motion(body: Body, pose: Pose) -> Motion:
    """Return where flexion, deviation and spread of the fingers take a bone, before joint spaces are set."""
    if body.name in FOREARM:
        return Motion(np.eye(3), np.zeros(3))
    share = 0.5 if body.name in PROXIMAL_ROW else 1.0
    deviate = Motion.about(HAND_SIZE * rotation(0, 0, share * pose.deviation), (-2.0, -9.0, 0.0))
    flexion = share * pose.flexion + (0.5 * pose.deviation if body.name == "Scaphoid" else 0.0)
    pivot = deviate(body.base) if body.name in PROXIMAL_ROW else np.array([-1.0, -5.0, 0.0])
    motion = deviate.then(Motion.about(rotation(flexion, 0, 0), pivot))
    if body.name == "Metacarpal1st":
        return motion.then(Motion.about(rotation(*pose.thumb), motion(body.base)))
    if body.name in FINGERS:
        return motion.then(Motion.about(rotation(0, 0, pose.spread[FINGERS.index(body.name)]), motion(body.base)))
    return motion
