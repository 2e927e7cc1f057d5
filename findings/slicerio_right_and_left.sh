#!/usr/bin/env bash
# slicerio 1.4.0: the bones of one hand out of a segmentation of a film of both hands (seg.nrrd), by their codes.
#
# Guess: extract_segments and segments_from_terminology find the segment whose codes are all those asked for, the side included:
#        asked for the right wrist, they return the right wrist.
# Seen:  they return both. Of the codes of the side, (scheme, value, meaning), the names of the schemes alone are handed on,
#        and their first two letters are compared: "S" and "C" of SCT agree for right and left. Any other code that
#        differs, such as that of another bone, keeps a segment out. extract_segments then merges what it found into one
#        segment without a warning: the area of a bone is doubled, and its Dice coefficient with the right answer is about
#        2/3. By their names, segments are told apart. Use names, or compare the codes of the side yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet slicerio==1.4.0 pynrrd==1.1.3 numpy==2.2.6
cat > sides.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import slicerio.segmentation

MM = 0.15
SIDES = {"Right": "24028007", "Left": "7771000"}
PLACES = {"Wrist joint": "74670003", "Metacarpal": "36455000"}


def codes(place, side):
    return {"contextName": "", "category": ["SCT", "123037004", "Anatomical Structure"],
            "type": ["SCT", "272673000", "Bone"], "anatomicContextName": "",
            "anatomicRegion": ["SCT", PLACES[place], place], "anatomicRegionModifier": ["SCT", SIDES[side], side]}


def area(mask):
    return mask.sum() * MM**2


print("slicerio", version("slicerio"))
film = slicerio.create_segmentation((600, 400, 1), np.diag([MM, MM, 1, 1]))
x, y = np.mgrid[:600, :400]
masks = {}
for side, column, size in (("Right", 150, 40), ("Left", 450, 36)):
    for place, row in (("Wrist joint", 280), ("Metacarpal", 120)):
        masks[place, side] = ((x - column) ** 2 + (y - row) ** 2 < size**2)[..., None]
        slicerio.add_segment(film, masks[place, side], {"name": f"{place} {side}", "terminology": codes(place, side)})
slicerio.write_segmentation("hands.seg.nrrd", film)
film = slicerio.read_segmentation("hands.seg.nrrd")
same = True
for place, side in masks:
    found = [segment["name"] for segment in slicerio.segmentation.segments_from_terminology(film, codes(place, side))]
    by_code = slicerio.extract_segments(film, [(codes(place, side), 1)])["voxels"] == 1
    by_name = slicerio.extract_segments(film, [(f"{place} {side}", 1)])["voxels"] == 1
    dice = 2 * (by_code & masks[place, side]).sum() / (by_code.sum() + masks[place, side].sum())
    print(f"{place}, {side}: area expected {area(masks[place, side]):.0f} square mm, by name {area(by_name):.0f}, by codes "
          f"{area(by_code):.0f} (Dice {dice:.2f}), found {found}")
    both = masks[place, "Right"] | masks[place, "Left"]
    same &= bool((by_name == masks[place, side]).all() and (by_code == both).all())
    same &= found == [f"{place} Right", f"{place} Left"]
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore sides.py
