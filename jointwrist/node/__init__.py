"""A DICOM node: receives radiographs from a PACS, predicts them and sends the results back."""
