"""Operations on tensors and masks: ROIs of the joints, outlines, scale in mm, and the selective scan.

- `roi`: regions of interest, boxes and crops of the joints from predicted masks; `drawn_roi`: from annotated masks.
- `scan`: the selective scan, its backends and their choice.
- `outlines`, `wrist_scale`: outlines of masks and distances to them; the pixel spacing estimated from the carpus.
- `bits`, `derivatives`: types of bit maps; derivatives that compiled kernels do not provide.
"""
