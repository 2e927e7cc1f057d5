"""DICOM radiographs that the tests make."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


def radiograph(bits: int = 12, signed: bool = False) -> np.ndarray:
    """A (72, 64) ramp over all values of a bit depth, with its extremes."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    kind = ("int" if signed else "uint") + ("8" if bits == 8 else "16")
    return np.linspace(low, high, 72 * 64).round().astype(kind).reshape(72, 64)


def make(pixels: np.ndarray | None = None, bits: int = 12, **attributes) -> FileDataset:
    """A computed radiograph of a left hand, uncompressed; an attribute that is None is removed."""
    pixels = radiograph(bits) if pixels is None else pixels
    meta = FileMetaDataset()
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CR", "Doe^Jane", "secret-17"
    dataset.ImagerPixelSpacing, dataset.Laterality = [0.15, 0.15], "L"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    meta.MediaStorageSOPClassUID = attributes.get("SOPClassUID") or dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = attributes.get("SOPInstanceUID") or dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def content(dataset: FileDataset) -> bytes:
    """What `save` writes."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
