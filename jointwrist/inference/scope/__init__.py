"""Detection of radiographs outside a network's scope: fused bones, metal, casts, growth plates, other projections.

- `assess`: from image and masks to a report.
- `aligned_wrist`, `joint_line`: the radiograph aligned with the mean wrist, and resampled along a joint.
- `features`, `neighbours`: features of findings, and of the joint line between two bones.
- `report`: findings and limits of each bone.
"""
