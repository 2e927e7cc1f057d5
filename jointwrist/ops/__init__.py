"""Operations on tensors and masks: selective scan, regions of interest of the joints, outlines."""
