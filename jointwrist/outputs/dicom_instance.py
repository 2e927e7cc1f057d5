"""What all DICOM results share: UIDs, series and equipment of a new object, the mark of de-identification, the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointwrist.files import atomic

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "jointwrist"


def mark_deidentified(dataset: Dataset) -> None:
    """Mark a result as de-identified."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "patient and study attributes left empty; UIDs replaced"


def save_dataset(dataset: Dataset, path: str | Path) -> Path:
    """Write a DICOM file atomically and return its path."""
    path = Path(path)
    with atomic(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return path


def new_instance(series_number: int, series_description: str) -> dict[str, Any]:
    """Return the keyword arguments of a new highdicom object: UIDs, series and equipment.

    Args:
        series_number: Number of the series.
        series_description: Content of the series in a few words.
    """
    import highdicom as hd

    from jointwrist import __version__

    return {
        "series_instance_uid": hd.UID(),
        "series_number": series_number,
        "sop_instance_uid": hd.UID(),
        "instance_number": 1,
        "series_description": f"{series_description} (jointwrist, research only)",
        "specific_character_set": "ISO_IR 192",
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": "jointwrist",
        "software_versions": __version__,
        "device_serial_number": __version__,
    }
