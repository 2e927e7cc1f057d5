#!/usr/bin/env bash
# torchvision 0.29.1: masks of overlapping bones, or of an erosion in a bone, drawn on a film (draw_segmentation_masks).
#
# Carpal bones overlap on every radiograph of a wrist.
#
# Guess: where two masks overlap, the picture has a mixture of their colours, or that of the later one; alpha is the
#        share of the colour, as its description says, and a mask that lies within another one shows in its own colour.
# Seen:  every pixel of more than one mask is painted black, with the same alpha: 80 % unless told otherwise. Where the
#        film is bright, two bones that overlap have a dark band between them, darker than the joint space beside it:
#        it looks like the gap that is not there. An erosion drawn with its bone is a black hole whatever its colour,
#        and the colour is not in the picture at all. If all masks are given twice, from two readers, the bones on
#        which they agree are black. It is meant so upstream (pull request 8213 of 2024), but the description of the
#        function does not say it. Draw the masks one after the other, each on the picture before, with a smaller
#        alpha.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
cat > drawn.py <<'PYTHON'
import sys

import torch
import torchvision
from torchvision.utils import draw_segmentation_masks

COLOURS = [(255, 160, 0), (0, 160, 255), (255, 0, 160)]
BONE, SPACE = 190, 90  # brightness of bone, and of soft tissue in a joint space
ALPHA = 0.8


def disc(row, column, radius):
    y, x = torch.meshgrid(torch.arange(100), torch.arange(140), indexing="ij")
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def colour(picture, where):
    """The one colour that the picture has within a region."""
    values = picture[:, where].unique(dim=1)
    assert values.shape[1] == 1
    return tuple(values[:, 0].tolist())


def mixed(brightness, paint):
    return tuple(int(brightness * (1 - ALPHA) + value * ALPHA) for value in paint)


def near(first, second):
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) <= 1


print("torchvision", torchvision.__version__)
first, second, erosion = disc(50, 50, 30), disc(50, 90, 30), disc(50, 30, 6)
both = first & second
film = torch.where(first | second, BONE, SPACE).to(torch.uint8).expand(3, -1, -1).contiguous()
picture = draw_segmentation_masks(film, torch.stack([first, second]), colors=COLOURS[:2])
regions = {"first bone": first & ~both, "second bone": second & ~both, "overlap": both, "outside": ~(first | second)}
seen = {name: colour(picture, where) for name, where in regions.items()}
for name, value in seen.items():
    print(f"{name:12} {value}")
print(f"  overlap expected {mixed(BONE, COLOURS[1])}, the later bone, or between the two")
same = near(seen["first bone"], mixed(BONE, COLOURS[0])) and near(seen["second bone"], mixed(BONE, COLOURS[1]))
same &= near(seen["overlap"], mixed(BONE, (0, 0, 0))) and max(seen["overlap"]) < min(seen["outside"])

picture = draw_segmentation_masks(film, torch.stack([first, erosion]), colors=[COLOURS[0], COLOURS[2]])
value = colour(picture, erosion)
print(f"erosion in its bone: expected {mixed(BONE, COLOURS[2])}, seen {value}")
same &= near(value, mixed(BONE, (0, 0, 0)))

picture = draw_segmentation_masks(film, torch.stack([first, first]), colors=COLOURS[:2])
value = colour(picture, first)
print(f"a bone on which two readers agree: seen {value}")
same &= near(value, mixed(BONE, (0, 0, 0)))

picture = film
for mask, paint in zip((first, second), COLOURS, strict=False):
    picture = draw_segmentation_masks(picture, mask, colors=[paint], alpha=0.5)
print(f"one after the other, alpha 0.5: overlap {colour(picture, both)}")
same &= min(colour(picture, both)) > 60
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore drawn.py
