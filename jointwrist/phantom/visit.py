"""A second radiograph of a phantom wrist: new placement and exposure, and joints narrowed by known amounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from jointwrist.config import ConfigError
from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.narrowing import SITES
from jointwrist.phantom.pose import Pose
from jointwrist.phantom.render import Lesions, Material, in_plane
from jointwrist.renamed_names import former_arguments, former_attribute


@dataclass(frozen=True)
class Visit:
    """Differences from the first radiograph of the same wrist.

    Attributes:
        seed: Seed of the exposure and of the imaging style, or None for those of the first radiograph.
        rotation: Rotation in the plane of the radiograph, in degrees.
        shift: Shift to the right and down, in mm.
        tilt: Rotation about the horizontal axis, in degrees.
        pronation: Rotation about the long axis, in degrees.
        narrowing: By how many mm bones approach each other, by the site in `narrowing.SITES`. They move as rigid
            bodies in the plane of the radiograph.
    """

    seed: int | None = None
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0
    pronation: float = 0.0
    narrowing: Mapping[str, float] = field(default_factory=dict)
    turn = former_attribute("turn", "rotation")

    def __post_init__(self) -> None:
        """Refuse unknown joints."""
        if unknown := set(self.narrowing) - set(SITES):
            raise ConfigError(f"narrowing: {', '.join(sorted(unknown))}; joints are {', '.join(SITES)}")

    def posed(self, pose: Pose) -> Pose:
        """Return the pose of this radiograph from that of the first."""
        return replace(
            pose,
            rotation=pose.rotation + self.rotation,
            tilt=pose.tilt + self.tilt,
            pronation=pose.pronation + self.pronation,
            shift=pose.shift + np.array(self.shift),
        )


Visit.__init__ = former_arguments(turn="rotation")(Visit.__init__)  # type: ignore[method-assign]


def move(body: Body, lesions: Lesions, shift: np.ndarray) -> None:
    """Move a bone and its lesions in place."""
    body.points, body.marrow, body.base = body.points + shift, body.marrow + shift, body.base + shift
    for rows in (lesions.bites, lesions.notches, lesions.cysts, lesions.rims, lesions.thinned):
        rows[:, :3] += shift


def anchored(material: Material, first: Body, body: Body) -> Material:
    """Return the material with its trabeculae at the same position of the bone as on the first radiograph."""
    offset = np.array(material.offset) + (_texture_place(first) - _texture_place(body)) / material.scale
    return replace(material, offset=tuple(offset.tolist()))


def _texture_place(body: Body) -> np.ndarray:
    cosine, sine = in_plane(body.axis)
    x, y = body.base[:2]
    return np.array([x * cosine - y * sine, x * sine + y * cosine])
