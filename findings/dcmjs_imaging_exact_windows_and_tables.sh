#!/usr/bin/env bash
# dcmjs-imaging 0.2.5: a radiograph with the window function LINEAR_EXACT, or with a look-up table.
#
# Guess: a film looks as its file says (PS3.3, C.11): a table of grey values before the window, the window's function,
#        or a table instead of the window; what is not supported is refused, as unknown transfer syntaxes are.
# Seen:  LINEAR and SIGMOID are right. LINEAR_EXACT leaves out the half in ((x - c) / w + 1/2): all values up to the
#        centre are black, the upper end of the window is mid-grey, and white is reached half a window too late. Tables
#        are left out without a warning. Many digital detectors describe their films by a VOI table; such a film is
#        stretched between its smallest and largest value instead, so that a collimated border or a marker sets its
#        contrast. Behind a modality table the window, which is meant for the table's values, is laid on the stored
#        ones. Render such films by pydicom or DCMTK; LINEAR with the centre raised by 1/2 and the width by 1 is
#        LINEAR_EXACT.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pydicom==3.0.1 numpy==2.4.6
npm install --silent --no-audit --no-fund dcmjs-imaging@0.2.5 dcmjs@0.50.1 > /dev/null
cat > render.js <<'JAVASCRIPT'
const fs = require("fs");
const { DicomImage } = require("dcmjs-imaging");
for (const path of process.argv.slice(2)) {
  const file = fs.readFileSync(path);
  const image = new DicomImage(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
  const pixels = new Uint8Array(image.render().pixels);
  fs.writeFileSync(path + ".txt", Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i]).join(" "));
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

VALUES = np.arange(0, 4096, 65)
CENTRE, WIDTH = 2048, 1000


def table(entries, first=0, modality=False):
    """Look-up table of 16 bits for values from first on."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, 16])
    item.add_new("LUTData", "OW", np.asarray(entries).astype("<u2").tobytes())
    if modality:
        item.ModalityLUTType = "US"
    return [item]


def write(path, **elements):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality = generate_uid(), generate_uid(), "CR"
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 1, len(VALUES), 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = VALUES.astype("<u2").tobytes()
    for name, value in elements.items():
        setattr(film, name, value)
    film.save_as(path, enforce_file_format=True)


def linear(values, centre=CENTRE, width=WIDTH):
    return np.clip(((values - (centre - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


window = {"WindowCenter": CENTRE, "WindowWidth": WIDTH}
curve = 65535 * np.clip((np.arange(4096) - 1500) / 1000, 0, 1) ** 0.7
square = np.arange(4096) ** 2 / 256
stretched = np.round(255 * VALUES / VALUES.max())
films = {
    "LINEAR": (window, linear(VALUES), None),
    "SIGMOID": (window | {"VOILUTFunction": "SIGMOID"}, 255 / (1 + np.exp(-4 * (VALUES - CENTRE) / WIDTH)), None),
    "LINEAR_EXACT": (window | {"VOILUTFunction": "LINEAR_EXACT"},
                     np.clip(((VALUES - CENTRE) / WIDTH + 0.5) * 255, 0, 255),
                     np.clip((VALUES - CENTRE) / WIDTH * 255, 0, 255)),
    "VOI table": ({"VOILUTSequence": table(curve)}, curve[VALUES] / 65535 * 255, stretched),
    "modality table, then LINEAR": ({"ModalityLUTSequence": table(square, modality=True), "WindowCenter": 16384,
                                              "WindowWidth": 16384},
                                    linear(square[VALUES], 16384, 16384), linear(VALUES, 16384, 16384)),
    "LINEAR_EXACT written as LINEAR": ({"WindowCenter": CENTRE + 0.5, "WindowWidth": WIDTH + 1},
                                       np.clip(((VALUES - CENTRE) / WIDTH + 0.5) * 255, 0, 255), None),
}
for number, (elements, _, _) in enumerate(films.values()):
    write(f"{number}.dcm", **elements)
subprocess.run(["node", "render.js", *[f"{number}.dcm" for number in range(len(films))]], check=True)
package = json.load(open("node_modules/dcmjs-imaging/package.json"))
print("dcmjs-imaging", package["version"])
same, shown = True, [0, 23, 27, 31, 35, 39, 63]
print("stored values", VALUES[shown])
for number, (name, (_, expected, described)) in enumerate(films.items()):
    seen = np.array(open(f"{number}.dcm.txt").read().split(), float)
    print(f"{name}: expected {expected[shown].round().astype(int)}, seen {seen[shown].astype(int)}; largest error "
          f"{np.abs(seen - expected).max():.0f}")
    same &= bool(np.abs(seen - (expected if described is None else described)).max() < 2)
    same &= described is None or bool(np.abs(seen - expected).max() > 50)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore films.py
