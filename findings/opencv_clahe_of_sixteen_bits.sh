#!/usr/bin/env bash
# OpenCV 5.0.0: contrast-limited histogram equalisation (CLAHE) of a radiograph of 12 bits in 16-bit pixels.
#
# Guess: it does what it does to the same film reduced to 8 bits, in finer steps: a limit of 2 lets no grey value count for
#        more than twice an equal share, and a larger limit gives more contrast.
# Seen:  limits from 1 to 31 give the same picture of a film of 512 x 512 pixels, to the last bit. Shares are those of
#        65,536 grey values whatever the film uses: a sixteenth of a pixel of a tile here, and a limit of less than one
#        pixel is raised to one. So all but one of the pixels of each grey value are spread evenly, mostly over values
#        that the film does not have, and little is equalised. With tiles of 200 x 200 pixels limits up to 3 are
#        one and the same. Nothing warns. Reduce the film to 8 bits first, or give the limit as a count of pixels: times
#        65,536 and divided by the pixels of a tile.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==5.0.0.93 numpy==2.2.6
cat > clahe.py <<'PYTHON'
import sys

import cv2
import numpy as np

SIDE = 512


def equalised(film, limit, bins):
    """One tile: counts above the limit, a multiple of an equal share, are spread over all bins and summed up."""
    counts = np.bincount(film.ravel(), minlength=bins).astype(float)
    kept = np.minimum(counts, max(int(limit * film.size / bins), 1))
    kept += (film.size - kept.sum()) / bins
    return (np.cumsum(kept) * (bins - 1) / film.size)[film]


def by_opencv(film, limit, tiles):
    return cv2.createCLAHE(limit, (tiles, tiles)).apply(film).astype(float)


def contrast(film):
    return film.std() / np.ptp(film)


print("OpenCV", cv2.__version__)
draw = np.random.default_rng(0)
y, x = np.mgrid[:SIDE, :SIDE]
bones = 2000 + 800 * np.exp(-((x - 256) ** 2 + (y - 256) ** 2) / (2 * 80**2)) + 300 * ((x // 32 + y // 48) % 2)
film = (bones + draw.normal(0, 30, bones.shape)).clip(0, 4095).astype(np.uint16)
eight = (film // 16).astype(np.uint8)
same, first = True, by_opencv(film, 1, 8)
for limit in (1, 2, 4, 8, 31, 40):
    small, large = by_opencv(eight, limit, 8), by_opencv(film, limit, 8)
    equal = bool((large == first).all())
    print(f"64 tiles, limit {limit}: contrast (deviation by range) of the film {contrast(film):.3f}, at 8 bits "
          f"{contrast(small):.3f}, at 16 bits {contrast(large):.3f}; the same as with limit 1: {equal}")
    same &= equal == (limit < 32)
tile = film[192:320, 192:320]
for limit in (1, 2, 4, 7):
    expected, at_eight = equalised(tile, limit, 4096), by_opencv(eight[192:320, 192:320], limit, 1)
    seen, by_hand = by_opencv(tile, limit, 1), equalised(tile, 1, 65536)
    print(f"one tile of 128 x 128, limit {limit}: contrast of the film {contrast(tile):.3f}, expected "
          f"{contrast(expected):.3f}, at 8 bits {contrast(at_eight):.3f}, at 16 bits "
          f"{contrast(seen):.3f}, by hand with 65,536 bins and one pixel as the limit {contrast(by_hand):.3f}")
    same &= bool(abs(seen - by_hand).max() < 0.003 * 65535 and abs(at_eight / 255 - expected / 4095).max() < 0.04)
    same &= bool(abs(contrast(seen) - 0.230) < 0.001 and (limit == 1 or contrast(expected) > 0.24))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore clahe.py
