#!/usr/bin/env bash
# DCMTK 3.6.7 (Debian 12): the size of a pixel after dcmscale has cropped or scaled a radiograph.
#
# A wrist is cut out of a film of both hands, and large films are reduced before they are sent or shown.
#
# Guess: cropping (+C) leaves the pixels as large as they were; scaling by a half (+Sxf 0.5) doubles whichever of Pixel
#        Spacing and Imager Pixel Spacing the film has. A bone is as long in mm as before.
# Seen:  a crop changes Pixel Spacing by the ratio of the whole film to the crop, as if the film had been shrunk into
#        it: cut out of 400 x 300 pixels of 0.15 mm, a wrist of 100 x 150 pixels has pixels of 0.6 x 0.3 mm. Its bones
#        are twice to four times as long, and bent out of shape, as the two ratios differ. Scaled as well, it is wrong
#        by the same ratio. Imager Pixel Spacing, the only one that most radiographs have (CR and DX), is right after a
#        crop, and is left as it was when the film is scaled: at a half, all lengths are half of what they are. There
#        is no warning. Write both yourself afterwards, from those of the film and the factor alone.
#
# Exits with 0 as long as that is so, with 1 once it has changed. Needs Debian 12 (amd64) with its package lists.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
apt-get download --quiet=2 dcmtk=3.6.7-9~deb12u4 libdcmtk17=3.6.7-9~deb12u4 libdeflate0 libicu72 libjbig0 \
	libjpeg62-turbo liblerc4 liblzma5 libpng16-16 libtiff6 libwebp7 libxml2 libzstd1 zlib1g 2> /dev/null
for package in *.deb; do dpkg -x "$package" root; done
place() { realpath "$(find root -name "$1" -print -quit)"; }
PATH="$(dirname "$(place dcmscale)"):$PATH"
DCMDICTPATH="$(place dicom.dic)"
LD_LIBRARY_PATH="$(find root -name '*.so*' -printf '%h\n' | sort -u | xargs realpath | paste -sd:)"
export PATH DCMDICTPATH LD_LIBRARY_PATH
python3 -m venv env
env/bin/pip install --quiet pydicom==3.0.2 numpy==2.4.6
cat > spacing.py <<'PYTHON'
import subprocess
import sys

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS, SIZE = 400, 300, 0.15  # pixels, pixels, mm
BONE, LENGTH = np.s_[120:180, 130:170], np.array([9, 6])  # 60 x 40 pixels, mm
CROP = ["+C", "100", "100", "150", "100"]  # left, top, width, height: 100 rows of 150 pixels around the bone


def write(path, keyword):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality = generate_uid(), generate_uid(), "CR"
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    pixels = np.full((ROWS, COLUMNS), 500, "<u2")
    pixels[BONE] = 3000
    film.PixelData = pixels.tobytes()
    setattr(film, keyword, [SIZE, SIZE])
    film.save_as(path, enforce_file_format=True)


def bone(path, keyword):
    """Length and width of the bone in mm, by the size of a pixel that the file states, and that size."""
    film = dcmread(path)
    inside = film.pixel_array > 1750
    size = np.array(film[keyword].value, float)
    return np.array([inside.any(axis=1).sum(), inside.any(axis=0).sum()]) * size, size


print(subprocess.run(["dcmscale", "--version"], capture_output=True, text=True).stdout.split(" $")[0].strip("$ \n"))
tasks = {
    "half": (["+Sxf", "0.5"], 2),
    "cropped": (CROP, 1),
    "cropped, half": (["-i", *CROP, "+Sxf", "0.5"], 2),
}
same = True
for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
    write("film.dcm", keyword)
    print(keyword, f"{SIZE} mm")
    for name, (options, factor) in tasks.items():
        run = subprocess.run(["dcmscale", *options, "film.dcm", "out.dcm"], check=True, capture_output=True, text=True)
        seen, size = bone("out.dcm", keyword)
        print(f"  {name:14} bone expected {LENGTH[0]} x {LENGTH[1]} mm, seen {seen[0]:.1f} x {seen[1]:.1f} mm; pixels "
              f"expected {factor * SIZE:.2f}, seen {size[0]:.2f} x {size[1]:.2f} mm; warnings: {run.stderr or 'none'}")
        if keyword == "PixelSpacing":
            described = LENGTH * (np.array([ROWS / 100, COLUMNS / 150]) if CROP[0] in options else 1)
        else:
            described = LENGTH / factor
        same &= bool(np.allclose(seen, described, rtol=0.02)) and not run.stderr
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore spacing.py
