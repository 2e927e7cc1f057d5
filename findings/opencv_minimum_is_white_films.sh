#!/usr/bin/env bash
# OpenCV 5.0.0: radiographs stored as TIFF with the smallest value white (PhotometricInterpretation 0), or with 12 bits.
#
# Digitised films are stored so.
#
# Guess: imread gives a film one polarity, that of the file or the one on the screen, whichever the depth of the file
#        and the flags; and the values of a film of 12 bits packed without gaps are 0 to 4095, as tifffile returns
#        them.
# Seen:  files of 8 bits are inverted, whatever the flags, IMREAD_UNCHANGED included. Files of 16 bits are not, if they
#        are read as they are (IMREAD_UNCHANGED, IMREAD_ANYDEPTH), and are if they are reduced to 8 bits on reading
#        (IMREAD_GRAYSCALE, the default): one file, read twice, is a film and its negative. A network that learnt from
#        copies of 8 bits sees negatives when it is given the originals. Values of 12 bits come out 16 times too large,
#        up to 65,520. Nothing warns. Upstream meant 16 bits to be read unchanged (issue 9550 of 2017), and left 8 bits
#        as they were. tifffile never inverts: look at the tag there, and invert and scale yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==5.0.0.93 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cat > films.py <<'PYTHON'
import sys

import cv2
import numpy as np
import tifffile

FLAGS = {
    "IMREAD_UNCHANGED": cv2.IMREAD_UNCHANGED,
    "IMREAD_GRAYSCALE | IMREAD_ANYDEPTH": cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH,
    "IMREAD_GRAYSCALE": cv2.IMREAD_GRAYSCALE,
    "IMREAD_COLOR": cv2.IMREAD_COLOR,
}


def trend(values):
    """'rises' where large values of the file are large in the picture, 'falls' where it is the negative."""
    correlation = np.corrcoef(np.arange(values.size), values.ravel().astype(float))[0, 1]
    assert abs(correlation) > 0.99
    return "rises" if correlation > 0 else "falls"


print("OpenCV", cv2.__version__, "tifffile", tifffile.__version__)
same = True
for bits, step in ((8, 1), (16, 257)):
    film = (np.arange(256) * step).reshape(16, 16).astype(f"u{bits // 8}")
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite("film.tif", film, photometric=photometric)
        assert np.array_equal(tifffile.imread("film.tif"), film)
        seen = {}
        for name, flag in FLAGS.items():
            picture = cv2.imread("film.tif", flag)
            picture = picture[..., 0] if picture.ndim == 3 else picture
            seen[name] = trend(picture), picture.dtype
        print(f"{bits} bits, {photometric}")
        for name, (how, kind) in seen.items():
            print(f"  {name:36} {how} ({kind})")
        deep = [name for name, (_, kind) in seen.items() if kind == np.uint16]
        assert len(deep) == (2 if bits == 16 else 0)
        for name, (how, _) in seen.items():
            same &= how == ("falls" if photometric == "miniswhite" and name not in deep else "rises")

film = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)
tifffile.imwrite("film.tif", film, bitspersample=12, photometric="minisblack")
assert np.array_equal(tifffile.imread("film.tif"), film)
seen = cv2.imread("film.tif", cv2.IMREAD_UNCHANGED)
print(f"12 bits: expected {film.ravel()[[0, 1, 128, 255]]}, seen {seen.ravel()[[0, 1, 128, 255]]}")
same &= bool(np.array_equal(seen, film * 16))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore films.py
