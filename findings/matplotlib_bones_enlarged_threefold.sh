#!/usr/bin/env bash
# Matplotlib 3.11.2: a label map of bones, enlarged exactly three times (imshow).
#
# A label map has one number for each bone. For a figure, it is drawn with a list of colours, and the figure's size in
# inches and dpi are often chosen so that it has a whole number of pixels for each of the map.
#
# Guess: the default, interpolation="auto", keeps label maps clean: whole factors and large ones show each pixel as it
#        is (nearest), and in between colours are mixed, not numbers, so that the picture has the colours of the bones
#        that are there, and mixtures along their borders.
# Seen:  at any factor but three it is so. At exactly three, the map is smoothed (Hanning), as below three, while the
#        numbers are smoothed instead of the colours, as above three. Between the background, 0, and bone 14 lie the
#        bones between 1 and 13: the one bone of this map gets a rim in the colours of seven others, and of two bones
#        that touch, 2 and 12, the border is drawn as bones between them, though neither is in the map. The two
#        decisions compare with three in different ways ("more than" and "less than"). Give interpolation="nearest" for
#        everything that has labels.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1 MPLBACKEND=Agg
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export MPLCONFIGDIR="$folder"
python3 -m venv env
env/bin/pip install --quiet matplotlib==3.11.2 numpy==2.4.6
cat > labels.py <<'PYTHON'
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

HEIGHT, WIDTH, BONES = 200, 150, 14
COLOURS = plt.get_cmap("tab20")(np.arange(BONES + 1))
COLOURS[0] = 0, 0, 0, 1


def disc(row, column, radius):
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    return (y - row) ** 2 + (x - column) ** 2 < radius**2


def drawn(labels, factor, **options):
    """Pixels by bone in a picture of factor times the map's size; pixels of other colours are left out."""
    figure = plt.figure(figsize=(WIDTH / 50, HEIGHT / 50), dpi=50 * factor)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(labels, cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=BONES + 0.5, **options)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    plt.close(figure)
    assert picture.shape[:2] == (round(HEIGHT * factor), round(WIDTH * factor))
    distance = np.abs(picture[..., None, :] - (COLOURS[:, :3] * 255).round().astype(int)).max(axis=-1)
    numbers, counts = np.unique(np.where(distance.min(axis=-1) <= 1, distance.argmin(axis=-1), -1), return_counts=True)
    return {int(number): int(count) for number, count in zip(numbers, counts, strict=True) if number >= 0}


one = np.where(disc(100, 75, 40), 14, 0)
two = np.full((HEIGHT, WIDTH), 2)
two[:, 70:] = 12
print("Matplotlib", matplotlib.__version__)
same = True
for name, labels in {"bone 14 alone": one, "bones 2 and 12, side by side": two}.items():
    there = set(np.unique(labels).tolist())
    print(f"{name}: in the map {sorted(there)}")
    for factor in (1, 1.5, 2, 2.5, 2.9, 3, 3.1, 4, 5.5):
        seen = drawn(labels, factor)
        absent = {number: count for number, count in seen.items() if number not in there}
        print(f"  {factor} x: bones that are not in the map: {absent or 'none'}")
        same &= (sum(absent.values()) > 500) == (factor == 3)
    rim = set(drawn(labels, 3)) - there
    same &= len(rim) == 7 if labels is one else bool(rim) and rim <= set(range(3, 12))
    same &= set(drawn(labels, 3, interpolation="nearest")) == there
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore labels.py
