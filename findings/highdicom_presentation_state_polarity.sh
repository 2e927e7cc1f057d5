#!/usr/bin/env bash
# A presentation state that highdicom makes from a MONOCHROME1 radiograph shows its negative.
#
# Radiographs are often stored as MONOCHROME1, where the smallest value is white. Within a grayscale softcopy
# presentation state the photometric interpretation no longer matters: the presentation look-up table alone says
# which end is bright (PS3.3, C.11.6). A state that only adds graphics and is made without a look-up table is guessed
# to leave the radiograph unchanged, as it keeps the radiograph's window: an INVERSE shape for MONOCHROME1. It states IDENTITY for both
# kinds, and DCMTK, here as itkwasm-dicom, renders the radiograph's negative. Pass presentation_lut_transformation yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet highdicom==0.28.2 pydicom==3.0.2 itkwasm-dicom==7.6.4 itkwasm-dicom-wasi==7.6.4 itkwasm==1.0b201
env/bin/python - <<'PYTHON'
import sys

import highdicom as hd
import numpy as np
from itkwasm_dicom import apply_presentation_state_to_image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


def film(photometric):
    """Background on the left, bone on the right, shown dark and bright."""
    values = np.zeros((64, 64), np.uint16)
    values[:, 32:] = 4095
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    film = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.Modality, film.Laterality, film.InstanceNumber, film.SeriesNumber = "CR", "L", 1, 1
    film.PatientName = film.PatientID = "Phantom^"
    for name in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        setattr(film, name, "")
    film.AccessionNumber = film.ReferringPhysicianName = ""
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 64, 64, 1, photometric
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.WindowCenter, film.WindowWidth = 2048, 4096
    film.PixelData = (values if photometric == "MONOCHROME2" else 4095 - values).tobytes()
    return film


print(f"highdicom {hd.__version__}")
shown = {}
for photometric in ("MONOCHROME2", "MONOCHROME1"):
    source = film(photometric)
    source.save_as("film.dcm", enforce_file_format=True)
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source], series_instance_uid=hd.UID(), series_number=2, sop_instance_uid=hd.UID(),
        instance_number=1, manufacturer="none", manufacturer_model_name="none", software_versions="1",
        device_serial_number="1", content_label="OUTLINES",
    )
    # the renderer wants a spacing, which the state of a film lacks
    area = state.DisplayedAreaSelectionSequence[0]
    del area.PresentationPixelAspectRatio
    area.PresentationPixelSpacing = [0.15, 0.15]
    state.save_as("state.dcm", enforce_file_format=True)
    picture = np.asarray(apply_presentation_state_to_image("film.dcm", "state.dcm")[1].data, int).squeeze()
    shown[photometric] = int(picture[32, 8]), int(picture[32, 56])
    print(f"{photometric}: presentation look-up table {state.PresentationLUTShape}")
    print(f"  expected: background 0, bone 255; seen: background {shown[photometric][0]}, bone {shown[photometric][1]}")
sys.exit(shown != {"MONOCHROME2": (0, 255), "MONOCHROME1": (255, 0)})
PYTHON
