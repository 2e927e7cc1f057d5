"""One phantom wrist, a pure function of seed, index and configuration."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import BONES, JOINTS, NUM_JOINTS
from jointwrist.data.phantom import erosion
from jointwrist.data.phantom.cohort import cohort_entry
from jointwrist.data.phantom.config import PhantomConfig
from jointwrist.data.phantom.look import develop, draw_centre, finish, soft_tissue
from jointwrist.data.phantom.pose import draw_pose, pose_bodies
from jointwrist.data.phantom.raster import vertex_normals
from jointwrist.data.phantom.render import Film, Lesions, Material, expose
from jointwrist.data.phantom.shape import Body, build_bodies, patient_harmonics
from jointwrist.data.sample import WristSample, mirror

_JOINT_OF_BONE = {joint.bone: joint.index for joint in JOINTS}
_LONG = ("DistalRadius", "DistalUlna")


def _mesh_level(size: int) -> int:
    return 3 if size <= 160 else 4 if size <= 400 else 5


def _material(body: Body, rng: np.random.Generator, density: float) -> Material:
    long = bool(body.along.any())
    return Material(
        cortical=0.085 * density,
        spongy=rng.uniform(0.016, 0.021) * density,
        canal=rng.uniform(0.45, 0.85) if long else 0.0,
        texture=rng.uniform(0.1, 0.2),
        kind="struts" if long else "network",
        offset=(rng.uniform(0, 100), rng.uniform(0, 100)),
        scale=rng.uniform(0.8, 1.25),
    )


def _socket(bodies: dict[str, Body], gap: float, plate: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return scaphoid and lunate inflated by the joint space, and by the subchondral plate of the radius as well."""
    hollow = []
    for name in ("Scaphoid", "Lunate"):
        body = bodies[name]
        normals = vertex_normals(body.points, body.faces)
        hollow.append((body.points + gap * normals, body.points + (gap + plate) * normals, body.faces))
    return hollow


def _boxes(bodies: dict[str, Body], rng: np.random.Generator, spacing: float, size: int) -> np.ndarray:
    """Return square boxes (x0, y0, x1, y1) in pixels round the joint surfaces."""
    boxes = np.empty((NUM_JOINTS, 4), np.float32)
    for joint in JOINTS:
        body = bodies[BONES[joint.bone].atlas[0]]
        reach = {"DistalRadius": 16.0, "DistalUlna": 12.0}.get(body.name, 12.0)
        points = body.points[body.along < reach, :2] if body.along.any() else body.points[:, :2]
        low, high = points.min(0), points.max(0)
        half = 0.5 * max(high - low) * rng.uniform(1.15, 1.45)
        centre = 0.5 * (low + high) + rng.normal(0, 0.6, 2)
        boxes[joint.index] = np.concatenate([centre - half, centre + half]) / spacing
    return np.clip(boxes, 0, size)


def make_wrist(seed: int, index: int, config: PhantomConfig = PhantomConfig()) -> WristSample:  # noqa: B008
    """Make wrist `index` of the phantom cohort `seed`, film orientation: a left hand is a left hand.

    The result depends on nothing else: not on how many wrists are made, nor in which order, nor by how many processes.

    Args:
        seed: Seed of the cohort.
        index: Number of the wrist, from 0; patient, study and side follow from it.
        config: Distribution that the wrist is drawn from.

    Returns:
        A sample with masks, scores, eroded and healthy bit maps and joint boxes.
    """
    entry = cohort_entry(index, config.left_fraction)
    patient_rng = np.random.default_rng([seed, 1, entry.patient_number])
    rng = np.random.default_rng([seed, 0, index])
    size, variation = config.size, config.variation
    harmonics = patient_harmonics(patient_rng, variation)
    hand = float(np.clip(patient_rng.normal(1.0, 0.06 * variation), 0.85, 1.15))
    density = float(np.clip(patient_rng.normal(1.0, 0.16 * variation), 0.6, 1.4))
    proneness = (
        patient_rng.beta(1.5 * config.prevalence, 1.5 * (1 - config.prevalence))
        if 0 < config.prevalence < 1
        else config.prevalence
    )
    bodies = build_bodies(harmonics, patient_rng, _mesh_level(size), variation)

    narrowing = rng.uniform(0.3, 0.9) if rng.random() < 0.12 else 0.0
    field_of_view = rng.uniform(*config.field_of_view)
    spacing = field_of_view / size
    pose = draw_pose(rng, variation, hand, narrowing)
    placed = pose_bodies(bodies, pose, field_of_view)
    for _ in range(rng.poisson(config.osteophyte_rate)):
        k = int(rng.integers(len(placed)))
        placed[k] = erosion.add_osteophyte(placed[k], rng)
    by_name = {body.name: body for body in placed}
    by_channel = {channel: [b for b in placed if b.channel == channel] for channel in range(len(BONES))}

    lesions = {id(body): Lesions.none() for body in placed}
    scores = np.zeros(NUM_JOINTS, np.int64)
    for joint in JOINTS:
        if rng.random() >= proneness:
            continue
        body = by_channel[joint.bone][0]
        surface = erosion.joint_surface(body, [b for p in joint.partners for b in by_channel[p]], field_of_view)
        target = 1 + int(rng.choice(5, p=np.array(config.severity) / np.sum(config.severity)))
        bites, score = erosion.draw_bites(surface, target, rng)
        if score:
            lesions[id(body)].bites, scores[joint.index] = bites, score
    labelled = [body for body in placed if body.channel >= 0]
    for _ in range(rng.poisson(config.cyst_rate)):
        body = labelled[int(rng.integers(len(labelled)))]
        lesions[id(body)].cysts = np.vstack([lesions[id(body)].cysts, erosion.draw_cyst(body, rng)])
    for _ in range(rng.poisson(config.notch_rate)):
        body = labelled[int(rng.integers(len(labelled)))]
        joint = _JOINT_OF_BONE.get(body.channel)
        surface = None
        if joint is not None:
            surface = erosion.joint_surface(
                body, [b for p in JOINTS[joint].partners for b in by_channel[p]], field_of_view
            )
        lesions[id(body)].notches = np.vstack([lesions[id(body)].notches, erosion.draw_notch(body, surface, rng)])

    film = Film.blank(size, field_of_view)
    socket = _socket(
        by_name, float(np.clip(rng.normal(1.6, 0.3), 0.7, 2.4)) * (1 - narrowing) + 0.1, rng.uniform(0.7, 1.5)
    )
    for body in placed:
        joint = _JOINT_OF_BONE.get(body.channel)
        expose(
            film, body, _material(body, rng, density), lesions[id(body)], joint,
            socket if body.name == "DistalRadius" else None,
        )  # fmt: skip
    attenuation = film.attenuation + soft_tissue(placed, rng, size, spacing, hand)
    centre = draw_centre(rng, variation)
    image = develop(attenuation, centre, rng, spacing)
    sample = WristSample(
        identifier=entry.identifier,
        patient=entry.patient,
        side=entry.side,
        image=image[None],
        bones=film.bones,
        scores=scores,
        spacing_mm=spacing,
        mirrored=True,
        eroded=film.eroded,
        healthy=film.healthy,
        boxes=_boxes(by_name, rng, spacing, size),
    )
    if entry.side == "L":
        sample = mirror(sample)
    image = finish(sample.image[0], centre, rng, spacing, entry.side)
    return WristSample(**{**sample.__dict__, "image": image[None], "mirrored": False})
