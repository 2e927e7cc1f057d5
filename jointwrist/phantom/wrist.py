"""One phantom wrist, a pure function of seed, index and configuration."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from jointwrist.anatomy import BONES, JOINTS, NUM_JOINTS, JointSurface
from jointwrist.data.sample import WristSample, mirror
from jointwrist.phantom import joint_surface as erosion
from jointwrist.phantom.appearance import develop, draw_centre, finish
from jointwrist.phantom.bone_shape import UNLABELLED, Body
from jointwrist.phantom.cohort import cohort_entry
from jointwrist.phantom.family_names import DEFAULT_FAMILY, NO_FAMILY
from jointwrist.phantom.generators import Generators
from jointwrist.phantom.lesions import Plan, carve, plan_families, reshape
from jointwrist.phantom.narrowing import draw_narrowing, narrowed, narrowing_scores, site_widths, width_shares
from jointwrist.phantom.patient import draw_patient
from jointwrist.phantom.phantom_config import PhantomConfig
from jointwrist.phantom.pose import draw_pose, in_other_projection, malaligned, pose_bodies
from jointwrist.phantom.ray_depths import vertex_normals
from jointwrist.phantom.relief import broaden, draw_relief
from jointwrist.phantom.render import Lesions, Radiograph
from jointwrist.phantom.scope import draw_scope
from jointwrist.phantom.soft_tissue import soft_tissue
from jointwrist.phantom.strands import draw_strands
from jointwrist.phantom.visit import Visit
from jointwrist.phantom.wrist_bones import JOINT_OF_BONE, WristBones


def _mesh_level(size: int) -> int:
    return 3 if size <= 200 else 4


#: By how much a bone that is fused with the radius reaches into it, in mm.
_FUSED_MM = 0.3


def _socket(bodies: dict[str, Body], gap: float, plate: float, fused: Collection[str]) -> erosion.Socket:
    """Return scaphoid and lunate inflated by the joint space, and by the subchondral plate of the radius as well."""
    hollow = []
    for name in ("Scaphoid", "Lunate"):
        body = bodies[name]
        normals = vertex_normals(body.points, body.faces)
        space, lining = (-_FUSED_MM, 0.0) if name in fused else (gap, plate)
        hollow.append((body.points + space * normals, body.points + (space + lining) * normals, body.faces))
    return hollow


def _boxes(bodies: dict[str, Body], rng: np.random.Generator, spacing: float, size: int) -> np.ndarray:
    """Return square boxes (x0, y0, x1, y1) in pixels around the joint surfaces."""
    boxes = np.empty((NUM_JOINTS, 4), np.float32)
    for joint in JOINTS:
        body = bodies[BONES[joint.bone].name]
        reach = {"DistalRadius": 16.0, "DistalUlna": 12.0}.get(body.name, 12.0)
        points = body.points[body.along < reach, :2] if body.has_shaft else body.points[:, :2]
        low, high = points.min(0), points.max(0)
        half = 0.5 * max(high - low) * rng.uniform(1.15, 1.45)
        # the box of a joint beyond the frame stays at its edge
        centre = np.clip(0.5 * (low + high) + rng.normal(0, 0.6, 2), -0.5 * half, size * spacing + 0.5 * half)
        boxes[joint.index] = np.concatenate([centre - half, centre + half]) / spacing
    return np.clip(boxes, 0, size)


def _surface(
    bodies: list[Body], joint: JointSurface, field_of_view: float, socket: erosion.Socket | None = None
) -> tuple[Body, erosion.Surface]:
    """Return the bone that bears a joint surface and the surface's visible contour."""
    body = next(b for b in bodies if b.channel == joint.bone)
    others = [b for b in bodies if b.group != body.group]
    articulating = [b for b in others if b.channel in joint.articulating_bones and b.name == b.group]
    return body, erosion.joint_surface(body, articulating, others, field_of_view, socket)


