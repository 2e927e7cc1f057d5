"""Operations on tensors and masks: the selective scan, regions of interest of joints, outlines."""
