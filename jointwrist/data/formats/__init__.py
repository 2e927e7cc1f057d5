"""Bone masks in the files of other tools, one module a format.

Each module reads and writes the masks of one radiograph, or of a whole file of radiographs (COCO), as it lies: x to the
right, y down, left hands not mirrored. What is read are pairs of a name and a (H, W) bool mask, `Named`; what is
written are `Layer`s, which have a colour as well. `predicted.find_masks` finds out which format a folder holds.
"""
