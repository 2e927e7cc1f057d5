#!/usr/bin/env bash
# daikon 1.2.46: grey values of a MONOCHROME1 radiograph with signed pixels (image.getInterpretedData).
#
# Guess: daikon inverts MONOCHROME1, so that white is large: each grey value keeps one of its own, in the reverse order,
#        and signed pixels are inverted about the middle of their range: v becomes -1 - v.
# Seen:  unsigned films are so: v becomes 4095 - v with 12 bits. Of a signed film all negative values, half of the
#        range, become the largest one, 2047, and the others 2047 - v. Bone, which is low in MONOCHROME1, becomes one
#        even white, without trabeculae; minimum and maximum of the result look as if nothing had been lost. MONOCHROME2
#        is right, signed or not. Besides, a slope and intercept are applied after the inversion, to 4095 - v, although
#        the file states them for v. Read getRawData, rescale and then invert it yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pydicom==3.0.1 numpy==2.4.6
npm install --silent --no-audit --no-fund daikon@1.2.46 > /dev/null
cat > read.js <<'JAVASCRIPT'
const fs = require("fs");
const daikon = require("daikon");
for (const path of process.argv.slice(2)) {
  const file = fs.readFileSync(path);
  const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
  const image = daikon.Series.parseImage(new DataView(bytes));
  fs.writeFileSync(path + ".txt", Array.from(image.getInterpretedData(false, true).data).join(" "));
}
JAVASCRIPT
cat > films.py <<'PYTHON'
import json
import subprocess
import sys

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


def film():
    """Wrist in 12 bits as MONOCHROME1, from 0: soft tissue, and a bone with trabeculae that is low, as it is bright."""
    y, x = np.mgrid[:120, :160]
    bone = ((x - 80) / 60) ** 2 + ((y - 60) / 35) ** 2 <= 1
    trabeculae = 300 * np.sin(x / 3) * np.sin(y / 4)
    erosion = (x - 80) ** 2 + (y - 30) ** 2 <= 12**2
    return np.where(bone & ~erosion, 1200 + trabeculae, 2900 + 3 * x).astype(int), bone & ~erosion


def write(path, values, signed, photometric, **elements):
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality = generate_uid(), generate_uid(), "CR"
    image.Rows, image.Columns = values.shape
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, photometric, int(signed)
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelData = values.astype("<i2" if signed else "<u2").tobytes()
    for name, value in elements.items():
        setattr(image, name, value)
    image.save_as(path, enforce_file_format=True)


values, bone = film()
scale = {"RescaleSlope": "0.5", "RescaleIntercept": "100", "RescaleType": "US"}
cases = {
    "MONOCHROME2, unsigned": (values, False, "MONOCHROME2", {}, values, values),
    "MONOCHROME2, signed": (values - 2048, True, "MONOCHROME2", {}, values - 2048, values - 2048),
    "MONOCHROME1, unsigned": (values, False, "MONOCHROME1", {}, 4095 - values, 4095 - values),
    "MONOCHROME1, signed": (values - 2048, True, "MONOCHROME1", {}, 2047 - values,
                            2047 - np.maximum(values - 2048, 0)),
    "MONOCHROME1, unsigned, rescaled": (values, False, "MONOCHROME1", scale, None, (4095 - values) / 2 + 100),
}
for number, (stored, signed, photometric, elements, _, _) in enumerate(cases.values()):
    write(f"{number}.dcm", stored, signed, photometric, **elements)
subprocess.run(["node", "read.js", *[f"{number}.dcm" for number in range(len(cases))]], check=True)
print("daikon", json.load(open("node_modules/daikon/package.json"))["version"])
same = True
for number, (name, (_, _, _, _, expected, described)) in enumerate(cases.items()):
    seen = np.array(open(f"{number}.dcm.txt").read().split(), float).reshape(values.shape)
    grey = len(np.unique(seen[bone]))
    print(f"{name}: {seen.min():g} to {seen.max():g}, bone of {grey} grey values out of {len(np.unique(values[bone]))}")
    same &= bool(np.array_equal(seen, described))
    if expected is not None:
        print(f"  wrong {(seen != expected).mean():.0%} of pixels, in the bone {(seen != expected)[bone].mean():.0%}")
        same &= bool(np.array_equal(seen, expected)) == (name != "MONOCHROME1, signed")
        same &= (grey == 1) == (name == "MONOCHROME1, signed")
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore films.py
