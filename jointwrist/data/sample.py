"""One wrist radiograph with its labels, and the packed form of its overlapping masks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from jointwrist.anatomy import NUM_BONES, WRIST, Anatomy
from jointwrist.ops.bits import bits_dtype


@dataclass(frozen=True)
class Scope:
    """Findings of a radiograph that lie outside the scope of erosion scoring.

    Attributes:
        not_separable: (14,) whether each bone is fused with another, so that the two cannot be separated.
        findings: Findings on the whole radiograph: "growth plate", "implant", "cast", "other projection".
    """

    not_separable: tuple[bool, ...] = (False,) * NUM_BONES
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class WristSample:
    """One wrist, right-hand orientation unless `mirrored` is False for a left hand.

    Attributes:
        identifier: `PPPP_SSSS_L|R` or `EXT_PPPP_0001_L|R`.
        patient: Patient identifier.
        side: "L" or "R", the hand on the radiograph, even if the arrays are mirrored.
        image: (1, H, W) float32 in [0, 1].
        bones: (H, W) bit map of the masks (bit b is bone b), uint16 up to 16 bones, or None without masks.
        scores: (J,) int64 erosion scores, `NOT_SCORED` where a joint has none.
        spacing_mm: Pixel spacing in mm, or None if unknown.
        mirrored: Whether the arrays were mirrored from a left to a right hand.
        eroded: (H, W) bit map of eroded pixels (bit j is joint surface j, the bit after them pixels in doubt), or None
            if unknown.
        healthy: Bit map of the bones before erosion, as `bones`, or None if unknown.
        boxes: (J, 4) float32 joint boxes (x0, y0, x1, y1) in pixels, nan where a joint has none; or None.
        families: Of phantoms, the family of erosions or look-alikes at each joint surface, "none" where there is
            neither; None if unknown.
        scope: Of phantoms, the findings outside the scope of erosion scoring; None if unknown.
        narrowing: Of phantoms, the narrowing score of each site of `phantom.narrowing.SITES`; None if unknown.
        width_shares: Of phantoms, the width in space of these joint spaces relative to the normal one of a hand of that
            size; None if unknown.
        anatomy: Bones and joints of masks and scores.
        further_scores: (F, J) int64 of the anatomy's further scores, `NOT_SCORED` where a joint has none; None if it
            has no such scores.
    """

    identifier: str
    patient: str
    side: str
    image: np.ndarray
    bones: np.ndarray | None = None
    scores: np.ndarray = field(default_factory=lambda: np.array(WRIST.unscored, np.int64))
    spacing_mm: float | None = None
    mirrored: bool = False
    eroded: np.ndarray | None = None
    healthy: np.ndarray | None = None
    boxes: np.ndarray | None = None
    families: tuple[str, ...] | None = None
    scope: Scope | None = None
    narrowing: tuple[int, ...] | None = None
    width_shares: tuple[float, ...] | None = None
    anatomy: Anatomy = WRIST
    further_scores: np.ndarray | None = None


#: Rows that are packed at a time.
_STRIP = 64


def pack_masks(masks: np.ndarray) -> np.ndarray:
    """Pack (C, H, W) masks, C at most 63 and any dtype, into a (H, W) bit map, uint16 up to 16; bit c is channel c."""
    if masks.ndim != 3 or masks.shape[0] > 63:
        raise ValueError(f"masks must be (C, H, W) with at most 63 channels, not {masks.shape}")
    dtype = bits_dtype(len(masks))
    bits = np.zeros(masks.shape[1:], dtype)
    # a strip of all masks fits the cache, which is several times as fast for large images
    for top in range(0, len(bits), _STRIP):
        strip = slice(top, top + _STRIP)
        for channel, mask in enumerate(masks):
            bits[strip] |= np.multiply(mask[strip] != 0, dtype.type(1 << channel), dtype=dtype)
    return bits


def unpack_masks(bits: np.ndarray, channels: int = len(WRIST.bones)) -> np.ndarray:
    """Unpack a (..., H, W) bit map into (..., C, H, W) bool masks."""
    dtype = bits_dtype(channels)
    planes = np.arange(channels, dtype=dtype)[:, None, None]
    return ((bits[..., None, :, :].astype(dtype) >> planes) & 1).astype(bool)


def mirror(sample: WristSample) -> WristSample:
    """Flip a sample left to right and toggle `mirrored`; `side` does not change."""
    width = sample.image.shape[-1]
    boxes = sample.boxes
    if boxes is not None:
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    flipped = {
        key: None if array is None else np.ascontiguousarray(array[..., ::-1])
        for key, array in (
            ("image", sample.image),
            ("bones", sample.bones),
            ("eroded", sample.eroded),
            ("healthy", sample.healthy),
        )
    }
    return replace(sample, mirrored=not sample.mirrored, boxes=boxes, **flipped)


def as_right_hand(sample: WristSample) -> WristSample:
    """Mirror a left hand that is not mirrored yet; everything else, including anatomies without sides, is unchanged."""
    return mirror(sample) if sample.side == "L" and sample.anatomy.sides and not sample.mirrored else sample
