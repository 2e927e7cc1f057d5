"""Entry and exit depths of one ray per pixel through closed meshes; vertex normals; enlarging of maps."""

from __future__ import annotations

import numba
import numpy as np

FAR = np.float32(1e6)


@numba.njit(cache=True, fastmath=True)
def _scan(
    points: np.ndarray, faces: np.ndarray, scale: float, x0: float, y0: float, lo: np.ndarray, hi: np.ndarray
) -> None:
    height, width = lo.shape
    xs, ys = np.empty(points.shape[0]), np.empty(points.shape[0])
    for vertex in range(points.shape[0]):
        xs[vertex], ys[vertex] = points[vertex, 0] * scale - x0, points[vertex, 1] * scale - y0
    for k in range(faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        ay, by, cy = ys[a], ys[b], ys[c]
        first = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        last = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        if first > last:
            continue
        ax, bx, cx = xs[a], xs[b], xs[c]
        if max(int(np.ceil(min(ax, bx, cx) - 0.5001)), 0) > min(int(np.floor(max(ax, bx, cx) - 0.4999)), width - 1):
            continue
        az, bz, cz = points[a, 2], points[b, 2], points[c, 2]
        det = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(det) < 1e-7:
            continue
        gx = ((bz - az) * (cy - ay) - (cz - az) * (by - ay)) / det
        gy = ((bx - ax) * (cz - az) - (cx - ax) * (bz - az)) / det
        for row in range(first, last + 1):
            y = row + 0.5
            left, right = 1e9, -1e9
            if (ay <= y) != (by <= y):
                x = ax + (y - ay) * (bx - ax) / (by - ay)
                left, right = min(left, x), max(right, x)
            if (by <= y) != (cy <= y):
                x = bx + (y - by) * (cx - bx) / (cy - by)
                left, right = min(left, x), max(right, x)
            if (cy <= y) != (ay <= y):
                x = cx + (y - cy) * (ax - cx) / (ay - cy)
                left, right = min(left, x), max(right, x)
            begin = max(int(np.ceil(left - 0.5001)), 0)
            end = min(int(np.floor(right - 0.4999)), width - 1)
            z = az + (begin + 0.5 - ax) * gx + (y - ay) * gy
            for column in range(begin, end + 1):
                if z < lo[row, column]:
                    lo[row, column] = z
                if z > hi[row, column]:
                    hi[row, column] = z
                z += gx


@numba.njit(cache=True, fastmath=True)
def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return area-weighted outward unit normals (V, 3) of a mesh with outward faces."""
    normals = np.zeros_like(points)
    for k in range(faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for vertex in (a, b, c):
            normals[vertex, 0] += nx
            normals[vertex, 1] += ny
            normals[vertex, 2] += nz
    for vertex in range(points.shape[0]):
        length = np.sqrt(normals[vertex, 0] ** 2 + normals[vertex, 1] ** 2 + normals[vertex, 2] ** 2) + 1e-12
        normals[vertex] /= length
    return normals


def window(points: np.ndarray, spacing: float, shape: tuple[int, int], margin: int = 1) -> tuple[int, int, int, int]:
    """Return the rows and columns (y0, y1, x0, x1) that a mesh in mm covers inside the frame; empty if outside."""
    x, y = points[:, 0], points[:, 1]
    x0, y0 = max(int(x.min() / spacing) - margin, 0), max(int(y.min() / spacing) - margin, 0)
    x1, y1 = min(int(x.max() / spacing) + margin + 1, shape[1]), min(int(y.max() / spacing) + margin + 1, shape[0])
    return y0, max(y1, y0), x0, max(x1, x0)


def depths(
    points: np.ndarray, faces: np.ndarray, spacing: float, box: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return entry and exit depth in mm, float32, of the ray through every pixel of a window.

    A ray that misses the mesh enters at `FAR` and leaves at `-FAR`.

    Args:
        points: (V, 3) mm; x to the right, y down, z along the ray.
        faces: (F, 3).
        spacing: Pixel spacing in mm.
        box: Rows and columns (y0, y1, x0, x1) of the window.
    """
    y0, y1, x0, x1 = box
    lo = np.full((y1 - y0, x1 - x0), FAR, np.float32)
    hi = np.full((y1 - y0, x1 - x0), -FAR, np.float32)
    _scan(points, faces, 1.0 / spacing, float(x0), float(y0), lo, hi)
    return lo, hi


@numba.njit(cache=True, fastmath=True)
def enlarge(coarse: np.ndarray, factor: float, size: int) -> np.ndarray:
    """Return a (size, size) float32 map by bilinear interpolation; pixel centres keep their place."""
    fine = np.empty((size, size), np.float32)
    height, width = coarse.shape
    columns, shares = np.empty(size, np.int64), np.empty(size, np.float32)
    for j in range(size):
        u = min(max((j + 0.5) / factor - 0.5, 0.0), width - 1.001)
        columns[j], shares[j] = int(u), np.float32(u - int(u))
    # the two rows of the coarse map that a pixel lies between, at the width of the result
    wide, upper = np.empty((2, size), np.float32), -1
    for i in range(size):
        v = min(max((i + 0.5) / factor - 0.5, 0.0), height - 1.001)
        row, fv = int(v), np.float32(v - int(v))
        if row != upper:
            for k in range(2):
                for j in range(size):
                    left = coarse[row + k, columns[j]]
                    wide[k, j] = left + shares[j] * (coarse[row + k, columns[j] + 1] - left)
            upper = row
        for j in range(size):
            fine[i, j] = wide[0, j] + fv * (wide[1, j] - wide[0, j])
    return fine
