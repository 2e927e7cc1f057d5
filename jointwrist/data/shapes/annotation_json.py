"""Read annotation files in JSON, and check their paths, points and sizes."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from jointwrist.data.shapes.other_programs import program_of, what_it_holds, written_by
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Largest annotation file; those of labelme may embed the image.
MAX_JSON_BYTES = 2**28

#: Largest coordinate of a point, in pixels.
MAX_COORDINATE = 1e6


def beneath(folder: Path, name: str) -> Path | None:
    """Return the path of a file in a folder, or None if the name in an annotation leads out of it.

    Annotation files are untrusted: the images they name must not be read, and copied, from elsewhere.
    """
    path = Path(os.path.abspath(folder / name.replace("\\", "/")))
    root = Path(os.path.abspath(folder))
    return folder / path.relative_to(root) if path.is_relative_to(root) else None


def read_json(path: Path) -> dict[str, Any]:
    """Read an annotation file.

    Raises:
        DataError: The file is missing, too large, not valid JSON, or not a JSON object.
    """
    if path.is_dir():
        held = "" if any(path.glob("*.json")) else what_it_holds(path)
        raise DataError(f"{path}: is a folder; {held or 'give the JSON file in it'}")
    content = read_any_json(path)
    if not isinstance(content, dict):
        found = f"holds a JSON {type(content).__name__}, not an object; export it as COCO or labelme"
        raise DataError(f"{path}: {written_by(content) or found}")
    return content


def read_any_json(path: Path) -> Any:
    """Read a JSON file of any content.

    Raises:
        DataError: The file is missing, too large, or not valid JSON.
    """
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise DataError(f"{path}: larger than the {MAX_JSON_BYTES:,} bytes allowed; export fewer images into one file")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {program_of(path) or f'not valid JSON ({error}); export it again'}") from error


def as_points(values: Any, where: str) -> np.ndarray:
    """Return [[x, y], ...] as (N, 2) float64.

    Raises:
        DataError: The values are not pairs of numbers within bounds; the message begins with `where`.
    """
    try:
        points = np.array(values, np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) <= MAX_COORDINATE).all():  # also true of nan
        raise DataError(f"{where}: its points must be pairs of numbers up to {MAX_COORDINATE:,.0f}; draw it again")
    return points


def in_pixels(points: np.ndarray, where: str) -> np.ndarray:
    """Return points that are in pixels.

    Raises:
        DataError: All points lie within the first pixel: they are shares of the image's sides.
    """
    if len(points) and points.min() >= 0 and points.max() <= 1 and np.ptp(points, axis=0).any():
        raise DataError(f"{where}: its coordinates lie between 0 and 1, shares of the image's sides; export pixels")
    return points


def positive_size(height: Any, width: Any) -> tuple[int, int] | None:
    """Return height and width if both are whole numbers above 0, also as texts, else None."""
    numbers = [int(n) if isinstance(n, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", n) else n for n in (height, width)]
    if any(isinstance(n, bool) or not isinstance(n, (int, float)) or not math.isfinite(n) for n in numbers):
        return None
    return (int(numbers[0]), int(numbers[1])) if min(numbers) > 0 and all(n == int(n) for n in numbers) else None
