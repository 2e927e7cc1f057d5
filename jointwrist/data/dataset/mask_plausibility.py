"""Detect implausible bone masks: flattened layers, two bones in one region, and stray pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.sample import unpack_masks

#: Mean share of a 90 mm radiograph that each bone covers, in 40 phantoms.
_SHARES = np.array([38, 101, 40, 27, 22, 23, 30, 26, 17, 37, 41, 36, 35, 41]) / 1000
#: Pairs of bones that lie side by side, whether they overlap or not.
_NEIGHBOURS = (*WRIST.overlaps, (0, 3), (0, 4), (1, 2), (3, 5), (4, 5), (9, 10), (11, 12), (12, 13))
_CARPUS = {0, 3, 4, 5, 6, 7, 8}
#: How many times its expected share of the drawn bones a bone may cover where a neighbour is missing.
_LARGEST = {bone: 1.3 if bone in _CARPUS else 1.8 for bone in range(len(WRIST.bones))}
#: The same where no other bones are drawn, since the radiograph may show less than 90 mm.
_LARGEST_ALONE = 3.0
#: Fewest bones, or pairs of bones, for a judgement on sizes or overlaps.
_ENOUGH = 3
#: Pixels, and share of the median bone area, below which a mask is stray pixels; no phantom's bone was below 0.13.
_CRUMB, _CRUMB_SHARE = 25, 0.03
#: Share of a bone within another from which both count as one region; at most 0.69 in those phantoms.
_WITHIN = 0.95


def oddities(bits: np.ndarray, anatomy: Anatomy = WRIST) -> Iterator[tuple[str, str]]:
    """Yield kind and description of every implausible property of the masks.

    Two bones drawn as one large region are detected in the wrist only, whose bones have known sizes.

    Args:
        bits: (H, W), bit b for bone b.
        anatomy: The bones.
    """
    masks = unpack_masks(bits, len(anatomy.bones)).reshape(len(anatomy.bones), -1).astype(np.float32)
    shared = masks @ masks.T
    areas = shared.diagonal()
    yield from _flattened(shared, areas, anatomy)
    yield from _drawn_twice(shared, areas, anatomy.bone_names)
    if anatomy == WRIST:
        yield from _merged(areas, bits.size)
    yield from _crumbs(areas, anatomy.bone_names)


def _flattened(shared: np.ndarray, areas: np.ndarray, anatomy: Anatomy) -> Iterator[tuple[str, str]]:
    pairs = [pair for pair in anatomy.overlaps if areas[list(pair)].all()]
    if len(pairs) >= _ENOUGH and not any(shared[pair] for pair in pairs):
        message = (
            f"no pixel belongs to two bones, where {len(pairs)} pairs of the drawn ones overlap in a {anatomy.name};"
            " was it a label map, or were hidden parts cropped? export every bone whole"
        )
        yield "no overlap", message


def _drawn_twice(shared: np.ndarray, areas: np.ndarray, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for one in range(len(names)):
        for other in range(one + 1, len(names)):
            smaller = min(areas[one], areas[other])
            if smaller and shared[one, other] >= _WITHIN * smaller:
                pair, share = f"{names[one]} and {names[other]}", shared[one, other] / smaller
                message = f"{pair} are one region: {share:.0%} of the smaller is inside the other; redraw them"
                yield "two bones in one region", message


def _merged(areas: np.ndarray, pixels: int) -> Iterator[tuple[str, str]]:
    """Report a missing bone next to one as large as both."""
    relative = areas / (_SHARES * pixels)
    for bone in np.flatnonzero(areas):
        missing = [a + b - bone for a, b in _NEIGHBOURS if bone in (a, b) and not areas[a + b - bone]]
        drawn = {int(other) for other in np.flatnonzero(areas)} - {int(bone)}
        # long bones are cut by the image border, so carpal bones are the better measure of a wrist's size
        others = relative[sorted(drawn & _CARPUS if len(drawn & _CARPUS) >= _ENOUGH else drawn)]
        enough = len(others) >= _ENOUGH
        size = relative[bone] / np.median(others) if enough else relative[bone] / _LARGEST_ALONE
        fitting = [other for other in missing if size > 1 + 0.5 * _SHARES[other] / _SHARES[bone]]
        if fitting and size > (_LARGEST[bone] if enough else 1):
            name, lost = WRIST.bone_names[bone], " or ".join(WRIST.bone_names[other] for other in fitting)
            message = f"{name} is as large as two bones ({areas[bone]:.0f} pixels), and {lost} is missing: they may be"
            yield "two bones in one region", f"{message} one region; draw them apart"


def _crumbs(areas: np.ndarray, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    drawn = areas[areas > 0]
    least = max(_CRUMB, _CRUMB_SHARE * np.median(drawn) if len(drawn) >= _ENOUGH else 0)
    small = [f"{names[bone]} {areas[bone]:.0f}" for bone in np.flatnonzero((areas > 0) & (areas < least))]
    if small:
        yield "tiny mask", f"a handful of pixels: {', '.join(small)}; draw the bone, or delete them"
