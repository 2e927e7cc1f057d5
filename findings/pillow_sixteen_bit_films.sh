#!/usr/bin/env bash
# Pillow 13.0.0: radiographs of 16 bits, rotated, resized, composed and saved without loss.
#
# Guess: what cannot be done with 16 bits is refused, as a Gaussian blur, an inversion and saving as JPEG are; a film that
#        was stored with the other byte order (modes I;16 and I;16B) is the same film.
# Seen:  rotate and transform with BILINEAR or BICUBIC interpolate the low byte alone: the film comes out in 0 to 255,
#        with a jump wherever its grey value crosses a multiple of 256. With I;16B, as big-endian TIFF files are opened,
#        resize confuses the two bytes as well, although I;16 is right. paste through a soft mask mixes each byte on its
#        own. WebP with lossless=True and AVIF clip every value at 255, which makes a white picture. All of it in
#        silence. Convert to mode F first (and to 8 bits yourself for the web), or work with NumPy arrays.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
cat > film.py <<'PYTHON'
import io
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image, ImageFilter, ImageOps

HEIGHT, WIDTH = 120, 160
y, x = np.mgrid[:HEIGHT, :WIDTH]
film = (2000 + 1500 * np.exp(-((x - 80) ** 2 + (y - 60) ** 2) / 2 / 30**2) + 4 * x).astype(np.uint16)
mask = Image.fromarray((255 * np.clip((40 - np.hypot(x - 80, y - 60)) / 20, 0, 1)).astype(np.uint8))


def opened(byte_order):
    file = io.BytesIO()
    tifffile.imwrite(file, film, photometric="minisblack", byteorder=byte_order)
    file.seek(0)
    return Image.open(file)


def pasted(picture):
    picture = picture.copy()
    picture.paste(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (0, 0), mask)
    return picture


def saved(picture, **options):
    file = io.BytesIO()
    picture.save(file, **options)
    return np.asarray(Image.open(file)).astype(float)


def off(operation, picture):
    """Largest difference from the same operation on the film in floating point."""
    return float(np.abs(np.asarray(operation(picture), float) - np.asarray(operation(floating), float)).max())


print("Pillow", PIL.__version__)
little, big = opened("<"), opened(">")
floating = Image.fromarray(film.astype(np.float32))
assert (little.mode, big.mode) == ("I;16", "I;16B")
assert np.array_equal(np.asarray(little), film) and np.array_equal(np.asarray(big), film)
operations = {
    "transpose": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "rotate, bilinear": lambda picture: picture.rotate(10, Image.Resampling.BILINEAR),
    "transform, bicubic": lambda picture: picture.transform(
        (WIDTH, HEIGHT), Image.Transform.AFFINE, (0.9, 0, 5, 0, 0.9, 5), Image.Resampling.BICUBIC
    ),
    "resize, bilinear": lambda picture: picture.resize((100, 80), Image.Resampling.BILINEAR),
    "paste by a mask": pasted,
}
found = {}
print(f"film of grey values {film.min()} to {film.max()}; difference from the same in floating point, expected 1 at most:")
for name, operation in operations.items():
    found[name] = off(operation, little), off(operation, big)
    print(f"  {name}: seen {found[name][0]:.1f} (little-endian), {found[name][1]:.1f} (big-endian)")
turned = np.asarray(operations["rotate, bilinear"](little))
print(f"largest grey value of the film rotated with bilinear: expected {film.max()}, seen {turned.max()}")
refused = 0
for refusal in (ImageOps.invert, lambda p: p.filter(ImageFilter.GaussianBlur(2)), lambda p: saved(p, format="JPEG")):
    try:
        refusal(little)
    except (OSError, ValueError):
        refused += 1
print(f"inversion, blur and JPEG are refused: {refused == 3}")
white = [saved(little, format="WEBP", lossless=True), saved(little, format="AVIF", quality=100)]
kept = saved(little, format="PNG")
print(f"saved as PNG: {kept.min():.0f} to {kept.max():.0f}")
for name, values in zip(("WebP without loss", "AVIF"), white):
    print(f"saved as {name}: expected a refusal, seen {values.min():.0f} to {values.max():.0f}")

right = max(*found["transpose"], found["resize, bilinear"][0]) <= 1.5
wrong = min(*found["rotate, bilinear"], *found["transform, bicubic"], *found["paste by a mask"]) > 100
wrong &= found["resize, bilinear"][1] > 100 and turned.max() <= 255
same = right and wrong and refused == 3 and np.array_equal(kept, film) and min(map(np.min, white)) == 255
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python film.py
