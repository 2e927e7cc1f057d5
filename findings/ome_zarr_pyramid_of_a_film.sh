#!/usr/bin/env bash
# ome-zarr 0.18.0: the smaller copies of a radiograph (write_image with scale_factors and method).
#
# Guess: scale_factors=[4, 16] writes copies of a quarter and a sixteenth of the film; and a bone of a copy, at the scale and
#        translation that the file states, lies where it lies on the film, whichever method made the copy.
# Seen:  a list of numbers is counted, not read: [4, 16] writes a half and a quarter, as [3, 9] and [2, 4] do. The file states
#        what it holds, so that nothing but the sizes tells. Factors given by axis are right. With method="local_mean"
#        and sides that are no multiple of the factor, means are taken of exactly 2 x 2 pixels, while the file states the
#        ratio of the sizes, such as 1,007 / 503. The error grows with each copy and with the distance from the corner: at a
#        sixteenth a bone is 14 pixels of the film, 2 mm, from its place. "resize" keeps it within a fifth of a pixel.
#        ome-zarr 0.21.0, for Python 3.12, has the same lines. Give factors by axis, and pad the film to a multiple of
#        the largest, or use "resize".
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet ome-zarr==0.18.0 zarr==3.1.6 dask==2026.8.0 numpy==2.2.6
cat > pyramid.py <<'PYTHON'
import sys

import numpy as np
import ome_zarr
import zarr
from ome_zarr.writer import write_image

MM = 0.15
AXES = [{"name": name, "type": "space", "unit": "millimeter"} for name in "yx"]


def levels(film, folder, **settings):
    """The copies in a file, with the scale and translation that it states for each."""
    group = zarr.open_group(folder, mode="w")
    write_image(film, group, axes=AXES, scale={"y": MM, "x": MM}, storage_options={"chunks": (256, 256)}, **settings)
    for dataset in group.attrs["ome"]["multiscales"][0]["datasets"]:
        stated = {kind: next((step[kind] for step in dataset["coordinateTransformations"] if step["type"] == kind), [0, 0])
                  for kind in ("scale", "translation")}
        yield np.asarray(group[dataset["path"]]), np.array(stated["scale"]), np.array(stated["translation"])


def place(copy, scale, translation, about):
    """Centroid in mm of what lies within 60 pixels of the film from a point."""
    y, x = (axis * s + t for axis, s, t in zip(np.indices(copy.shape), scale, translation))
    weight = copy * ((abs(y - about[0]) < 60 * MM) & (abs(x - about[1]) < 60 * MM))
    return np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()


print("ome-zarr", ome_zarr.__version__)
same = True
film = np.zeros((1024, 1024), np.uint16)
for factors in ([4, 16], [3, 9], [2, 4], [{"y": 4, "x": 4}, {"y": 16, "x": 16}]):
    scales = [float((scale / MM).round(3)[0]) for _, scale, _ in levels(film, "factors.zarr", scale_factors=list(factors))]
    print(f"scale_factors={factors}: copies at 1 / {scales[1:]}")
    same &= scales == ([1, 4, 16] if isinstance(factors[0], dict) else [1, 2, 4])

bone = np.array([920.0, 1400.0])
y, x = np.mgrid[:1007, :1511]
film = (4000 * np.exp(-((y - bone[0]) ** 2 + (x - bone[1]) ** 2) / (2 * 20**2))).astype(np.uint16)
means = film.astype(float)
for method in ("resize", "local_mean"):
    for level, (copy, scale, translation) in enumerate(levels(film, "film.zarr", scale_factors=[2, 4, 8, 16], method=method)):
        off = np.linalg.norm(place(copy, scale, translation, bone * MM) - bone * MM)
        print(f"{method}, copy of {copy.shape[0]} x {copy.shape[1]} pixels, stated scale {scale.round(4)} mm: "
              f"bone {off:.2f} mm ({off / MM:.1f} pixels of the film) from its place")
        same &= bool(off < 0.2 * MM) if method == "resize" or level == 0 else bool(off > 0.08 * 2**level)
        if method == "local_mean" and level:
            rows, columns = copy.shape
            means = means[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3)).astype(np.uint16)
            right = place(means, np.array([MM, MM]) * 2**level, np.array([MM, MM]) * (2**level - 1) / 2, bone * MM)
            same &= bool((copy == means).all() and np.linalg.norm(right - bone * MM) < 0.2 * MM)
            print(f"  its pixels are means of {2**level} x {2**level}; so read {np.linalg.norm(right - bone * MM):.2f} mm")
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore pyramid.py
