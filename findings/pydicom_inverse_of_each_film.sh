#!/usr/bin/env bash
# pydicom 3.0.2: grey values of films by the presentation LUT (pixels.apply_presentation_lut), the last of three steps
# after apply_modality_lut and apply_voi_lut, and by highdicom 0.28.2.
#
# Films of digital radiography state the shape INVERSE where low values are bright (MONOCHROME1), and two films with one
# window can be compared.
#
# Guess: the shape INVERSE turns the range of the window or of the stored bits round: 4095 - v. A table maps that range
#        to its entries. One value has one grey, as in highdicom.
# Seen:  INVERSE subtracts from the largest value that this film happens to have, so that the darkest pixel of every
#        film is 0. The same bone under the same window is 1495 on a film whose beam was collimated and 2695 on one with
#        a strip of direct exposure, where both should be 2695; a crop of the bone alone is 0. A table is worse: the
#        film is stretched from its own smallest to its own largest value first, so that the window loses its effect,
#        and a bone that should be 87 of 255 is 0 on one film and 113 on the same with a bright marker. Nothing warns.
#        Subtract from the largest possible value, 4095 for 12 bits, or take highdicom's Image.get_frame.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --no-compile pydicom==3.0.2 highdicom==0.28.2 numpy==2.4.6
cat > inverse.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from highdicom import Image
from pydicom import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_presentation_lut, apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

LARGEST, BONE = 4095, 1400
SOFT_TISSUE, AIR, MARKER = 2300, 2895, 200
EMPTY = ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber")


def film(pixels):
    """A film of 12 bits whose low values are bright, with a window that shows all of them."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (generate_uid() for _ in range(3))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    for keyword in (*EMPTY, "ReferringPhysicianName"):
        setattr(dataset, keyword, "")
    dataset.PatientID, dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "1", "DX", "1", "1"
    dataset.set_pixel_data(pixels.astype("uint16"), "MONOCHROME1", 12)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", "US"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PresentationLUTShape = "INVERSE"
    return dataset


def windowed(dataset):
    return apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)


plain = np.full((60, 40), AIR)
plain[10:50, 5:35] = SOFT_TISSUE
plain[15:45, 10:30] = BONE
marked, exposed, both = plain.copy(), plain.copy(), plain.copy()
for pixels, value, row in ((marked, MARKER, 2), (exposed, LARGEST, 56), (both, MARKER, 2), (both, LARGEST, 56)):
    pixels[row : row + 3, 2:20] = value
films = {"plain": plain, "with a marker": marked, "with direct exposure": exposed, "with both": both}
films["crop within the bone"] = plain[20:40, 15:25]

print("pydicom", version("pydicom"), "highdicom", version("highdicom"))
same = True
table = Dataset()
table.LUTDescriptor, table.LUTData = [256, 0, 8], bytes(range(256))
table["LUTData"].VR = "OW"
state = Dataset()
state.PresentationLUTSequence = [table]
inverted, tabled = {}, {}
for name, pixels in films.items():
    dataset = film(pixels)
    values = windowed(dataset)
    row, column = np.argwhere(pixels == BONE)[0]
    inverted[name] = apply_presentation_lut(values, dataset)[row, column]
    tabled[name] = apply_presentation_lut(values, state)[row, column] if values.max() > values.min() else None
    reference = Image.from_dataset(dataset).get_frame(1, apply_voi_transform=True)[row, column] * LARGEST
    print(f"{name}: bone {values[row, column]:.0f} after the window; inverted: expected {LARGEST - BONE}, highdicom "
          f"{reference:.0f}, seen {inverted[name]:.0f}; by a table of 0 to 255 in even steps: expected "
          f"{BONE / LARGEST * 255:.0f}, seen {tabled[name]}")
    same &= bool(np.isclose(values[row, column], BONE) and np.isclose(reference, LARGEST - BONE))
    same &= bool(np.isclose(inverted[name], values.max() - BONE))
same &= bool(np.isclose(inverted["plain"], 1495) and np.isclose(inverted["with direct exposure"], LARGEST - BONE))
same &= bool(np.isclose(inverted["crop within the bone"], 0))
same &= int(tabled["plain"]) == 0 and int(tabled["with a marker"]) > 100
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore inverse.py
