#!/usr/bin/env bash
# Pillow scrambles the pixels of an uncompressed TIFF that its orientation tag turns by a quarter.
#
# Film scanners write uncompressed grey TIFF files, and state in the tag Orientation (5 to 8) that the film lay on its
# side. The guess was that opening such a file by its path and from memory gives the same picture, for it is one file.
# By path the pixels are cut into rows of the turned picture's length, and then turned: every row but the first begins at
# the wrong place, the sides are exchanged without a warning. From memory, or compressed, the same film is right.
# Read the file's bytes first: Image.open(io.BytesIO(path.read_bytes())).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
env/bin/python - <<'PYTHON'
import io
import sys
from pathlib import Path

import numpy as np
import PIL
import tifffile
from PIL import Image

print(f"Pillow {PIL.__version__}")
rows, columns = 60, 100
y, x = np.mgrid[:rows, :columns]
film = np.where((x - 30) ** 2 + (y - 25) ** 2 < 15**2, 200, 40).astype(np.uint8)  # one bone on its ground
turns = [np.rot90(view, quarter) for view in (film, film[:, ::-1]) for quarter in range(4)]
wrong = {}
for orientation in (1, 6, 8):
    path = Path(f"film{orientation}.tif")
    tifffile.imwrite(path, film, photometric="minisblack", extratags=[(274, "H", 1, orientation, True)])
    right = {1: film, 6: np.rot90(film, -1), 8: np.rot90(film, 1)}[orientation]
    with Image.open(path) as picture:
        by_path = np.asarray(picture)
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert np.array_equal(np.asarray(picture), right), "from memory it is right"
    # held against the film as it lies, turned and mirrored in every way
    wrong[orientation] = min(int((by_path != turn).sum()) for turn in turns if turn.shape == by_path.shape)
    print(f"orientation {orientation}: expected {right.shape}, seen from memory {right.shape}, by path {by_path.shape};")
    print(f"  pixels by path that are not those of the film, turned or mirrored in any way: {wrong[orientation]} of {film.size}")
sys.exit(not (wrong[1] == 0 and wrong[6] > 300 and wrong[8] > 300))
PYTHON
