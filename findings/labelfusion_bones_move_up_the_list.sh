#!/usr/bin/env bash
# LabelFusion 1.0.15: one mask out of those of several readers (fuse_images) by "majority" or "simple".
#
# Guess: class_list names the labels to fuse, in any order, with or without the background, which is what no label
#        covers: where all readers agree, the fused mask is theirs.
# Seen:  the first entry of the list is taken for an index. With 1 to 14 for the bones of a wrist, the mask of the
#        first bone is lost, and the second bone gets the sum of two labels, 1 + 2 = 3: it becomes part of the third
#        bone. From 14 down to 0, the background becomes a bone. There is no warning, and the other bones are right. A
#        list that begins with 0 is right, as is the one in the readme, which does not say that it has to; "staple" and
#        "itkvoting" take no list. Begin the list with 0.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet LabelFusion==1.0.15 SimpleITK==2.5.7 numpy==2.2.6 setuptools==80.9.0
cat > fuse.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import SimpleITK as sitk
from LabelFusion.wrapper import fuse_images

BONES = 14


def reading():
    """Fourteen bones of different size, labelled 1 to 14."""
    rows, columns = np.mgrid[:120, :420]
    mask = np.zeros((120, 420), np.uint8)
    for bone in range(1, BONES + 1):
        row, column = 30 + 60 * (bone % 2), 27 * bone
        mask[(rows - row) ** 2 + (columns - column) ** 2 < (10 + bone / 2) ** 2] = bone
    return mask


def areas(mask):
    return np.bincount(mask.ravel(), minlength=BONES + 1)[1 : BONES + 1]


print("LabelFusion", version("LabelFusion"))
truth = reading()
readers = [sitk.GetImageFromArray(truth) for _ in range(3)]
print("three readers with the same mask; areas of bones 1 to 14")
print(f"  {'expected':32}", *areas(truth))
same = True
lists = {"0 to 14": list(range(BONES + 1)), "1 to 14": list(range(1, BONES + 1)), "14 to 0": list(range(BONES, -1, -1))}
for method in ("majority", "simple"):
    for name, classes in lists.items():
        fused = sitk.GetArrayFromImage(fuse_images(readers, method, class_list=classes)).astype(int)
        print(f"  {f'seen, {method}, {name}':32}", *areas(fused))
        expected = areas(truth)
        if name == "1 to 14":
            expected[2] += expected[1]
            expected[:2] = 0
        if name == "14 to 0":
            expected[13] = (truth == 0).sum()
        same &= bool((areas(fused) == expected).all())
for method in ("staple", "itkvoting"):
    fused = sitk.GetArrayFromImage(fuse_images(readers, method))
    print(f"  {f'seen, {method}':32}", *areas(fused))
    same &= bool((fused == truth).all())
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore fuse.py
