"""The bones of one patient: perturbed atlas surfaces, continued shafts, and cortical thickness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from jointwrist.anatomy import BONES
from jointwrist.phantom.atlas import harmonic_degrees, icosphere, load_atlas, surfaces
from jointwrist.phantom.ray_depths import vertex_normals
from jointwrist.phantom.shaft import SHAFTS, LongBone, long_bone, phalanx, smoothstep

UNLABELLED = -1
FOREARM = ("DistalRadius", "DistalUlna")
#: Vertices of an atlas bone at the level on which joint spaces and contacts are measured (level-3 icosphere).
COARSE = 642
#: Mask channel by bone of the atlas, in which triquetrum and pisiform are apart.
_CHANNEL = {bone.name: bone.index for bone in BONES} | dict.fromkeys(("Triquetrum", "Pisiform"), 5)
#: Factors (radial to ulnar, proximal to distal, dorsal to palmar) by which bones of clinical radiographs differ from
#: the atlas, whose one donor has slender carpal bones.
_BUILD = {
    "Capitate": (1.22, 1.05, 1.0), "Hamate": (1.14, 1.08, 1.0), "Trapezoid": (1.18, 1.15, 1.0),
    "Trapezium": (1.1, 1.08, 1.0), "Scaphoid": (1.12, 1.12, 1.0), "Lunate": (1.14, 1.04, 1.0),
    "Triquetrum": (1.14, 1.08, 1.0), "Pisiform": (1.1, 1.05, 1.0), "Metacarpal1st": (1.05, 1.0, 1.0),
    "Metacarpal2nd": (1.14, 1.0, 1.0), "Metacarpal3rd": (1.16, 1.0, 1.0), "Metacarpal4th": (1.14, 1.0, 1.0),
    "Metacarpal5th": (1.1, 1.0, 1.0),
}  # fmt: skip
_UP = np.array([0.0, 1.0, 0.0])


@dataclass
class Body:
    """One closed bone surface.

    Attributes:
        name: Atlas name, or a name of its own for a bone without a label.
        channel: Mask channel, `UNLABELLED` for none.
        points: (V, 3) mm; the first `COARSE` vertices of an atlas bone are those of the level-3 icosphere.
        marrow: (V, 3) mm, the inner side of the cortex at the same vertices.
        faces: (F, 3) int32, facing outwards until the body is placed on the radiograph.
        along: (V,) distance from the joint end along the shaft in mm; 0 in bones without a shaft.
        axis: Unit vector along the shaft, away from the joint end.
        base: Middle of the joint end, or of the bone.
        group: Bone with which it moves; its own name for atlas bones.
    """

    name: str
    channel: int
    points: np.ndarray
    marrow: np.ndarray
    faces: np.ndarray
    along: np.ndarray
    axis: np.ndarray
    base: np.ndarray
    group: str

    @property
    def has_shaft(self) -> bool:
        """Whether the bone is a long one."""
        return self.name in SHAFTS


def patient_harmonics(rng: np.random.Generator, variation: float) -> np.ndarray:
    """Return the atlas coefficients of one patient, (N, 121): with perturbed low degrees and varied sizes."""
    atlas = load_atlas()
    degrees = harmonic_degrees()
    spread = np.where((degrees > 0) & (degrees <= 6), 0.045 / (1.0 + degrees) ** 1.3, 0.0)
    ringing = np.array([name.startswith("Metacarpal") for name in atlas.names])[:, None]
    mean = atlas.harmonics * np.where(ringing, np.exp(-((degrees / 9.0) ** 6)), 1.0)
    disturbed = mean + variation * spread * rng.standard_normal(atlas.harmonics.shape)
    scale = 1 + 0.03 * variation * np.clip(rng.standard_normal((len(atlas.names), 1)), -2, 2)
    return disturbed * scale


@lru_cache(maxsize=4)
def outward_faces(level: int) -> tuple[np.ndarray, ...]:
    """Return the faces of each atlas bone, oriented outwards whatever the handedness of its axes."""
    _, faces = icosphere(level)
    turned = np.ascontiguousarray(faces[:, ::-1])
    return tuple(faces if np.linalg.det(axes) > 0 else turned for axes in load_atlas().axes)


def unlabelled(name: str, points: np.ndarray, faces: np.ndarray, cortex: float, group: str) -> Body:
    """Return a bone that belongs to no mask, from its mesh and cortical thickness in mm."""
    marrow = points - cortex * vertex_normals(points, faces)
    return Body(name, UNLABELLED, points, marrow, faces, np.zeros(len(points)), _UP, points.mean(0), group)


def _sesamoids(bone: LongBone, rng: np.random.Generator) -> list[Body]:
    directions, faces = icosphere(2)
    frame = np.stack([bone.across, bone.axis, bone.depth])
    bodies = []
    for side in (-1, 1):
        centre = bone.end - 5.5 * bone.axis + 9.0 * bone.depth + side * rng.uniform(3.5, 6.0) * bone.across
        points = centre + (directions * rng.uniform(1.8, 3.0, 3)) @ frame
        bodies.append(unlabelled("Sesamoid", points, faces, 0.5, "Metacarpal1st"))
    return bodies


def _hook(hamate: np.ndarray, channel: int, cortex: float, rng: np.random.Generator) -> Body:
    """Return the hook of the hamate, which the smooth atlas lacks; seen end-on it is a bright ring."""
    directions, faces = icosphere(2)
    centre = hamate.mean(0) + np.array([rng.uniform(0.0, 2.5), rng.uniform(0.0, 2.5), 6.0])
    points = centre + directions * np.array([rng.uniform(2.0, 2.8), rng.uniform(3.0, 4.2), 6.0])
    return replace(unlabelled("Hook", points, faces, 1.6 * cortex, "Hamate"), channel=channel)


def _shaft_cortex(name: str, along: np.ndarray, length: float, thin: float, thick: float) -> np.ndarray:
    """Return the cortical thickness of a long bone: thin at its ends, thick along the shaft."""
    if name in FOREARM:
        return thin + (1.2 * thick - thin) * smoothstep(along, 8, 46)
    ends = 1 - 0.75 * smoothstep(along, length - 20, length - 8)
    return (thin + (thick - thin) * smoothstep(along, 5, 22)) * ends


def build_bodies(harmonics: np.ndarray, rng: np.random.Generator, level: int, variation: float) -> list[Body]:
    """Return the bones of a patient in the atlas frame, right hand, mm.

    Args:
        harmonics: Coefficients of `patient_harmonics`.
        rng: The patient's generator; takes the same draws at every level.
        level: Subdivision of the icosphere.
        variation: Strength of the variation.
    """
    atlas = load_atlas()
    thick, thin = rng.uniform(1.2, 2.4), rng.uniform(0.3, 0.55)
    stout = 1 + 0.06 * variation * np.clip(rng.standard_normal(), -2, 2)
    bodies = []
    build = np.array([_BUILD.get(name, (1.0, 1.0, 1.0)) for name in atlas.names])[:, None]
    points = surfaces(harmonics, level) * build + atlas.centres[:, None] * (1 - build)
    for name, surface, faces in zip(atlas.names, points, outward_faces(level), strict=True):
        channel, thinner = _CHANNEL[name], thin * rng.uniform(0.85, 1.2)
        if name not in SHAFTS:
            marrow = surface - thinner * vertex_normals(surface, faces)
            along = np.zeros(len(surface))
            bodies.append(Body(name, channel, surface, marrow, faces, along, _UP, surface.mean(0), name))
            if name == "Hamate":
                bodies.append(_hook(surface, channel, thinner, rng))
            continue
        shaft = SHAFTS[name]
        length = shaft.length * (1 + 0.03 * variation * np.clip(rng.standard_normal(), -2, 2))
        bone = long_bone(surface, faces, shaft, length, stout)
        cortex = _shaft_cortex(name, bone.along, length, thinner, thick)
        marrow = bone.points - cortex[:, None] * bone.normals
        bodies.append(Body(name, channel, bone.points, marrow, bone.faces, bone.along, bone.axis, bone.base, name))
        if name in FOREARM:
            continue
        bend = np.array([-0.1, 0.25, 0.0]) if name == "Metacarpal1st" else np.zeros(3)
        axis = bone.axis + bend + 0.12 * variation * rng.standard_normal(3)
        width = 1.13 * shaft.head[0] * rng.uniform(0.9, 1.05)
        bodies.append(unlabelled("Phalanx" + name[-3:], *phalanx(bone, axis / np.linalg.norm(axis), width), 0.8, name))
        if name == "Metacarpal1st":
            bodies += _sesamoids(bone, rng)
    return bodies
