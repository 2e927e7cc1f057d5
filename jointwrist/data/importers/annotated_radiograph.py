"""A radiograph with the regions that somebody drew on it, and the reading of annotation files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointwrist.data.shapes.label_names import Meaning
from jointwrist.data.shapes.region import Note, Polygon, Region, combine
from jointwrist.errors import DataError


@dataclass(frozen=True)
class AnnotatedRadiograph:
    """One radiograph and what was drawn on it.

    Attributes:
        image: The radiograph's file.
        size: Height and width of the image that was drawn on, or None if the annotation does not say.
        regions: Pairs of bone and region; several regions of one bone add up, those of two bones may overlap.
        source: The annotation file, for messages.
        erosions: Pairs of the bone that bears the eroded joint surface, or None where it is not named, and region; or
            None where nobody looked for erosions.
        notes: What was left out in reading, a sentence each.
    """

    image: Path
    size: tuple[int, int] | None
    regions: Sequence[tuple[int, Region]]
    source: Path
    erosions: Sequence[tuple[int | None, Region]] | None = None
    notes: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        image: Path,
        size: tuple[int, int] | None,
        drawn: Iterable[tuple[Meaning | None, Region]],
        source: Path,
        tells_erosions: bool,
        notes: Sequence[str] = (),
    ) -> AnnotatedRadiograph:
        """Return a image from what was drawn on it, bones and erosions in any order; what means nothing is left out."""
        known = [(meaning, region) for meaning, region in drawn if meaning is not None]
        bones = [(meaning.bone, region) for meaning, region in known if not meaning.erosion]
        erosions = [(meaning.bone, region) for meaning, region in known if meaning.erosion]
        return cls(image, size, bones, source, erosions if tells_erosions else None, notes)

    @property
    def outlines(self) -> list[Polygon]:
        """The polygons among all regions."""
        regions = [region for _, region in (*self.regions, *(self.erosions or ()))]
        return [part for region in regions for part in region.parts if isinstance(part, Polygon)]

    def bones(self, size: tuple[int, int], note: Note = lambda _: None) -> np.ndarray:
        """Draw the bones as a (H, W) uint16 bit map, bit b for bone b.

        Args:
            size: Height and width of the radiograph.
            note: Takes a remark on every part that is left out or cut off.

        Raises:
            DataError: The radiograph has another size than the image that was drawn on, a region cannot be drawn, or
                nothing of what was drawn as a bone covers a pixel.
        """
        if self.size is not None and self.size != size:
            raise DataError(
                f"{self.image}: {size[1]} x {size[0]} pixels, but {self.source} was drawn on {self.size[1]} x"
                f" {self.size[0]}; give the image that was annotated"
            )
        by_bone: dict[int, list[Region]] = defaultdict(list)
        for bone, region in self.regions:
            by_bone[bone].append(region)
        bits = np.zeros(size, np.uint16)
        for bone, regions in by_bone.items():
            bits |= combine(regions, size, note).astype(np.uint16) << np.uint16(bone)
        return bits
