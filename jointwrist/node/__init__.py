"""A DICOM node beside a PACS: receives radiographs, predicts them, sends the results back."""
