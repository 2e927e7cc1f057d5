"""The bones of one wrist on a radiograph: their materials, joints that narrow, and their exposure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jointwrist.anatomy import JOINTS
from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.generators import Generators
from jointwrist.phantom.joint_surface import Socket
from jointwrist.phantom.narrowing import moves
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.relief import METACARPALS
from jointwrist.phantom.render import Lesions, Material, Radiograph, expose
from jointwrist.phantom.visit import anchored, move

#: Joint surface by the mask channel of the bone that bears it.
JOINT_OF_BONE = {joint.bone: joint.index for joint in JOINTS}


@dataclass
class WristBones:
    """The bones of a wrist in the radiograph frame.

    Attributes:
        placed: Bones of the patient.
        processes: Their processes, from `draw_relief`.
        over: Bones that lie over joint surfaces.
        first: Those of `placed` and `processes`, as they are on the first radiograph of the wrist.
        lesions: Lesions of the bones in `placed`, by `id`.
        socket: Meshes that the radius is hollowed out by.
    """

    placed: list[Body]
    processes: list[Body]
    over: list[Body]
    first: list[Body]
    lesions: dict[int, Lesions]
    socket: Socket

    def narrow(self, amounts: dict[str, float]) -> None:
        """Move bones towards each other, with their lesions and the hollow of the radius, by mm per site."""
        if not amounts:
            return
        ways = moves(self.placed + self.processes, amounts)
        for body in self.placed + self.processes:
            move(body, self.lesions.get(id(body)) or Lesions.none(), ways[body.name])
        way = ways["DistalRadius"]
        self.socket = [(points + way, plate + way, faces) for points, plate, faces in self.socket]

    def expose(
        self,
        radiograph: Radiograph,
        generators: Generators,
        config: PhantomConfig,
        density: float,
        later: bool,
    ) -> None:
        """Add the bones to the radiograph; of a later one, with the trabeculae at their places on the first."""
        osteopenia = config.osteopenia * np.sqrt(generators.osteopenia.uniform())
        count = len(self.placed)
        for body, before in zip(self.placed, self.first[:count], strict=True):
            material = _material(body, generators.wrist, density)
            if osteopenia:
                material = _thin_out(material, generators.osteopenia, osteopenia)
            if body.name in METACARPALS:
                material = _fill_head(material, generators.relief, body.along.max(), config.relief)
            material = anchored(material, before, body) if later else material
            socket = self.socket if body.name == "DistalRadius" else None
            expose(radiograph, body, material, self.lesions[id(body)], JOINT_OF_BONE.get(body.channel), socket)
        bearers = {body.name: body for body in self.placed}
        for body, before in zip(self.processes, self.first[count:], strict=True):
            material = _material(body, generators.relief, density * generators.relief.uniform(0.3, 1.0))
            material = anchored(material, before, body) if later else material
            lesions = self.lesions[id(bearers[body.group])]
            expose(radiograph, body, material, lesions, JOINT_OF_BONE.get(body.channel))
        for body in self.over:
            expose(radiograph, body, _material(body, generators.families, density), Lesions.none())


def _material(body: Body, rng: np.random.Generator, density: float) -> Material:
    long = body.has_shaft
    return Material(
        cortical=(rng.uniform(0.0, 0.04) if body.name == "Hook" else 0.08) * density,
        spongy=0.0 if body.name == "Hook" else rng.uniform(0.024, 0.031) * density,
        canal=rng.uniform(0.45, 0.85) if long else 0.0,
        texture=rng.uniform(0.12, 0.2),
        kind="struts" if long else "network",
        offset=(rng.uniform(0, 100), rng.uniform(0, 100)),
        scale=rng.uniform(0.65, 0.95),
    )


def _thin_out(material: Material, rng: np.random.Generator, osteopenia: float) -> Material:
    """Return the material with less spongy bone: patches of loss, trabeculae finer or coarser, a wider canal."""
    return replace(
        material,
        canal=material.canal and rng.uniform(material.canal, 0.95),
        texture=material.texture + 0.5 * osteopenia * rng.uniform() ** 2,
        scale=material.scale * rng.uniform(0.6, 1 + osteopenia),
        loss=osteopenia * rng.uniform(0.6, 1.0),
        patches=(rng.uniform(0, 100), rng.uniform(0, 100), rng.uniform(0.8, 4.0), rng.uniform(-1.0, 4.0)),
    )


def _fill_head(material: Material, rng: np.random.Generator, length: float, relief: float) -> Material:
    """Return the material of a metacarpal with spongy bone in its head, and with equal or reduced density overall."""
    dense = 1 - 0.9 * relief * rng.uniform()
    return replace(
        material,
        cortical=material.cortical * np.sqrt(dense),
        spongy=material.spongy * dense,
        refill=relief * rng.uniform(),
        canal_end=length - rng.uniform(12.0, 24.0),
    )
