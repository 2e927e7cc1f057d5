"""A plaster or fibreglass cast around forearm and palm, as attenuation along the ray."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.ray_depths import enlarge
from jointwrist.phantom.shaft import smoothstep
from jointwrist.phantom.texture import TILE_MM, level_for, tile

#: Attenuation from which a ray has passed skin, cell of the grid on which distances are measured, and half the
#: thickness of the limb, in mm.
_SKIN, _STEP_MM, _LIMB_MM = 0.05, 0.8, 24.0


def cast(soft: np.ndarray, bodies: dict[str, Body], rng: np.random.Generator, spacing: float) -> np.ndarray:
    """Return the attenuation (H, W) float32 of a cast from the forearm to the palm.

    Args:
        soft: (H, W) attenuation of the soft tissue, whose outline the cast follows.
        bodies: Bones in the radiograph frame, by name.
        rng: Generator of the scope.
        spacing: Pixel spacing in mm.
    """
    size = soft.shape[0]
    step = max(round(_STEP_MM / spacing), 1)
    inside = soft[step // 2 :: step, step // 2 :: step] > _SKIN
    cell = step * spacing
    depth = (distance_transform_edt(inside) - distance_transform_edt(~inside)) * cell
    depth = gaussian_filter(depth, 2.0 / cell)
    plaster = rng.random() < 0.5
    padding = rng.uniform(2.0, 5.0)
    wall = rng.uniform(4.0, 8.0) if plaster else rng.uniform(3.0, 5.0)
    thickness = _chord(depth + padding + wall) - _chord(depth + padding)
    thickness = enlarge(thickness.astype(np.float32), step, size)
    middle, palm = bodies["Capitate"], bodies["Metacarpal3rd"]
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) * spacing
    along = (x - middle.base[0]) * palm.axis[0] + (y - middle.base[1]) * palm.axis[1]
    end = rng.uniform(28.0, 48.0)
    across = (x - middle.base[0]) * palm.axis[1] - (y - middle.base[1]) * palm.axis[0]
    uneven = rng.uniform(0.5, 2.0) * np.sin(across / rng.uniform(6.0, 12.0) + rng.uniform(0, 6))
    thickness *= 1 - smoothstep(along + uneven, end, end + rng.uniform(1.0, 4.0))
    if plaster:
        grain = _mottle(rng, size, spacing)
        turns = 0.12 * np.sin(2 * np.pi * (along + 0.25 * across) / rng.uniform(25.0, 45.0))
        return (rng.uniform(0.018, 0.035) * thickness * (1 + 0.08 * grain + turns)).astype(np.float32)
    mesh = rng.uniform(1.4, 2.4)
    weave = np.cos(2 * np.pi * (along + across) / mesh) * np.cos(2 * np.pi * (along - across) / mesh)
    return (rng.uniform(0.012, 0.022) * thickness * (1 + 0.45 * weave)).astype(np.float32)


def _chord(depth: np.ndarray) -> np.ndarray:
    """Return the length in mm of a ray through a rounded limb at a depth below its outline."""
    inside = np.clip(depth / _LIMB_MM, 0, 1)
    return 2 * _LIMB_MM * np.sqrt(1 - (1 - inside) ** 2)


def _mottle(rng: np.random.Generator, size: int, spacing: float) -> np.ndarray:
    field = tile("mottle", level_for(spacing))
    rows, columns = (
        (np.arange(size) * spacing / TILE_MM * field.shape[0] + rng.integers(1024)).astype(int) % field.shape[0]
        for _ in range(2)
    )
    return field[rows[:, None], columns[None]]
