"""Draw a lesion family for each joint surface of a wrist, and carve it until it has the target score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from jointwrist.anatomy import JOINTS, NUM_JOINTS, JointSurface
from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.family_names import EROSIVE, LOOK_ALIKES, NO_FAMILY, family_shares
from jointwrist.phantom.joint_surface import (
    GRID_MM,
    SCORE_SHARES,
    Surface,
    countable_mm,
    draw_bites,
    eroded_share,
    removed_bone,
    score_of,
)
from jointwrist.phantom.lesions import joint_wide, look_alikes, marginal
from jointwrist.phantom.lesions.shapes import Carving, rows
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.render import ERODED_SHARE, Lesions

_SHAPES: dict[str, Callable[[Surface, float, np.random.Generator], Carving]] = {
    "round": marginal.round_bite,
    "long": marginal.long_bite,
    "ragged": marginal.ragged_bite,
    "several": marginal.several_bites,
    "undermined": marginal.undermined,
    "surface": joint_wide.compressive,
    "open_cyst": joint_wide.open_cyst,
    "diffuse": joint_wide.diffuse,
    "collapse": joint_wide.collapse,
}
_HARMLESS: dict[str, Callable[[Surface, np.random.Generator], Carving]] = {
    "cyst": look_alikes.closed_cyst,
    "vessel": look_alikes.vessel,
    "notch": look_alikes.notch,
    "osteopenia": look_alikes.osteopenia,
}
#: Least and largest share of the contour aimed at for each score: smaller ones are hardly visible.
_GOALS = tuple(zip((0.06, *SCORE_SHARES[1:]), (*SCORE_SHARES[1:], 0.9), strict=True))
#: How often a shape is carved at another size before the nearest one is taken; shortest contour in pixels.
_ATTEMPTS, _LEAST_CONTOUR = 7, 10
#: Smallest area of an erosion in mm² over which it removes at least this much bone in mm; less is not visible.
_LEAST_MM2, _LEAST_LOST_MM = 1.3, 1.0


@dataclass(frozen=True)
class Found:
    """Outcome of carving a joint surface.

    Attributes:
        family: The family that is there: none where the contour is too short to see, or where nothing of it is eroded.
        score: Score measured.
        lesions: Changes of the bone.
        over: Bodies that lie over the joint surface.
    """

    family: str = NO_FAMILY
    score: int = 0
    lesions: Lesions = field(default_factory=Lesions.none)
    over: list[Body] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """Planned family and score of each joint surface.

    Attributes:
        families: Family of each joint surface.
        targets: Score aimed at, 0 for all but erosive families.
    """

    families: tuple[str, ...]
    targets: tuple[int, ...]


def plan_families(config: PhantomConfig, proneness: float, rng: np.random.Generator) -> Plan:
    """Draw a family for each joint surface, an erosive one with probability `proneness`."""
    shares = family_shares(config.families)
    erosive = {name: share for name, share in shares.items() if name in EROSIVE}
    harmless = {name: share for name, share in shares.items() if name in LOOK_ALIKES}
    severity = np.array(config.severity)
    reached = [any(low <= score <= high for low, high in map(EROSIVE.get, erosive)) for score in range(1, 6)]
    severity = severity * reached if (severity * reached).sum() > 0 else np.array(reached, float)
    families, targets = [NO_FAMILY] * NUM_JOINTS, [0] * NUM_JOINTS
    for joint in range(NUM_JOINTS):
        if rng.random() < proneness and erosive:
            target = 1 + int(rng.choice(5, p=severity / severity.sum()))
            able = {name: share for name, share in erosive.items() if EROSIVE[name][0] <= target <= EROSIVE[name][1]}
            families[joint], targets[joint] = _choose(able, rng), target
        elif rng.random() < config.look_alikes and harmless:
            families[joint] = _choose(harmless, rng)
    return Plan(tuple(families), tuple(targets))


def _choose(shares: dict[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def reshape(bodies: list[Body], plan: Plan, rng: np.random.Generator) -> list[Body]:
    """Return the bodies in the radiograph frame with look-alikes that change whole bones: spurs and narrowed joints."""
    bodies = list(bodies)
    for joint, family in zip(JOINTS, plan.families, strict=True):
        if family not in ("osteophyte", "narrowed"):
            continue
        index, articulating = bearer(bodies, joint)
        body = bodies[index]
        if family == "osteophyte":
            bodies[index] = look_alikes.osteophyte(body, articulating, rng)
            continue
        shift = look_alikes.narrowing(body, articulating, rng)
        for k, other in enumerate(bodies):
            if other.group == body.group:
                bodies[k] = replace(
                    other, points=other.points + shift, marrow=other.marrow + shift, base=other.base + shift
                )
    return bodies


def bearer(bodies: Sequence[Body], joint: JointSurface) -> tuple[int, list[Body]]:
    """Return the index of the bone that bears a joint surface, and the bones that it articulates with."""
    index = next(k for k, body in enumerate(bodies) if body.channel == joint.bone and body.name == body.group)
    group = bodies[index].group
    articulating = [
        body
        for body in bodies
        if body.channel in joint.articulating_bones and body.name == body.group and body.group != group
    ]
    return index, articulating


def carve(plan: Plan, joint: int, surface: Surface, body: Body, rng: np.random.Generator) -> Found:
    """Carve the planned family into a joint surface.

    Args:
        plan: Families of all joint surfaces.
        joint: Joint surface.
        surface: Visible contour of the joint surface.
        body: Bone that bears it.
        rng: Generator of the families.
    """
    family, target = plan.families[joint], plan.targets[joint]
    if family in ("osteophyte", "narrowed"):
        return Found(family)
    if len(surface.contour) < _LEAST_CONTOUR:
        return Found()
    if family == "overlap":
        return Found(family, over=[look_alikes.overlap(surface, body, rng)])
    if family in _HARMLESS:
        return Found(family, lesions=_lesions(_HARMLESS[family](surface, rng)))
    if family == "cluster":
        bites, score = draw_bites(surface, target, rng)
        carving = Carving(list(bites))
    else:
        carving, score = _sized(_SHAPES[family], surface, target, rng)
    return Found(family, score, _lesions(carving)) if score else Found()


def _sized(
    shape: Callable[[Surface, float, np.random.Generator], Carving],
    surface: Surface,
    target: int,
    rng: np.random.Generator,
) -> tuple[Carving, int]:
    """Carve a shape at several sizes, all else equal; return the visible one whose score is nearest to the target."""
    goal, seed = rng.uniform(*_GOALS[target - 1]), int(rng.integers(2**32))
    extent = goal * countable_mm(surface)
    best: tuple[float, Carving, int] | None = None
    for _ in range(_ATTEMPTS):
        carving = shape(surface, extent, np.random.default_rng(seed))
        bites = rows(carving.bites)
        share = eroded_share(surface, bites)
        if _lost_mm2(surface, bites) < _LEAST_MM2:
            extent *= 1.35
            continue
        score = score_of(share)
        miss = abs(score - target) + abs(share - goal)
        if best is None or miss < best[0]:
            best = (miss, carving, score)
        if score == target:
            break
        extent *= float(np.clip(goal / max(share, 1e-3), 0.6, 1.7))
    return (Carving(), 0) if best is None else best[1:]


def _lost_mm2(surface: Surface, bites: np.ndarray) -> float:
    """Return the area in mm² over which bites remove enough bone to be visible."""
    removed = removed_bone(surface, bites)
    shown = (removed > ERODED_SHARE) & (removed * surface.thickness > _LEAST_LOST_MM)
    return float(shown.sum()) * GRID_MM**2


def _lesions(carving: Carving) -> Lesions:
    return Lesions(
        bites=rows(carving.bites),
        notches=rows(carving.notches),
        cysts=rows(carving.cysts),
        rims=rows(carving.rims),
        thinned=rows(carving.thinned),
        sclerosis=carving.sclerosis,
        loss=carving.loss,
    )