def _erode(
    bodies: list[Body],
    lesions: dict[int, Lesions],
    proneness: float,
    rng: np.random.Generator,
    config: PhantomConfig,
    field_of_view: float,
) -> np.ndarray:
    """Add bites to the joint surfaces, each eroded with probability `proneness`; return the scores (6,)."""
    scores = np.zeros(NUM_JOINTS, np.int64)
    severity = np.array(config.severity) / np.sum(config.severity)
    for joint in JOINTS:
        if rng.random() >= proneness:
            continue
        body, surface = _surface(bodies, joint, field_of_view)
        bites, score = erosion.draw_bites(surface, 1 + int(rng.choice(5, p=severity)), rng)
        if score:
            lesions[id(body)].bites, scores[joint.index] = bites, score
    return scores


def _carve_families(
    plan: Plan,
    bodies: list[Body],
    lesions: dict[int, Lesions],
    rng: np.random.Generator,
    field_of_view: float,
    socket: erosion.Socket,
) -> tuple[np.ndarray, tuple[str, ...], list[Body]]:
    """Carve the planned families; return the scores (6,), the families found and bodies that lie over joints."""
    scores, families, over = np.zeros(NUM_JOINTS, np.int64), [NO_FAMILY] * NUM_JOINTS, []
    for joint in JOINTS:
        if plan.families[joint.index] == NO_FAMILY:
            continue
        body, surface = _surface(bodies, joint, field_of_view, socket if joint.name == "DistalRadius" else None)
        found = carve(plan, joint.index, surface, body, rng)
        lesions[id(body)] = lesions[id(body)].and_those_of(found.lesions)
        scores[joint.index] = found.score
        families[joint.index] = found.family
        over += found.over
    return scores, tuple(families), over


def _add_look_alikes(
    bodies: list[Body],
    lesions: dict[int, Lesions],
    rng: np.random.Generator,
    config: PhantomConfig,
    field_of_view: float,
) -> None:
    """Add cysts inside bones, and notches in their sides away from the joint surfaces."""
    labelled = [body for body in bodies if body.channel != UNLABELLED]
    for _ in range(rng.poisson(config.cyst_rate)):
        body = labelled[int(rng.integers(len(labelled)))]
        lesions[id(body)].cysts = np.vstack([lesions[id(body)].cysts, erosion.draw_cyst(body, rng)])
    for _ in range(rng.poisson(config.notch_rate)):
        body = labelled[int(rng.integers(len(labelled)))]
        joint = JOINT_OF_BONE.get(body.channel)
        surface = None if joint is None else _surface(bodies, JOINTS[joint], field_of_view)[1]
        lesions[id(body)].notches = np.vstack([lesions[id(body)].notches, erosion.draw_notch(body, surface, rng)])


