#!/usr/bin/env bash
# MONAI 1.6.1 with scikit-image 0.26.0: specks of predicted masks that overlap (RemoveSmallObjects).
#
# Bones overlap in a radiograph, so that each has a mask of its own, a channel of 0 and 1. Specks are removed before
# distances are measured.
#
# Guess: with independent_channels, the default, a speck of a bone goes if it is smaller than min_size, whatever the
#        other bones are. Without, islands of all bones together count, so that two that touch are one.
# Seen:  channels are taken as a third dimension, and a speck is joined to what the channel before or after has at its
#        pixels. One on a bone that is next in the list stays, and one on any other bone goes: of the same masks in
#        another order, other specks stay. A blur of 16 pixels that eight channels share counts as 128. The largest
#        distance from the true outline is 96 pixels after cleaning, where it should be 0. The option makes no
#        difference for masks of 0 and 1: without it, two halves of 40 pixels that touch, of two bones, are removed too,
#        where 80 pixels should stay. Nothing warns. Call the transform for each channel, or take
#        KeepLargestConnectedComponent, which looks at each bone alone.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile monai==1.6.1 torch==2.14.1 numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0
cat > specks.py <<'PYTHON'
import sys

import monai
import skimage
import torch
from monai.metrics import compute_hausdorff_distance
from monai.transforms import KeepLargestConnectedComponent, RemoveSmallObjects

BONES, SIDE, SMALLEST = 14, 160, 64


def bones():
    """Masks of bones in four rows: each overlaps its neighbours to the left and right."""
    masks = torch.zeros(BONES, SIDE, SIDE)
    for bone in range(BONES):
        row, column = 4 + 39 * (bone // 4), 4 + 36 * (bone % 4)
        masks[bone, row : row + 34, column : column + 40] = 1
    return masks


def inner(bone):
    """A window of 5 x 5 pixels within a bone, on no other one."""
    row, column = 4 + 39 * (bone // 4), 4 + 36 * (bone % 4)
    return slice(row + 15, row + 20), slice(column + 15, column + 20)


def clean(masks, **options):
    return RemoveSmallObjects(min_size=SMALLEST, **options)(masks.clone())


print("MONAI", monai.__version__, "scikit-image", skimage.__version__)
same = True
truth = bones()
for step in (1, -1, 2, 5):
    predicted = truth.clone()
    pairs = [(bone, bone + step) for bone in range(BONES) if 0 <= bone + step < BONES]
    for bone, other in pairs:
        predicted[(bone, *inner(other))] = 1
    cleaned, apart = clean(predicted), torch.cat([clean(predicted[bone : bone + 1]) for bone in range(BONES)])
    largest = KeepLargestConnectedComponent(is_onehot=True, applied_labels=range(BONES))(predicted.clone())
    distance = compute_hausdorff_distance(cleaned[None], truth[None], include_background=True).max()
    print(f"specks of {len(pairs)} bones on the bone {step:+d} in the list: expected 0 pixels left, seen "
          f"{(cleaned - truth).sum():.0f}, largest distance from the outline {distance:.0f}; by channel "
          f"{(apart - truth).sum():.0f}, by KeepLargestConnectedComponent {(largest - truth).sum():.0f}")
    stay = abs(step) == 1
    same &= bool(torch.equal(cleaned, predicted if stay else truth) and (distance > 20 if stay else distance == 0))
    same &= torch.equal(apart, truth) and torch.equal(largest, truth)
    same &= torch.equal(clean(predicted, independent_channels=False), cleaned)
    if step == 2:
        order = [*range(0, BONES, 2), *range(1, BONES, 2)]
        left = (clean(predicted[order]) - truth[order]).sum()
        print(f"the same, even bones first and odd ones after them: {left:.0f} pixels left")
        same &= bool(left == 25 * len(pairs))

blur = torch.zeros(8, SIDE, SIDE)
blur[:, 50:54, 50:54] = 1
print(f"a blur of 16 pixels, in eight channels: {clean(blur)[0].sum():.0f} left of each, in one: "
      f"{clean(blur[:1]).sum():.0f}")
same &= bool(torch.equal(clean(blur), blur) and clean(blur[:1]).sum() == 0)

halves = torch.zeros(2, SIDE, SIDE)
halves[0, 50:54, 50:60] = halves[1, 54:58, 50:60] = 1
left = [int(clean(halves, independent_channels=choice).sum()) for choice in (True, False)]
print(f"two halves of 40 pixels that touch: {left[0]} left with independent_channels, {left[1]} without, 80 expected")
same &= left == [0, 0]
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore specks.py
