"""Render bones in the radiograph frame to attenuation maps and masks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np

from jointwrist.phantom.bone_shape import UNLABELLED, Body
from jointwrist.phantom.ray_depths import FAR, depths, window
from jointwrist.phantom.texture import TILE_MM, level_for, sample, tile

#: Bone thinner than this, in mm along the ray, is not outlined.
VISIBLE_MM = 0.3
#: Shares of bone lost along a ray from which a pixel counts as eroded, and as open.
ERODED_SHARE, OPEN_SHARE = 0.35, 0.7
_NONE = np.zeros((0, 0), np.float32)
_NO_ROWS = np.zeros((0, 5))


@dataclass
class Lesions:
    """Rows (x, y, z, radius across, radius along the ray) in mm, radiograph frame, of one bone.

    Attributes:
        bites: Erosions of the bone's joint surface.
        notches: Notches that are no erosion; healthy masks have them too.
        cysts: Lucencies inside the bone with a sclerotic rim.
        rims: Spongy bone that is sclerotic where nothing is missing from it.
        thinned: Bone that has lost mineral, most in the middle of each row.
        sclerosis: Density of the rims, as a share of compact bone.
        loss: Share of mineral lost in the middle of what is thinned.
    """

    bites: np.ndarray
    notches: np.ndarray
    cysts: np.ndarray
    rims: np.ndarray = field(default_factory=lambda: _NO_ROWS)
    thinned: np.ndarray = field(default_factory=lambda: _NO_ROWS)
    sclerosis: float = 0.0
    loss: float = 0.0

    def and_those_of(self, other: Lesions) -> Lesions:
        """Return the union of both lesions; the other's densities take precedence, if it has any."""
        if not any(len(rows) for rows in (other.bites, other.notches, other.cysts, other.rims, other.thinned)):
            return self
        joined = {
            name: np.vstack([getattr(self, name), getattr(other, name)])
            for name in ("bites", "notches", "cysts", "rims", "thinned")
        }
        return Lesions(**joined, sclerosis=other.sclerosis, loss=other.loss)

    @staticmethod
    def none() -> Lesions:
        """Return an intact bone."""
        return Lesions(_NO_ROWS, _NO_ROWS, _NO_ROWS)


@dataclass(frozen=True)
class Material:
    """Attenuation of one bone, 1/mm above soft tissue, and its trabeculae.

    Attributes:
        cortical: Compact bone.
        spongy: Spongy bone at the joint end.
        canal: Share of the spongy bone that the shaft lacks.
        texture: Relative contrast of the trabeculae.
        kind: Texture tile.
        offset: Offset in the tile, in mm.
        scale: Size of the trabeculae.
        refill: Share of the spongy bone missing in the shaft that its far head has.
        canal_end: Distance from the joint end in mm at which the spongy bone of that head begins.
        loss: Largest share of the spongy bone that is lost in patches; compact bone loses two thirds of it.
        patches: Offset of the patches in their tile, in mm, their size, and how far they spread.
    """

    cortical: float
    spongy: float
    canal: float
    texture: float
    kind: str
    offset: tuple[float, float]
    scale: float
    refill: float = 0.0
    canal_end: float = 0.0
    loss: float = 0.0
    patches: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.0)


@dataclass
class Radiograph:
    """Maps of one exposure, (H, W) each.

    Attributes:
        spacing: Pixel spacing in mm.
        attenuation: float32, bones only.
        bones: uint16 bit map.
        healthy: uint16 bit map before erosion.
        eroded: uint8 bit map of the joint surfaces.
    """

    spacing: float
    attenuation: np.ndarray
    bones: np.ndarray
    healthy: np.ndarray
    eroded: np.ndarray

    @staticmethod
    def blank(size: int, field_of_view: float) -> Radiograph:
        """Return an unexposed square radiograph."""
        shape = (size, size)
        return Radiograph(
            field_of_view / size,
            np.zeros(shape, np.float32),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint8),
        )


@numba.njit(cache=True, fastmath=True)
def ellipsoid_depths(rows: np.ndarray, spacing: float, y0: int, x0: int, lo: np.ndarray, hi: np.ndarray) -> None:
    """Widen entry and exit depths by ellipsoids given as rows (x, y, z, radius across, radius along the ray)."""
    height, width = lo.shape
    for k in range(rows.shape[0]):
        cx, cy, cz, radius, reach = rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3], rows[k, 4]
        for i in range(max(int((cy - radius) / spacing) - y0, 0), min(int((cy + radius) / spacing) - y0 + 2, height)):
            for j in range(
                max(int((cx - radius) / spacing) - x0, 0), min(int((cx + radius) / spacing) - x0 + 2, width)
            ):
                dx, dy = (j + x0 + 0.5) * spacing - cx, (i + y0 + 0.5) * spacing - cy
                inside = 1 - (dx * dx + dy * dy) / (radius * radius)
                if inside > 0:
                    half = reach * np.sqrt(inside)
                    lo[i, j] = min(lo[i, j], cz - half)
                    hi[i, j] = max(hi[i, j], cz + half)


