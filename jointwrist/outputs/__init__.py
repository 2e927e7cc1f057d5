"""Files made from a result: overlay, DICOM objects, masks for other programs."""
