"""Whether a radiograph has the pixels that the erosion head needs, whatever they measure in mm."""

from __future__ import annotations

from typing import NamedTuple

from jointwrist.inference.scope.report import COARSE, Limit

#: Pixels across the wrist's window, as shares of the side of the image that joint crops are cut from: with fewer than
#: the first, scores are doubtful; with fewer than the second, they are withheld (`benchmarks/resolution.py`).
DOUBTFUL, TOO_COARSE = 0.4, 0.2


class Resolution(NamedTuple):
    """The resolution of a radiograph across the wrist, and that of the erosion head.

    Attributes:
        pixels: The radiograph's own pixels across the window of the wrist; see `Placement.native_pixels`.
        detail_size: Side in pixels of the image of that window that joint crops are cut from.
    """

    pixels: float
    detail_size: int

    @property
    def needed(self) -> int:
        """Return the pixels across the window from which scores are not doubtful."""
        return round(DOUBTFUL * self.detail_size)

    @property
    def too_coarse(self) -> bool:
        """Return whether scores are withheld."""
        return self.pixels < round(TOO_COARSE * self.detail_size)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return why no joint surface can be judged well; empty where all can."""
        if self.pixels >= self.needed:
            return ()
        return (Limit(COARSE, f"{self.pixels:.0f} pixels across the wrist, {self.needed} needed"),)

    def sentences(self, withheld: bool) -> tuple[str, ...]:
        """Return notes for the reader where pixels are too few; `withheld` states that there are no scores."""
        if not self.limits:
            return ()
        coarse = (
            f"Coarse radiograph: it has {self.pixels:.0f} pixels across the wrist, and erosion scores need"
            f" {self.needed}; healthy joint surfaces can look eroded."
        )
        return (coarse, "Erosion scores withheld.") if withheld else (coarse,)
