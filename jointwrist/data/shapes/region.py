"""Drawn regions, made of polygons, discs, patches and run lengths, and their masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from jointwrist.data.shapes.fill import decode_run_lengths, fill_disc, fill_polygon, fill_through_centres
from jointwrist.data.shapes.outline_convention import Convention
from jointwrist.errors import DataError

Size = tuple[int, int]
#: Called with a remark for the user.
Note = Callable[[str], None]
#: How far a region may reach beyond the image without a remark, in pixels: tools allow that much.
_MARGIN = 1.0
#: Parts of a region within which others are looked for.
_MOST_PARTS = 20


class Part(Protocol):
    """One piece of a region."""

    #: Leftmost and topmost, rightmost and bottommost x and y in pixels, or None where it covers none.
    bounds: np.ndarray | None

    def draw(self, size: Size) -> np.ndarray:
        """Return the (H, W) bool mask of an image of this height and width."""


@dataclass(frozen=True)
class Polygon:
    """A closed outline: (N, 2) x and y of its corners."""

    points: np.ndarray
    convention: Convention

    def __post_init__(self) -> None:
        self.convention.count(self.points)

    @property
    def through_centres(self) -> bool:
        """Whether the outline runs through pixel centres."""
        return self.convention.through_centres(self.points)

    @property
    def bounds(self) -> np.ndarray | None:
        """The corners' bounds, or None where they enclose nothing."""
        encloses = len(self.points) > 2 and (np.ptp(self.points, axis=0) > 0).all()
        return _bounds(self.points) if encloses or (len(self.points) and self.through_centres) else None

    def draw(self, size: Size) -> np.ndarray:
        """Fill the outline."""
        return (fill_through_centres if self.through_centres else fill_polygon)(self.points, size)


@dataclass(frozen=True)
class Disc:
    """A disc: x and y of its centre, and its radius."""

    centre: np.ndarray
    radius: float

    @property
    def bounds(self) -> np.ndarray | None:
        """The square round the disc."""
        return np.stack([self.centre - self.radius, self.centre + self.radius]) if self.radius else None

    def draw(self, size: Size) -> np.ndarray:
        """Fill the disc."""
        return fill_disc(self.centre, self.radius, size)


@dataclass(frozen=True)
class Patch:
    """A mask of part of the image, with the position of its upper left pixel."""

    mask: np.ndarray
    column: int
    row: int

    @property
    def bounds(self) -> np.ndarray | None:
        """Bounds of the pixels that are set."""
        y, x = np.nonzero(self.mask)
        origin = np.array([self.column, self.row])
        return _bounds(np.stack([x, y], axis=1)) + origin + [[0, 0], [1, 1]] if len(y) else None

    def draw(self, size: Size) -> np.ndarray:
        """Place the patch on the image; parts beyond are cut off."""
        whole = np.zeros(size, bool)
        (height, width), (row, column) = self.mask.shape, (self.row, self.column)
        top, bottom = np.clip([row, row + height], 0, size[0])
        left, right = np.clip([column, column + width], 0, size[1])
        whole[top:bottom, left:right] = self.mask[top - row : bottom - row, left - column : right - column]
        return whole


@dataclass(frozen=True)
class Runs:
    """COCO's run lengths for an image of a height and width."""

    counts: str | list[int]
    size: Size | None
    where: str
    bounds: None = field(default=None, init=False)

    def draw(self, size: Size) -> np.ndarray:
        """Decode the runs.

        Raises:
            DataError: The runs are damaged, or of another size.
        """
        if self.size != size:
            raise DataError(
                f"{self.where}: its run lengths are of {self.size} pixels (height, width), the image has {size}; export"
                " it with the image that it was drawn on"
            )
        try:
            return decode_run_lengths(self.counts, size)
        except ValueError as error:
            raise DataError(f"{self.where}: {error}; export it again") from error


class Drawing(NamedTuple):
    """The mask of a region.

    Attributes:
        mask: (H, W) bool.
        empty: A sentence for each part that covers no pixel.
        remarks: A sentence for each part that was cut off.
    """

    mask: np.ndarray
    empty: list[str]
    remarks: list[str]


@dataclass(frozen=True)
class Region:
    """The union of one or several parts; `where` names file and annotation in messages."""

    where: str
    parts: Sequence[Part]

    def draw(self, size: Size) -> Drawing:
        """Draw all parts on an image of a height and a width.

        Raises:
            DataError: A part cannot be drawn.
        """
        drawing = Drawing(np.zeros(size, bool), [], [])
        if not self.parts:
            drawing.empty.append(f"{self.where}: has no outline, neither polygons nor run lengths; a box is not a mask")
        for number, part in enumerate(self.parts, 1):
            where = self.where if len(self.parts) == 1 else f"{self.where}, part {number}"
            mask, bounds = part.draw(size), part.bounds
            drawing.mask[mask] = True
            if any(_surrounds(other, part, mask) for other in self.parts[:_MOST_PARTS]):
                drawing.remarks.append(f"{where}: lies within another part; it is filled, not a hole")
            if not mask.any():
                drawing.empty.append(f"{where}: {_why_empty(part, size)}")
            elif bounds is not None and (beyond := _beyond(bounds, size)) > _MARGIN:
                drawing.remarks.append(f"{where}: reaches {beyond:.0f} pixels beyond the image; cut off")
        return drawing


def combine(regions: Sequence[Region], size: Size, note: Note) -> np.ndarray:
    """Draw the union of regions: (H, W) bool.

    A part that covers no pixel is skipped with a note if another one does.

    Raises:
        DataError: No pixel is covered, or a region cannot be drawn.
    """
    drawings = [region.draw(size) for region in regions]
    mask = np.any([drawing.mask for drawing in drawings], axis=0)
    empty = [sentence for drawing in drawings for sentence in drawing.empty]
    if not mask.any():
        raise DataError(f"{empty[0]}; draw it again, or delete it")
    for sentence in empty:
        note(f"{sentence}; left out")
    for drawing in drawings:
        for sentence in drawing.remarks:
            note(sentence)
    return mask


def _bounds(points: np.ndarray) -> np.ndarray:
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _surrounds(outer: Part, inner: Part, mask: np.ndarray) -> bool:
    """Whether a part covers all pixels of the (H, W) mask of another one, as that of a bone does round a hole."""
    if outer is inner or outer.bounds is None or inner.bounds is None:
        return False
    (left, top), (right, bottom) = inner.bounds - outer.bounds
    within = min(left, top) >= 0 and max(right, bottom) <= 0
    return within and bool(mask.any()) and not (mask & ~outer.draw(mask.shape)).any()


def _beyond(bounds: np.ndarray, size: Size) -> float:
    return float(max((-bounds[0]).max(), (bounds[1] - size[::-1]).max()))


def _why_empty(part: Part, size: Size) -> str:
    if isinstance(part, Runs | Patch) and part.bounds is None:
        return "no pixel of the mask is set"
    if part.bounds is None:
        return "has no area; an outline needs at least 3 points that are not on one line"
    (x0, y0), (x1, y1) = part.bounds
    if x1 <= 0 or y1 <= 0 or x0 >= size[1] or y0 >= size[0]:
        return (
            f"is outside of the image: x {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f} of {size[1]} x {size[0]} pixels"
        )
    return "is too small to cover the centre of a pixel"
