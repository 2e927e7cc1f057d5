"""Radiographs and masks as small pictures, for the tests of `data import png`."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIZE = (40, 30)
Y, X = np.mgrid[: SIZE[0], : SIZE[1]]
DISC = (X - 15) ** 2 + (Y - 20) ** 2 < 50


def film(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) + shade) % 251
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def save(path, mask, scale=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * np.uint8(scale)).save(path)
    return path
