"""Radiographs in DICOM files."""
