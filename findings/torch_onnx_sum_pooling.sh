#!/usr/bin/env bash
# PyTorch 2.14.1: ONNX export of avg_pool2d with a custom divisor.
#
# Guess: a divisor that ONNX's AveragePool cannot express is written out as a product, or the export refuses, as it does
#        for other options that ONNX lacks.
# Seen:  both exporters leave the divisor out. Sum pooling, avg_pool2d(..., divisor_override=1), which gives the area of a
#        bone from its mask cell by cell, exports as mean pooling: here every area is a sixty-fourth of what it is. The
#        network's own output is right, the file passes ONNX's checker without a warning. Multiply a mean by the size
#        of the window instead.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2
cd "$folder"
cat > pool.py <<'PYTHON'
import sys

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

CELL = 8


class Area(nn.Module):
    """Pixels of bone in every cell of the film."""

    def __init__(self, divided):
        super().__init__()
        self.divided = divided

    def forward(self, mask):
        if self.divided:
            return nn.functional.avg_pool2d(mask, CELL, divisor_override=1)
        return nn.functional.avg_pool2d(mask, CELL) * CELL**2


print("torch", torch.__version__)
y, x = np.mgrid[:64, :64]
mask = torch.tensor(((x - 30) ** 2 + (y - 33) ** 2 < 20**2).astype(np.float32))[None, None]
bone = int(mask.sum())
areas = {}
for divided in (False, True):
    network = Area(divided).eval()
    assert int(network(mask).sum()) == bone, "the network itself is right"
    for dynamo in (False, True):
        torch.onnx.export(network, (mask,), "area.onnx", dynamo=dynamo, verbose=False)
        model = onnx.load("area.onnx")
        onnx.checker.check_model(model, full_check=True)
        seen = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: mask.numpy()})[0]
        areas[divided, dynamo] = float(seen.sum())
        kind = "divisor_override=1" if divided else "mean times window"
        exporter = "torch.export" if dynamo else "tracing"
        print(f"{kind}, exported by {exporter}: expected {bone} pixels of bone, seen {areas[divided, dynamo]:.2f}")
same = all(abs(area - bone / (CELL**2 if divided else 1)) < 0.01 for (divided, _), area in areas.items())
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
"$folder/venv/bin/python" -W ignore pool.py
