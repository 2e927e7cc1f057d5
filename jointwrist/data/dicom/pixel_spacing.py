"""Size and shape of a pixel from a DICOM header, corrected to the plane of the hand where the header allows it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from jointwrist.data.dicom.elements import element_numbers
from jointwrist.data.spacing import SPACING_RANGE, SQUARE_TOLERANCE

if TYPE_CHECKING:
    from pydicom import Dataset

#: Spacing attributes by precedence: possibly calibrated, at the detector, of the scanned film.
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
#: Largest plausible aspect ratio of a pixel, and largest plausible magnification.
_LARGEST_ASPECT, _LARGEST_MAGNIFICATION = 4.0, 2.0


class Pixel(NamedTuple):
    """A pixel.

    Attributes:
        width_mm: Width in mm, or None if unknown.
        aspect: Height over width; exactly 1 within `SQUARE_TOLERANCE`.
        notes: Remarks on the accuracy of lengths and areas.
    """

    width_mm: float | None = None
    aspect: float = 1.0
    notes: tuple[str, ...] = ()


def find_pixel(dataset: Dataset, asked: float | None) -> Pixel:
    """Return size and shape of a pixel (PS3.3, 10.7.1).

    Args:
        dataset: Header.
        asked: Width in mm to use where the header gives no usable spacing.
    """
    stated = {name: element_numbers(dataset, name) for name in _SPACINGS if name in dataset}
    usable = next((name for name, sides in stated.items() if _is_spacing(sides)), None)
    shape, shape_notes = _stated_aspect(dataset)
    if usable is None:
        if asked is not None:
            return Pixel(asked, shape, shape_notes)
        if stated:
            unusable = ", ".join(f"{name} {_written(sides)}" for name, sides in stated.items())
            note = f"The pixel spacing cannot be used ({unusable}); lengths are in pixels."
        else:
            note = "The header gives no pixel spacing; lengths are in pixels."
        return Pixel(None, shape, (note, *shape_notes))
    height, width = (stated[usable] * 2)[:2]
    aspect = height / width
    if "PixelAspectRatio" in dataset and not _alike(shape, aspect):
        shape_notes = ("The header's pixel aspect ratio is not that of its pixel spacing; the spacing was used.",)
    else:
        shape_notes = ()
    if _alike(aspect, 1):
        width, aspect = width if height == width else math.sqrt(height * width), 1.0
    else:
        shape_notes += (_oblong(aspect),)
    magnification, notes = _magnification(dataset, usable, stated)
    width /= magnification
    passed = [f"{name} {_written(sides)}" for name, sides in stated.items() if not _is_spacing(sides)]
    if passed:
        notes = (f"A pixel spacing cannot be used ({', '.join(passed)}); {usable} was used.", *notes)
    if asked is not None and not _alike(asked, width):
        notes = (f"The header gives a pixel spacing of {width:.4g} mm, not {asked:g}; the header was used.", *notes)
    return Pixel(width, aspect, (*notes, *shape_notes))


def _magnification(dataset: Dataset, name: str, stated: dict[str, list[float] | None]) -> tuple[float, tuple[str, ...]]:
    """Return the factor by which to divide a spacing to get that in the plane of the hand, and notes."""
    factors = element_numbers(dataset, "EstimatedRadiographicMagnificationFactor")
    calibrated = bool(dataset.get("PixelSpacingCalibrationType"))
    detector = stated.get("ImagerPixelSpacing")
    if name == "PixelSpacing" and (calibrated or stated[name] != detector):
        if factors and factors[0] != 1 and not calibrated and detector is None:
            return 1.0, (
                f"The header states a magnification of {factors[0]:g}, but not whether its pixel spacing is corrected"
                " for it; it is assumed to be.",
            )
        return 1.0, ()
    at_detector = "The pixel spacing is that at the detector: lengths of the hand are slightly overestimated."
    if factors == []:
        return 1.0, () if name == "NominalScannedPixelSpacing" else (at_detector,)
    if factors is None or not 1 <= factors[0] <= _LARGEST_MAGNIFICATION:
        return 1.0, (f"The header's magnification factor ({_written(factors)}) cannot be used.", at_detector)
    return factors[0], (
        f"The pixel spacing at the detector is divided by the header's magnification factor of {factors[0]:g}: lengths"
        " and areas are those in the plane of the hand.",
    )


def _stated_aspect(dataset: Dataset) -> tuple[float, tuple[str, ...]]:
    """Return height over width of a pixel after PixelAspectRatio (vertical, horizontal), and notes."""
    ratio = element_numbers(dataset, "PixelAspectRatio")
    if ratio == []:
        return 1.0, ()
    if ratio is None or len(ratio) != 2 or min(ratio) <= 0 or not _is_aspect(ratio[0] / ratio[1]):
        return 1.0, (f"The pixel aspect ratio ({_written(ratio)}) cannot be used; pixels are assumed to be square.",)
    aspect = ratio[0] / ratio[1]
    return (1.0, ()) if _alike(aspect, 1) else (aspect, (_oblong(aspect),))


def _oblong(aspect: float) -> str:
    return f"Pixels are {aspect:.4g} times as high as wide; the network receives it with square pixels."


def _is_spacing(sides: list[float] | None) -> bool:
    if not sides or len(sides) > 2 or not all(SPACING_RANGE[0] <= side <= SPACING_RANGE[1] for side in sides):
        return False
    return _is_aspect(sides[0] / sides[-1])


def _is_aspect(ratio: float) -> bool:
    return 1 / _LARGEST_ASPECT <= ratio <= _LARGEST_ASPECT


def _alike(first: float, second: float) -> bool:
    return abs(first / second - 1) <= SQUARE_TOLERANCE


def _written(numbers: list[float] | None) -> str:
    return "not a number" if numbers is None else "\\".join(f"{number:g}" for number in numbers) or "empty"
