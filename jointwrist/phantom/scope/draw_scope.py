"""Draw out-of-scope findings (fused bones, metal, casts) for a wrist, and record them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jointwrist.anatomy import NUM_BONES
from jointwrist.data.sample import Scope
from jointwrist.phantom.bone_shape import UNLABELLED, Body
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.render import Lesions
from jointwrist.phantom.scope.ankylosis import draw_fused, fuse
from jointwrist.phantom.scope.cast import cast
from jointwrist.phantom.scope.growth_plates import growth_plate
from jointwrist.phantom.scope.metal import metal


@dataclass(frozen=True)
class OutOfScope:
    """Out-of-scope findings of one wrist.

    Attributes:
        fused: Articulations that are fused, as pairs of bones.
        implant: Whether there is metal.
        cast: Whether there is a cast.
        growth_plates: Whether the growth plates of the forearm are open.
        rng: Generator of the findings.
    """

    fused: list[tuple[str, str]]
    implant: bool
    cast: bool
    growth_plates: bool
    rng: np.random.Generator

    def reshape(self, bodies: list[Body]) -> list[Body]:
        """Return the bodies with fused bones grown together."""
        return fuse(bodies, self.fused)

    def fused_with_radius(self) -> set[str]:
        """Return the bones that are fused with the radius."""
        return {other for bone, other in self.fused if bone == "DistalRadius"}

    def lesions(self, body: Body) -> Lesions:
        """Return the changes of a bone by growth plates."""
        if self.growth_plates and body.name in ("DistalRadius", "DistalUlna"):
            return growth_plate(body, self.rng)
        return Lesions.none()

    def add_metal(self, attenuation: np.ndarray, bodies: dict[str, Body], spacing: float, scale: float) -> np.ndarray:
        """Return the attenuation (H, W) of the bones including metal."""
        if not self.implant:
            return attenuation
        return attenuation + metal(bodies, self.rng, attenuation.shape[0], spacing, scale)

    def add_cast(self, soft: np.ndarray, bodies: dict[str, Body], spacing: float) -> np.ndarray:
        """Return the attenuation (H, W) of the soft tissue including a cast."""
        return soft + cast(soft, bodies, self.rng, spacing) if self.cast else soft

    def truth(self, bodies: list[Body], other_projection: bool) -> Scope:
        """Return the record of the findings, and of the projection."""
        channels = {body.name: body.channel for body in bodies if body.channel != UNLABELLED}
        fused = {channels[name] for pair in self.fused for name in pair}
        findings = {
            "growth plate": self.growth_plates,
            "implant": self.implant,
            "cast": self.cast,
            "other projection": other_projection,
        }
        return Scope(
            tuple(bone in fused for bone in range(NUM_BONES)), tuple(name for name, there in findings.items() if there)
        )


def draw_scope(config: PhantomConfig, rng: np.random.Generator) -> OutOfScope:
    """Draw the findings of a wrist; none unless the configuration requests them."""
    ankylosed, implant, in_cast, child = rng.random(4) < (
        config.ankylosis, config.implants, config.casts, config.growth_plates,
    )  # fmt: skip
    return OutOfScope(draw_fused(rng) if ankylosed else [], bool(implant), bool(in_cast), bool(child), rng)
