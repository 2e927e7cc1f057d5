"""Parts of the comparison of two visits, which `inference.comparison` makes.

- `visits`, `visit_pixels`: whether they are visits of one patient, and their pixels and masks.
- `registration`: the motion between the radiographs, by bones that do not move relative to each other.
- `bone_motion`: the motion of one bone, for `inference.space_change`.
"""