@numba.njit(cache=True, fastmath=True, inline="always")
def _shared(a: float, b: float, c: float, d: float) -> float:
    return max(min(b, d) - max(a, c), 0.0)


@numba.njit(cache=True, fastmath=True)
def _expose(
    outer_lo, outer_hi, inner_lo, inner_hi, socket_lo, socket_hi, plate_lo, plate_hi, notch_lo, notch_hi,
    bite_lo, bite_hi, cyst_lo, cyst_hi, rim_lo, rim_hi, y0, x0, spacing, base, axis, material, field, mottle,
    turn, bone_bit, joint_bit, attenuation, bones, healthy, eroded, mineral,
):  # fmt: skip
    height, width = outer_lo.shape
    (
        cortical, spongy, canal, refill, canal_end, contrast, scale, offset_u, offset_v,
        loss, patch_u, patch_v, patch_size, spread,
    ) = material  # fmt: skip
    patches_per_mm = mottle.shape[0] / TILE_MM / patch_size
    per_mm = field.shape[0] / TILE_MM / scale
    cos, sin = turn
    planar = axis[0] * axis[0] + axis[1] * axis[1]
    for i in range(height):
        for j in range(width):
            a, d = outer_lo[i, j], outer_hi[i, j]
            if d <= a:
                continue
            b, c = inner_lo[i, j], inner_hi[i, j]
            solid, marrow, plate = d - a, max(c - b, 0.0), 0.0
            if socket_lo.size:
                solid -= _shared(a, d, socket_lo[i, j], socket_hi[i, j])
                marrow -= _shared(b, c, socket_lo[i, j], socket_hi[i, j])
                plate = max(_shared(b, c, plate_lo[i, j], plate_hi[i, j]) - (max(c - b, 0.0) - marrow), 0.0)
            if notch_lo.size:
                solid -= _shared(a, d, notch_lo[i, j], notch_hi[i, j])
                marrow -= _shared(b, c, notch_lo[i, j], notch_hi[i, j])
            solid = max(solid, 0.0)
            marrow = min(max(marrow, 0.0), solid)
            row, column = i + y0, j + x0
            visible = solid > 0.3
            if visible:
                healthy[row, column] |= bone_bit
            rest, rest_marrow = solid, marrow
            if bite_lo.size and bite_hi[i, j] > bite_lo[i, j]:
                rest = max(solid - _shared(a, d, bite_lo[i, j], bite_hi[i, j]), 0.0)
                rest_marrow = min(max(marrow - _shared(b, c, bite_lo[i, j], bite_hi[i, j]), 0.0), rest)
                if visible and solid - rest > 0.35 * solid:
                    eroded[row, column] |= joint_bit
                visible = visible and rest > 0.3 * solid
            if visible:
                bones[row, column] |= bone_bit
            x, y = (column + 0.5) * spacing, (row + 0.5) * spacing
            density = 1.0
            if canal > 0:
                along = ((x - base[0]) * axis[0] + (y - base[1]) * axis[1]) / planar
                t = min(max((along - 6.0) / 30.0, 0.0), 1.0)
                head = min(max((along - canal_end) / 10.0, 0.0), 1.0)
                density -= canal * t * t * (3 - 2 * t) * (1 - refill * head * head * (3 - 2 * head))
            compact = cortical
            if loss > 0:
                wave = sample(mottle, x * patches_per_mm + patch_u, y * patches_per_mm + patch_v)
                gone = loss / (1 + np.exp(-2 * wave - spread))
                density *= 1 - gone
                compact *= 1 - gone * 2 / 3
            lost, sclerosis = 0.0, 0.0
            if cyst_lo.size and rim_hi[i, j] > rim_lo[i, j]:
                lost = _shared(b, c, cyst_lo[i, j], cyst_hi[i, j])
                sclerosis = _shared(b, c, rim_lo[i, j], rim_hi[i, j]) - lost
            if mineral is not None:
                dense_lo, dense_hi, sclerotic, thin_lo, thin_hi, thinner = mineral
                if dense_lo.size and dense_hi[i, j] > dense_lo[i, j]:
                    dense = _shared(b, c, dense_lo[i, j], dense_hi[i, j]) - (max(c - b, 0.0) - rest_marrow) - lost
                    sclerosis += max(dense, 0.0) * sclerotic / 0.35
                if thin_lo.size and thin_hi[i, j] > thin_lo[i, j]:
                    gone = thinner * (_shared(a, d, thin_lo[i, j], thin_hi[i, j]) / (d - a)) ** 3
                    density *= 1 - gone
                    compact *= 1 - gone * 2 / 3
            spongy_path = 0.0
            if rest_marrow > lost:
                u, v = (x * cos - y * sin) * per_mm + offset_u, (x * sin + y * cos) * per_mm + offset_v
                pattern = sample(field, u, v) + 0.7 * sample(field, u * 0.83 + 300.5, v * 0.83 + 77.7)
                spongy_path = (rest_marrow - lost) * density * max(1 + contrast * pattern, 0.15)
            attenuation[row, column] += (
                compact * (rest - rest_marrow)
                + spongy * spongy_path
                + cortical * (0.35 * sclerosis + 0.4 * min(plate, rest_marrow))
            )


