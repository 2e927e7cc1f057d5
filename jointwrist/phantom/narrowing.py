"""Narrowed joint spaces at the six sites of the Sharp/van der Heijde score, and the scores of the remaining widths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from jointwrist.anatomy import NOT_SCORED, Anatomy
from jointwrist.data.sample import WristSample
from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.joints import facing_normal, joint_width

#: Sites: the bone that stays, the one that approaches it, and those that move along.
SITES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "CMC3": ("Capitate", "Metacarpal3rd", ()),
    "CMC4": ("Hamate", "Metacarpal4th", ()),
    "CMC5": ("Hamate", "Metacarpal5th", ()),
    "STT": ("Scaphoid", "Trapezium", ("Trapezoid", "Metacarpal1st", "Metacarpal2nd")),
    "SC": ("Scaphoid", "Capitate", ("Hamate", *(f"Metacarpal{nth}" for nth in ("3rd", "4th", "5th")))),
    "SR": ("Scaphoid", "DistalRadius", ("DistalUlna",)),
}
#: Normal width of the joint spaces in mm: the mean of phantoms without narrowing.
NORMAL_MM = {"CMC3": 0.9, "CMC4": 1.0, "CMC5": 1.1, "STT": 0.7, "SC": 0.9, "SR": 1.7}
#: Share of the normal width that is lost at least, for scores 1 to 3; 4 is a fused joint.
LOST = (0.2, 0.35, 0.5)
#: Least and largest share by which a joint space is narrowed.
_DRAWN = (0.15, 1.0)


def draw_narrowing(share: float, widths: Mapping[str, float], rng: np.random.Generator) -> dict[str, float]:
    """Draw the narrowing of each site in mm; sites that are not narrowed are omitted.

    Args:
        share: Share of the sites that are narrowed.
        widths: Widths in mm before, by site.
        rng: Generator.
    """
    return {site: max(widths[site], 0.0) * rng.uniform(*_DRAWN) for site in SITES if rng.random() < share}


def site_widths(bodies: Sequence[Body], radiocarpal: float) -> dict[str, float]:
    """Measure the joint space of each site in mm.

    Args:
        bodies: Bones placed on a radiograph.
        radiocarpal: Width of the space between the radius and the scaphoid, which lies in its hollow.
    """
    points = {body.name: body.points for body in bodies}
    return {
        site: radiocarpal if site == "SR" else joint_width(fixed, approaching, points)
        for site, (fixed, approaching, _) in SITES.items()
    }


def moves(bodies: Sequence[Body], amounts: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return the displacement of each bone, (3,) mm in the radiograph frame, by body name.

    Args:
        bodies: Bones placed on a radiograph, before they move.
        amounts: By how many mm bones approach each other, by site. They move as rigid bodies in the plane of the
            radiograph.
    """
    found = {body.name: np.zeros(3) for body in bodies}
    points = {body.name: body.points for body in bodies}
    for site, amount in amounts.items():
        fixed, approaching, others = SITES[site]
        way = -amount * facing_normal(fixed, approaching, points)
        for body in bodies:
            if body.group in (approaching, *others):
                found[body.name] = found[body.name] + way
    return found


def narrowed(bodies: Sequence[Body], amounts: Mapping[str, float]) -> list[Body]:
    """Return the bones moved towards each other; see `moves`."""
    if not amounts:
        return list(bodies)
    ways = moves(bodies, amounts)
    return [
        replace(body, points=body.points + way, marrow=body.marrow + way, base=body.base + way)
        for body, way in ((body, ways[body.name]) for body in bodies)
    ]


def width_shares(widths: Mapping[str, float], scale: float) -> tuple[float, ...]:
    """Return the width of the joint space of each of `SITES` relative to the normal one of a hand of that size.

    Args:
        widths: Widths in mm, by site.
        scale: Size of the hand relative to the mean.
    """
    return tuple(widths[site] / (scale * NORMAL_MM[site]) for site in SITES)


def narrowing_scores(widths: Mapping[str, float], scale: float, fused: Collection[tuple[str, str]]) -> tuple[int, ...]:
    """Score the joint spaces by their visible width, as a reader without a previous radiograph does.

    Args:
        widths: Widths in mm, by site.
        scale: Size of the hand relative to the mean.
        fused: Pairs of bones that are fused.
    """
    scores = []
    for (fixed, approaching, _), width in zip(SITES.values(), width_shares(widths, scale), strict=True):
        lost = 1 - width
        together = any({fixed, approaching} == set(pair) for pair in fused)
        scores.append(4 if together else sum(lost >= share for share in LOST))
    return tuple(scores)


def with_narrowing(wrist: WristSample, anatomy: Anatomy) -> WristSample:
    """Return a phantom with narrowing scores if the anatomy has them; otherwise return it unchanged."""
    if not anatomy.further_scores:
        return wrist
    scores, narrowing = (np.full(len(anatomy.joints), NOT_SCORED, np.int64) for _ in range(2))
    scores[list(anatomy.erosion.joints)] = wrist.scores
    narrowing[list(anatomy.score("narrowing").joints)] = wrist.narrowing
    return replace(wrist, scores=scores, further_scores=narrowing[None], anatomy=anatomy)
