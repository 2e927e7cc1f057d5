"""A radiograph and its annotated regions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.images import is_rotated
from jointwrist.data.shapes.label_names import Meaning
from jointwrist.data.shapes.region import Note, Polygon, Region, combine
from jointwrist.errors import DataError
from jointwrist.ops.bits import bits_dtype


@dataclass(frozen=True)
class AnnotatedRadiograph:
    """One radiograph and the regions drawn on it.

    Attributes:
        image: The radiograph's file.
        size: Height and width of the annotated image, or None if unknown.
        regions: Pairs of bone and region; regions of one bone are united, those of different bones may overlap.
        source: The annotation file, for messages.
        erosions: Pairs of the bone with the eroded joint surface, or None if not named, and region; or None if the
            radiograph was not examined for erosions.
        notes: Sentences about what was skipped in reading.
        anatomy: The bones.
    """

    image: Path
    size: tuple[int, int] | None
    regions: Sequence[tuple[int, Region]]
    source: Path
    erosions: Sequence[tuple[int | None, Region]] | None = None
    notes: Sequence[str] = ()
    anatomy: Anatomy = WRIST

    @classmethod
    def of(
        cls,
        image: Path,
        size: tuple[int, int] | None,
        drawn: Iterable[tuple[Meaning | None, Region]],
        source: Path,
        examined: bool,
        notes: Sequence[str] = (),
        anatomy: Anatomy = WRIST,
    ) -> AnnotatedRadiograph:
        """Sort annotated regions into bones and erosions; regions without a meaning are ignored."""
        known = [(meaning, region) for meaning, region in drawn if meaning is not None]
        bones = [(meaning.bone, region) for meaning, region in known if not meaning.erosion]
        erosions = [(meaning.bone, region) for meaning, region in known if meaning.erosion]
        return cls(image, size, bones, source, erosions if examined else None, notes, anatomy)

    @property
    def outlines(self) -> list[Polygon]:
        """The polygons among all regions."""
        regions = [region for _, region in (*self.regions, *(self.erosions or ()))]
        return [part for region in regions for part in region.parts if isinstance(part, Polygon)]

    def bones(self, size: tuple[int, int], note: Note = lambda _: None) -> np.ndarray:
        """Draw the bones as a (H, W) bit map, bit b for bone b.

        Args:
            size: Height and width of the radiograph.
            note: Called with a remark on every part that is skipped or cut off.

        Raises:
            DataError: The radiograph has another size than the annotated image, a region cannot be drawn, or a bone
                covers no pixel.
        """
        if self.size is not None and self.size != size:
            turned = self.size == size[::-1] and is_rotated(self.image)
            remedy = "give the image that was annotated"
            if turned:
                remedy = "the tool did not rotate it as its EXIF orientation says: save the image without one"
            elif self.size == size[::-1]:
                remedy = "if masks were written transposed, exchange x and y; else give the image that was annotated"
            raise DataError(
                f"{self.image}: {size[1]} x {size[0]} pixels, but {self.source} was drawn on {self.size[1]} x"
                f" {self.size[0]}; {remedy}"
            )
        by_bone: dict[int, list[Region]] = defaultdict(list)
        for bone, region in self.regions:
            by_bone[bone].append(region)
        bits = np.zeros(size, bits_dtype(len(self.anatomy.bones)))
        for bone, regions in by_bone.items():
            bits |= combine(regions, size, note).astype(bits.dtype) << bits.dtype.type(bone)
        return bits