def _ellipsoid_maps(rows: np.ndarray, spacing: float, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    if not len(rows):
        return _NONE, _NONE
    y0, y1, x0, x1 = box
    lo, hi = np.full((y1 - y0, x1 - x0), FAR, np.float32), np.full((y1 - y0, x1 - x0), -FAR, np.float32)
    ellipsoid_depths(rows, spacing, y0, x0, lo, hi)
    return lo, hi


def _mineral(lesions: Lesions, spacing: float, box: tuple[int, int, int, int]) -> tuple | None:
    """Return the change in mineral density per pixel; None if there is none."""
    if not len(lesions.rims) and not len(lesions.thinned):
        return None
    rims, thinned = (_ellipsoid_maps(rows, spacing, box) for rows in (lesions.rims, lesions.thinned))
    return *rims, float(lesions.sclerosis), *thinned, float(lesions.loss)


def in_plane(axis: np.ndarray) -> tuple[float, float]:
    """Return cosine and sine of the rotation that aligns a bone's axis with the y axis of its texture."""
    length = np.hypot(*axis[:2])
    return (axis[1] / length, -axis[0] / length) if length > 1e-6 else (1.0, 0.0)


def expose(
    radiograph: Radiograph,
    body: Body,
    material: Material,
    lesions: Lesions,
    joint: int | None = None,
    socket: list[tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None,
) -> None:
    """Add one bone to the radiograph.

    Args:
        radiograph: Changed in place.
        body: Bone in the radiograph frame.
        material: Attenuation of the bone.
        lesions: Lesions of the bone.
        joint: Joint surface that its bites erode.
        socket: Meshes (points of the hollow, points of the plate that lines it, faces) that are cut out of the bone.
    """
    box = window(body.points, radiograph.spacing, radiograph.bones.shape)
    y0, y1, x0, x1 = box
    if y1 <= y0 or x1 <= x0:
        return
    outer = depths(body.points, body.faces, radiograph.spacing, box)
    inner = depths(body.marrow, body.faces, radiograph.spacing, box)
    hollow = [(_NONE, _NONE), (_NONE, _NONE)]
    if socket:
        parts = [
            [depths(points, faces, radiograph.spacing, box) for *both, faces in socket for points in [both[k]]]
            for k in (0, 1)
        ]
        hollow = [
            (np.minimum.reduce([lo for lo, _ in part]), np.maximum.reduce([hi for _, hi in part])) for part in parts
        ]
    rims = lesions.cysts.copy()
    rims[:, 3:] += 0.5
    spacing = radiograph.spacing
    turn = in_plane(body.axis)
    field, mottle = tile(material.kind, level_for(spacing)), tile("mottle", 3)
    per_mm, patches_per_mm = field.shape[0] / TILE_MM, mottle.shape[0] / TILE_MM
    numbers = (
        material.cortical, material.spongy, material.canal, material.refill, material.canal_end,
        material.texture, material.scale,
        material.offset[0] * per_mm, material.offset[1] * per_mm,
        material.loss,
        material.patches[0] * patches_per_mm, material.patches[1] * patches_per_mm, *material.patches[2:],
    )  # fmt: skip
    bone_bit = np.uint16(0 if body.channel == UNLABELLED else 1 << body.channel)
    joint_bit = np.uint8(0 if joint is None else 1 << joint)
    _expose(
        *outer, *inner, *hollow[0], *hollow[1],
        *_ellipsoid_maps(lesions.notches, spacing, box), *_ellipsoid_maps(lesions.bites, spacing, box),
        *_ellipsoid_maps(lesions.cysts, spacing, box), *_ellipsoid_maps(rims, spacing, box),
        y0, x0, spacing, body.base[:2], body.axis, numbers, field, mottle, turn,
        bone_bit, joint_bit, radiograph.attenuation, radiograph.bones, radiograph.healthy, radiograph.eroded,
        _mineral(lesions, spacing, box),
    )  # fmt: skip
