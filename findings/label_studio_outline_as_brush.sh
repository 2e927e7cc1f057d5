#!/usr/bin/env bash
# label-studio-sdk 2.1.2: an outline as a brush label, by converter.brush.contour2rle.
#
# Guess: contour2rle(contours, number, img_width, img_height) encodes the filled outline, so that decode_rle returns the
#        mask that mask2rle returns for the same bone.
# Seen:  the outline is filled on a picture whose width and height are exchanged. What lies beyond is cut off, and the rows
#        that are left are cut again at the radiograph's width, which shears the bone into stripes. The length is right, so no
#        reader objects, and square radiographs are right. Draw the outline as a mask yourself and use mask2rle, or pass
#        height and width in exchange.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==4.12.0.88 pillow==12.3.0
# the converter's module alone, without the client's other dependencies
env/bin/pip install --quiet --no-deps label-studio-sdk==2.1.2
cat > outline.py <<'PYTHON'
import importlib.util
import sys
from importlib.metadata import distribution

import cv2
import numpy as np

package = distribution("label-studio-sdk")
spec = importlib.util.spec_from_file_location("brush", package.locate_file("label_studio_sdk/converter/brush.py"))
brush = importlib.util.module_from_spec(spec)
spec.loader.exec_module(brush)


def bone(height, width):
    y, x = np.mgrid[:height, :width]
    return ((x - 0.6 * width) / (0.25 * width)) ** 2 + ((y - 0.5 * height) / (0.2 * height)) ** 2 < 1


def decode(code, mask):
    """The opacity, which Label Studio takes for the label."""
    return brush.decode_rle(code).reshape(*mask.shape, 4)[..., 3] > 0


print("label-studio-sdk", package.version)
shares = {}
for height, width in ((200, 200), (150, 200)):
    mask = bone(height, width)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    assert np.array_equal(decode(brush.mask2rle(mask.astype(np.uint8) * 255), mask), mask), "as a mask it is right"
    for order in ("width, height", "height, width"):
        sizes = {"img_width": width, "img_height": height}
        if order == "height, width":
            sizes = {"img_width": height, "img_height": width}
        seen = decode(brush.contour2rle(contours, 0, **sizes), mask)
        shares[height, width, order] = float((seen & mask).sum() / mask.sum())
        print(f"film {width} x {height}, {order}: expected {mask.sum()} pixels, seen {seen.sum()}")
        print(f"  of the bone's pixels {shares[height, width, order]:.0%} are labelled")
same = shares.pop((150, 200, "width, height")) < 0.5 and min(shares.values()) == 1
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python outline.py
