#!/usr/bin/env bash
# MNN 3.6.1: networks converted from ONNX that enlarge a radiograph by bicubic interpolation, or sample it on a grid.
#
# Guess: both give what ONNX defines, to rounding, borders included; what the converter cannot do it refuses.
# Seen:  enlarged by 2, the first row is the third, and the first column the third: at the upper and left border the
#        first half factor of rows and columns shows what lies one factor further in, 16 rows for a factor of 32. On a
#        ramp of 10 grey values a row the first value is 7.35 instead of -1.16. Everything else is right to rounding,
#        and so are bilinear interpolation, cubic with aligned corners and a film that is reduced. Half-pixel
#        coordinates are ONNX's default. GridSample with padding_mode="reflection" repeats the border instead of
#        reflecting the film: a film turned on its grid has streaks in its corners. Neither is mentioned. Enlarge
#        bilinearly or with aligned corners, and reflect by Pad first.
#
# The converter is called directly: its command, mnnconvert, also runs "pip install" for a package that reports its use
# to the makers, with whichever pip comes first.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet mnn==3.6.1 onnx==1.23.2 numpy==2.4.6
cat > borders.py <<'PYTHON'
import os
import sys
from importlib.metadata import version

import _tools
import MNN.expr
import MNN.nn
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS, COLUMNS = 12, 16


def converted(film, operator, constant, **attributes):
    """Output of one operator, by MNN."""
    inputs = ["film", "", "constant"] if operator == "Resize" else ["film", "constant"]
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["result"], **attributes)],
        "network",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 1, ROWS, COLUMNS])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 1, "rows", "columns"])],
        [numpy_helper.from_array(constant.astype(np.float32), "constant")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "network.onnx")
    output = os.dup(1)
    with open("converter.txt", "a") as log:
        os.dup2(log.fileno(), 1)
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", "network.onnx", "--MNNModel", "network.mnn"])
        os.dup2(output, 1)
    os.close(output)
    given = MNN.expr.placeholder([1, 1, ROWS, COLUMNS], MNN.expr.NCHW)
    given.write(film[None, None])
    result = MNN.nn.load_module_from_file("network.mnn", ["film"], ["result"]).forward([given])[0]
    return np.array(MNN.expr.convert(result, MNN.expr.NCHW).read())[0, 0]


def weights(places, size, mode):
    """Rows of interpolation weights for places in pixels; pixels beyond the border are those at the border."""
    table = np.zeros((len(places), size))
    for row, place in enumerate(places):
        for pixel in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            t, a = abs(place - pixel), -0.75
            if mode == "linear":
                weight = max(0, 1 - t)
            else:
                weight = (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4) * (t < 2)
            table[row, np.clip(pixel, 0, size - 1)] += weight
    return table


def enlarged(film, factor, mode, corners):
    places = [
        np.arange(int(size * factor)) * (size - 1) / (int(size * factor) - 1)
        if corners == "align_corners"
        else (np.arange(int(size * factor)) + 0.5) / factor - 0.5
        for size in film.shape
    ]
    return weights(places[0], ROWS, mode) @ film @ weights(places[1], COLUMNS, mode).T


def reflected(places, size):
    """Places in pixels, mirrored at the outer sides of the first and last pixel."""
    places = np.abs(places + 0.5) % (2 * size)
    return np.clip(np.where(places > size, 2 * size - places, places) - 0.5, 0, size - 1)


print("mnn", version("mnn"))
ramp = np.add.outer(10.0 * np.arange(ROWS), np.arange(COLUMNS)).astype(np.float32)
texture = np.random.default_rng(0).normal(100, 20, (ROWS, COLUMNS)).astype(np.float32)
cases = [
    ("cubic", 2, "half_pixel", 1), ("cubic", 4, "half_pixel", 2), ("cubic", 32, "half_pixel", 16),
    ("cubic", 0.5, "half_pixel", 0), ("cubic", 2, "align_corners", 0), ("linear", 2, "half_pixel", 0),
]
same, lines = True, []
for mode, factor, corners, border in cases:
    for name, film in {"ramp": ramp, "texture": texture}.items():
        expected = enlarged(film, factor, mode, corners)
        seen = converted(film, "Resize", np.array([1, 1, factor, factor]), mode=mode,
                         coordinate_transformation_mode=corners)
        inner = np.abs(seen - expected)[border:, border:].max()
        lines.append(f"{mode}, factor {factor}, {corners}, {name}: first value expected {expected[0, 0]:.2f}, seen "
                     f"{seen[0, 0]:.2f}; largest error without {border} rows and columns {inner:.4f}")
        same &= bool(seen.shape == expected.shape and inner < 0.01)
        if border:
            wrong = np.abs(seen - expected)
            further_in = expected[factor : factor + border, factor : factor + border]
            same &= bool(np.allclose(seen[:border, :border], further_in, atol=0.01))
            same &= bool(wrong[:border].max() > 1 and wrong[:, :border].max() > 1)

across, down = np.linspace(-4, COLUMNS + 3, 60), np.linspace(-3, ROWS + 2, 40)
grid = np.stack(np.meshgrid((2 * across + 1) / COLUMNS - 1, (2 * down + 1) / ROWS - 1), axis=-1)[None]
outside = np.logical_or.outer((down < 0) | (down > ROWS - 1), (across < 0) | (across > COLUMNS - 1))
repeated = weights(np.clip(down, 0, ROWS - 1), ROWS, "linear") @ texture
repeated = repeated @ weights(np.clip(across, 0, COLUMNS - 1), COLUMNS, "linear").T
mirrored = weights(reflected(down, ROWS), ROWS, "linear") @ texture
mirrored = mirrored @ weights(reflected(across, COLUMNS), COLUMNS, "linear").T
for padding, expected, right in [("border", repeated, True), ("reflection", mirrored, False)]:
    seen = converted(texture, "GridSample", grid, padding_mode=padding, align_corners=0)
    wrong = np.abs(seen - expected) > 0.01
    lines.append(f"grid with {padding}: wrong {wrong.sum()} of {wrong.size}, within the film {wrong[~outside].sum()}, "
                 f"unlike the repeated border {(np.abs(seen - repeated) > 0.01).sum()}")
    same &= bool(wrong.any() != right and not wrong[~outside].any() and np.allclose(seen, repeated, atol=0.01))
log = open("converter.txt").read()
lines.append(f"the converter mentions cubic: {'cubic' in log.lower()}, reflection: {'reflect' in log.lower()}")
same &= "cubic" not in log.lower() and "reflect" not in log.lower() and "Success" in log
print(*lines, sep="\n")
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore borders.py
