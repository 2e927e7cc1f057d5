#!/usr/bin/env bash
# dicom2jpg 0.1.10: radiographs as pictures of 8 bits (dicom2img, dicom2jpg, dicom2png).
#
# Guess: as the readme says, the modality, VOI and presentation tables are applied, so that a picture looks as in a
#        DICOM viewer: under one window, a grey value has the same brightness on all films, and a wide window shows a
#        film with little contrast.
# Seen:  after the window, the darkest pixel of the film is set to 0 and the brightest to 255, so that a window which
#        is wider than the film has no effect. Bone of one grey value on the films of two visits, with one window in
#        both files, has a brightness of 255 on the one and of 55 on the other, which has a metal marker beside the
#        hand; a viewer shows 60 on both. The contrast of bone to soft tissue is five times the viewer's on the first,
#        and so is a density that is measured on the pictures. MONOCHROME1 and the sigmoid are stretched as well. A
#        film that reaches both ends of its window comes out right, but for the sigmoid. Take pydicom's apply_voi_lut,
#        or put both ends of the window into a corner of the film.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet dicom2jpg==0.1.10 pydicom==3.0.2 numpy==2.4.6 opencv-python==5.0.0.93
cat > pictures.py <<'PYTHON'
import sys
from importlib.metadata import version
from io import BytesIO

import dicom2jpg
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

TISSUE, BONE = 600, 960


def picture(grey, window, function="LINEAR", photometric="MONOCHROME2"):
    """The picture of a film of 12 bits, by dicom2jpg."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.Modality, film.SamplesPerPixel, film.PhotometricInterpretation = "CR", 1, photometric
    film.Rows, film.Columns = grey.shape
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.WindowCenter, film.WindowWidth, film.VOILUTFunction = *window, function
    film.PixelData = grey.astype("<u2").tobytes()
    file = BytesIO()
    film.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dicom2jpg.io2img(file)


def standard(value, window, function="LINEAR", photometric="MONOCHROME2"):
    """Brightness of a grey value, by PS3.3, C.11.2."""
    centre, width = window
    if function == "SIGMOID":
        bright = 255 / (1 + np.exp(-4 * (value - centre) / width))
    else:
        bright = 255 * np.clip((value - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    return 255 - bright if photometric == "MONOCHROME1" else bright


def hand(*markers):
    """Air of 150, soft tissue and bone; then one column for each marker beside the hand."""
    film = np.full((100, 100), 150)
    film[20:80, 20:80], film[40:60, 30:70] = TISSUE, BONE
    for column, marker in enumerate(markers):
        film[:10, column] = marker
    return film


print("dicom2jpg", version("dicom2jpg"), "pydicom", version("pydicom"))
films = {"hand alone": hand(), "with a metal marker": hand(3900), "with both ends of the window": hand(0, 4095)}
wide = {"window": (2048, 4096)}
kinds = {"window 0 to 4095": wide, "MONOCHROME1": {**wide, "photometric": "MONOCHROME1"},
         "sigmoid": {**wide, "function": "SIGMOID"}}
same = True
for kind, options in kinds.items():
    expected = np.array([standard(value, **options) for value in (TISSUE, BONE)])
    contrast = abs(expected[1] - expected[0])
    print(f"{kind}: brightness of soft tissue and bone expected {expected.round().astype(int)}, "
          f"contrast {contrast:.0f}")
    for name, film in films.items():
        result = picture(film, **options).astype(int)
        seen = np.array([result[25, 25], result[50, 50]])
        print(f"  seen, {name + ':':30} {seen}, contrast {abs(seen[1] - seen[0])}")
        if name == "hand alone":
            alone = seen
            same &= bool(abs(seen[1] - seen[0]) > 4 * contrast and seen[1] in (0, 255))
        elif name == "with a metal marker":
            same &= bool(abs(seen[1] - alone[1]) > 190)
        elif kind != "sigmoid":
            same &= bool(np.abs(seen - expected).max() < 1.5)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python pictures.py
