"""Bone masks in the files of other tools, one module per format.

Each module reads and writes the masks of one radiograph, or of many (COCO), in the orientation of the image: x to the
right, y down, left hands not mirrored. Reading gives pairs of a name and a (H, W) bool mask, `Named`; writing takes
`Layer`s, which also have a colour. `predicted.find_masks` detects the format of a folder.
"""
