#!/usr/bin/env bash
# OpenCV 5.0.0 (cv2.dnn): tanh of more than about 44 is nan, and the next convolution turns the nan into mask.
#
# Guess: tanh is 1 there; and if an operator did fail, its nan would reach the output, where it is seen.
# Seen:  Tanh gives nan for large positive inputs, and a convolution gives the largest float for a nan. Behind a sigmoid
#        every value lies between 0 and 1, and the mask of one bone covers the whole radiograph. The network here applies Mish
#        as x tanh(softplus(x)) to the values of a 12-bit radiograph, with the operators that PyTorch writes for softplus;
#        ONNX's own Mish operator is right. Compare a network's masks with ONNX Runtime's before you use it in OpenCV,
#        and have Mish exported as the one operator (opset 18).
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2
cat > tanh.py <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node
from onnx.reference import ReferenceEvaluator

SIZE = 64
WEIGHTS = {
    "gain": np.full((1, 1, 1, 1), 0.1),
    "limit": 20.0,
    "weight": np.full((1, 1, 1, 1), 0.05),
    "bias": [-10.0],
}
SOFTPLUS = [
    make_node("Softplus", ["x"], ["soft"]),
    make_node("Greater", ["x", "limit"], ["large"]),
    make_node("Where", ["large", "x", "soft"], ["softplus"]),
]
MISH = {
    "x tanh(softplus(x))": [
        *SOFTPLUS, make_node("Tanh", ["softplus"], ["factor"]), make_node("Mul", ["x", "factor"], ["mish"])
    ],
    "the operator Mish": [make_node("Mish", ["x"], ["mish"])],
}


def save(name, nodes):
    used = {value for node in nodes for value in node.input}
    first, last = (helper.make_tensor_value_info(end, TensorProto.FLOAT, (1, 1, SIZE, SIZE)) for end in ("film", "out"))
    weights = [numpy_helper.from_array(np.float32(value), key) for key, value in WEIGHTS.items() if key in used]
    graph = helper.make_graph(nodes, "network", [first], [last], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, name)
    return name


def by_onnx(name, film):
    return ReferenceEvaluator(name).run(None, {"film": film})[0]


def by_opencv(name, film):
    network = cv2.dnn.readNetFromONNX(name)
    network.setInput(film, "film")
    return network.forward()


print("OpenCV", cv2.__version__)
ramp = np.linspace(-100, 100, SIZE * SIZE, dtype=np.float32).reshape(1, 1, SIZE, SIZE)
values = by_opencv(save("tanh.onnx", [make_node("Tanh", ["film"], ["out"])]), ramp)
lost = np.isnan(values)
right = np.allclose(values[~lost], np.tanh(ramp[~lost]), atol=1e-4)
print(f"tanh from -100 to 100: expected no nan; seen nan from {ramp[lost].min() if lost.any() else None}")
tenth = [make_node("Tanh", ["film"], ["tanh"]), make_node("Conv", ["tanh", "gain"], ["out"])]
behind = by_opencv(save("tenth.onnx", tenth), ramp)
print(f"a tenth of that by convolution: expected 0.1 at most; seen {behind.max():.3g}; nan: {np.isnan(behind).any()}")

row, column = np.mgrid[:SIZE, :SIZE]
bone = (row - 32) ** 2 + (column - 32) ** 2 < 400
noise = np.random.default_rng(0).integers(-200, 200, bone.shape)
film = (np.where(bone, 3000, 1000) + noise).astype(np.float32)[None, None]
flooded = {}
for name, mish in MISH.items():
    file = save("mish.onnx", [
        make_node("Conv", ["film", "gain"], ["x"]), *mish,
        make_node("Conv", ["mish", "weight", "bias"], ["logits"]), make_node("Sigmoid", ["logits"], ["out"]),
    ])
    expected, seen = by_onnx(file, film), by_opencv(file, film)
    finite = bool(np.isfinite(seen).all())
    print(f"{name}: expected {(expected > 0.5).sum()} pixels of bone, seen {(seen > 0.5).sum()}; no nan: {finite}")
    right &= finite and ((expected > 0.5) == bone).all()
    flooded[name] = int((seen > 0.5).sum() - bone.sum())
floods = flooded["x tanh(softplus(x))"] > 1000 and flooded["the operator Mish"] == 0
sys.exit(0 if right and lost.any() and not np.isnan(behind).any() and floods else 1)
PYTHON
env/bin/python tanh.py
