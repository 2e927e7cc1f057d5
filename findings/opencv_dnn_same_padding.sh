#!/usr/bin/env bash
# OpenCV 5.0.0 (cv2.dnn): 3x3 layers with a stride of 2 and auto_pad SAME_UPPER move the map by one pixel.
#
# Networks converted from Keras or TensorFlow may carry SAME_UPPER. Such a layer needs one row and one column of padding
# where the size is even, and they belong at the bottom and on the right.
#
# Guess: the new inference engine puts them there.
# Seen:  convolution and pooling put them at the top and on the left. Shapes stay the same, and there is no warning. Every
#        such layer moves what follows by one pixel of the map that it reads: after four of them a bone lies 15 pixels
#        from its place, which is 2 mm on a radiograph with pixels of 0.15 mm. Write the padding out as `pads`, or read
#        the network with engine=cv2.dnn.ENGINE_CLASSIC: both are right.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==5.0.0.93 onnx==1.23.2
cat > padding.py <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SIZE, STEPS = 512, 4
WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2]}
PADDINGS = {"SAME_UPPER": {"auto_pad": "SAME_UPPER"}, "pads": {"pads": [0, 0, 1, 1]}}


def save(operator, padding):
    """Four layers of one operator, each of which halves the size."""
    inputs = ["weight"] if operator == "Conv" else []
    nodes = [
        helper.make_node(operator, [f"map{step}", *inputs], [f"map{step + 1}"], **WINDOW, **PADDINGS[padding])
        for step in range(STEPS)
    ]
    ends = [
        helper.make_tensor_value_info(f"map{step}", TensorProto.FLOAT, (1, 1, SIZE >> step, SIZE >> step))
        for step in (0, STEPS)
    ]
    weights = [numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, np.float32), "weight")] if inputs else []
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "network.onnx")
    return "network.onnx"


def centre(values):
    """Row and column of the middle of what is bright, in pixels of the film."""
    weights = values[0, 0] / values.sum()
    return np.array([(weights.sum(axis) * np.arange(len(weights))).sum() for axis in (1, 0)]) * 2**STEPS


print("OpenCV", cv2.__version__)
row, column = np.mgrid[:SIZE, :SIZE]
film = np.exp(-((row - 250) ** 2 + (column - 260) ** 2) / 2 / 30**2).astype(np.float32)[None, None]
as_described = True
for operator in ("Conv", "AveragePool", "MaxPool"):
    for padding, engine in (("SAME_UPPER", "AUTO"), ("SAME_UPPER", "CLASSIC"), ("pads", "AUTO")):
        file = save(operator, padding)
        expected = ReferenceEvaluator(file).run(None, {"map0": film})[0]
        network = cv2.dnn.readNetFromONNX(file, engine=getattr(cv2.dnn, f"ENGINE_{engine}"))
        network.setInput(film, "map0")
        moved = np.abs(centre(network.forward()) - centre(expected))
        print(f"{operator}, {padding}, engine {engine}: expected 0.0 0.0 px off; seen", *moved.round(1))
        wanted = 15 if (padding, engine) == ("SAME_UPPER", "AUTO") else 0
        as_described &= bool(np.abs(moved - wanted).max() < 0.5)
sys.exit(0 if as_described else 1)
PYTHON
env/bin/python padding.py