def make_wrist(
    seed: int,
    index: int,
    config: PhantomConfig = PhantomConfig(),  # noqa: B008
    visit: Visit | None = None,
) -> WristSample:
    """Make wrist `index` of the phantom cohort `seed` in radiograph orientation; left hands are not mirrored.

    The result does not depend on the number or order of wrists made, or on the number of processes.

    Args:
        seed: Seed of the cohort.
        index: Number of the wrist, from 0; patient, study and side follow from it.
        config: Distribution that the wrist is drawn from.
        visit: Differences of a second radiograph of the same wrist; None for the first.

    Returns:
        A sample with masks, scores, eroded and healthy bit maps, joint boxes, families, scope and narrowing.
    """
    entry = cohort_entry(index, config.left_fraction)
    size, variation = config.size, config.variation
    patient = draw_patient(seed, entry.patient_number, variation, config.prevalence, _mesh_level(size))
    hand, proneness = patient.hand, patient.proneness
    generators = Generators.of(seed, index, entry.patient_number)
    rng = generators.wrist
    bodies = [broaden(body, config.relief, generators.relief) for body in patient.bodies]
    relief = draw_relief(bodies, config.relief, generators.relief)

    narrowing = rng.uniform(0.3, 0.9) if rng.random() < 0.12 else 0.0
    field_of_view = rng.uniform(*config.field_of_view)
    spacing = field_of_view / size
    posteroanterior = draw_pose(rng, variation, hand, narrowing, config.off_centre)
    posteroanterior = malaligned(posteroanterior, config.malalignment, generators.malalignment)
    pose = in_other_projection(posteroanterior, config.projections, generators.projection)
    first = pose_bodies(bodies + relief, pose, field_of_view)
    laid = pose_bodies(bodies + relief, visit.posed(pose), field_of_view) if visit else first
    plan = plan_families(config, proneness, generators.families) if config.families else None
    if plan:
        laid = reshape(laid, plan, generators.families)
    scope = draw_scope(config, generators.scope)
    laid = scope.reshape(laid)
    placed, processes = laid[: len(bodies)], laid[len(bodies) :]
    for _ in range(rng.poisson(config.osteophyte_rate)):
        k = int(rng.integers(len(placed)))
        placed[k] = erosion.add_osteophyte(placed[k], rng)
    by_name = {body.name: body for body in placed}
    lesions = {id(body): Lesions.none() for body in placed}
    if not plan:
        scores = _erode(placed, lesions, proneness, rng, config, field_of_view)
        families, over = tuple(DEFAULT_FAMILY if score else NO_FAMILY for score in scores), []
    _add_look_alikes(placed, lesions, rng, config, field_of_view)

    gap = float(np.clip(rng.normal(1.6, 0.3), 0.7, 2.4)) * (1 - narrowing) + 0.1
    socket = _socket(by_name, gap, rng.uniform(0.6, 1.3), scope.fused_with_radius())
    amounts: dict[str, float] = {}
    if config.narrowing:
        amounts = draw_narrowing(config.narrowing, site_widths(first, gap), generators.narrowing)
    # by place in the list, since names repeat among sesamoids and processes
    first = narrowed(first, amounts)
    if plan:
        scores, families, over = _carve_families(plan, placed, lesions, generators.families, field_of_view, socket)
    for body in placed:
        lesions[id(body)] = lesions[id(body)].and_those_of(scope.lesions(body))
    for site, amount in (visit.narrowing if visit else {}).items():
        amounts[site] = amounts.get(site, 0.0) + amount
    bones = WristBones(placed, processes, over, first, lesions, socket)
    bones.narrow(amounts)
    spaces = site_widths(placed, gap - amounts.get("SR", 0.0))

    radiograph = Radiograph.blank(size, field_of_view)
    bones.expose(radiograph, generators, config, patient.density, later=visit is not None)
    attenuation = scope.add_metal(radiograph.attenuation, by_name, spacing, hand)
    strands = draw_strands(placed, config.relief, hand, generators.relief)
    soft = soft_tissue(placed, rng, size, spacing, hand, strands)
    soft = scope.add_cast(soft, by_name, spacing)
    if visit and visit.seed is not None:
        rng = np.random.default_rng([seed, 7, index, visit.seed])
    centre = draw_centre(rng, variation)
    image = develop(attenuation, soft, centre, rng, spacing)
    sample = WristSample(
        identifier=entry.identifier,
        patient=entry.patient,
        side=entry.side,
        image=image[None],
        bones=radiograph.bones,
        scores=scores,
        spacing_mm=spacing,
        mirrored=True,
        eroded=radiograph.eroded,
        healthy=radiograph.healthy,
        boxes=_boxes(by_name, rng, spacing, size),
        families=families,
        scope=scope.truth(placed, pose is not posteroanterior),
        narrowing=narrowing_scores(spaces, hand, scope.fused),
        width_shares=width_shares(spaces, hand),
    )
    if entry.side == "L":
        sample = mirror(sample)
    image = finish(sample.image[0], centre, rng, spacing, entry.side)
    return WristSample(**{**sample.__dict__, "image": image[None], "mirrored": False})
