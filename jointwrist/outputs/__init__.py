"""Files made of a result: overlay, DICOM objects, masks for other programs."""
