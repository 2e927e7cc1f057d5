#!/usr/bin/env bash
# read-roi 1.6.0 and roifile 2026.2.10: ImageJ outlines with sub-pixel coordinates, written by one and read by the other.
#
# Joint margins are traced in ImageJ, or exported to it, to fractions of a pixel: a joint narrows by 0.1 mm a year, which is
# less than a pixel of most radiographs.
#
# Guess: read-roi returns the coordinates that ImageJ would show. The file holds each point twice, as a float and as a
#        rounded integer for old readers, and a bit of its options says that the floats count.
# Seen:  read-roi looks whether that bit is the only one set. roifile sets two more (how labels of overlays are drawn), as
#        ImageJ does for fitted splines and others, and the rounded integers are returned without a warning. A joint that
#        narrows by 0.4 pixels does not narrow, or narrows by a whole pixel, as the margins happen to fall. With the
#        one bit alone, the same file is right. Read such files with roifile.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet read-roi==1.6.0 roifile==2026.2.10 numpy==2.4.6
cat > margins.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import roifile
from read_roi import read_roi_file
from roifile import ROI_OPTIONS

COLUMNS = np.arange(100.0, 160.0, 10.0)


def trace(row, name, options=None):
    """Rows of a horizontal joint margin, written by roifile and read by both."""
    roi = roifile.ImagejRoi.frompoints(np.column_stack([COLUMNS, np.full(len(COLUMNS), row)]))
    roi.roitype, roi.name = roifile.ROI_TYPE.FREELINE, name
    if options is not None:
        roi.options = options
    roi.tofile(f"{name}.roi")
    kept = roifile.roiread(f"{name}.roi").coordinates()[:, 1]
    return float(np.mean(kept)), float(np.mean(read_roi_file(f"{name}.roi")[name]["y"]))


print("read-roi", version("read-roi"), "roifile", version("roifile"))
same = True
for upper in (200.1, 200.4):
    widths = {}
    for year, width in enumerate((12.3, 11.9)):
        margins = [trace(row, f"margin{row:.1f}") for row in (upper, upper + width)]
        alone = [trace(row, f"alone{row:.1f}", ROI_OPTIONS.SUB_PIXEL_RESOLUTION) for row in (upper, upper + width)]
        roundtrip, seen = (margins[1][reader] - margins[0][reader] for reader in (0, 1))
        single = alone[1][1] - alone[0][1]
        print(f"margin at {upper}, year {year}: width expected {width:.2f} pixels, roifile reads {roundtrip:.2f}, "
              f"read-roi {seen:.2f}, read-roi with the one option alone {single:.2f}")
        assert abs(roundtrip - width) < 1e-3, "the file holds the fractions"
        widths[year] = seen
        same &= abs(single - width) < 1e-3 and seen == round(upper + width) - round(upper)
    narrowing = widths[0] - widths[1]
    print(f"  narrowing expected 0.40 pixels, seen {narrowing:.2f}")
    same &= narrowing in (0.0, 1.0)
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python margins.py
