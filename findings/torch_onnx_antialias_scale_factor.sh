#!/usr/bin/env bash
# PyTorch 2.14.1: ONNX export of an antialiased resize that is given by its scale factor.
#
# Guess: the exported network reduces a radiograph as the network does; if a kind of resize could not be exported, the export
#        would fail, and antialias=True and False would go wrong together.
# Seen:  without antialias the exported node carries the scale factor and agrees to 1e-6. With antialias=True it carries the
#        size instead, from which the runtime computes another scale wherever the radiograph is not a multiple of the factor: a
#        radiograph of 1,007 columns reduced to an eighth is stretched by 0.7 %, and a bone at its far side moves by 6 pixels of
#        the radiograph, which is 1 mm. There is no warning. Give size=, or recompute_scale_factor=True: both agree.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
cd "$folder"
cat > resize.py <<'PYTHON'
import sys

import numpy as np
import onnxruntime
import torch
from torch import nn

COLUMNS, SPACING = 1007, 0.15


class Reduce(nn.Module):
    def __init__(self, options):
        super().__init__()
        self.options = options

    def forward(self, film):
        return nn.functional.interpolate(film, mode="bilinear", **self.options)


def place(reduced):
    """Column of the bone's middle on the film, for a reduction to an eighth."""
    row = reduced[0, 0, reduced.shape[2] // 2]
    return float((row * (np.arange(len(row)) + 0.5)).sum() / row.sum()) * 8


print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)
bone = np.exp(-((np.arange(COLUMNS) - 947) ** 2) / 2 / 20**2)
film = torch.tensor(np.tile(bone, (64, 1)), dtype=torch.float32)[None, None]
moved = {}
for name, options in {
    "scale_factor": {"scale_factor": (0.125, 0.125)},
    "scale_factor, antialias": {"scale_factor": (0.125, 0.125), "antialias": True},
    "scale_factor, antialias, recomputed": {
        "scale_factor": (0.125, 0.125), "antialias": True, "recompute_scale_factor": True
    },
    "size, antialias": {"size": (8, 125), "antialias": True},
}.items():
    network = Reduce(options).eval()
    torch.onnx.export(network, (film,), "reduce.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession("reduce.onnx", providers=["CPUExecutionProvider"])
    seen = session.run(None, {session.get_inputs()[0].name: film.numpy()})[0]
    expected = network(film).numpy()
    assert expected.shape == seen.shape == (1, 1, 8, 125)
    moved[name] = place(seen) - place(expected)
    print(f"{name}: bone expected at column {place(expected):.1f}, seen at {place(seen):.1f}")
    print(f"  moved by {moved[name] * SPACING:+.2f} mm; largest difference {np.abs(seen - expected).max():.1e}")
wrong = moved.pop("scale_factor, antialias") < -5
same = wrong and max(map(abs, moved.values())) < 0.01
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
"$folder/venv/bin/python" -W ignore resize.py
