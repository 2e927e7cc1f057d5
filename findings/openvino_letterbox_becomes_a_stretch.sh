#!/usr/bin/env bash
# OpenVINO 2026.4.1: an ONNX network that fits a radiograph into its input by Resize with keep_aspect_ratio_policy.
#
# Guess: the policy is followed; or the network is refused, as one with another unknown choice of Resize is (the modes
#        tf_crop_and_resize and half_pixel_symmetric of the coordinates).
# Seen:  the policy is left out without a word, and the film is stretched to the sizes that were meant as its limits. A
#        network that pads the film to a square behind the Resize runs all the same, as the padding that it computes from
#        the shape is then nothing: round bones come out as ellipses of twice their area, and a distance in mm differs by
#        the direction. ONNX Runtime and ONNX's reference follow the policy. Resize before the network, or compute the
#        sizes in the graph.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cat > letterbox.py <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node
from onnx.reference import ReferenceEvaluator

SIDE, HEIGHT, WIDTH = 128, 256, 128
CONSTANTS = {
    "limits": np.array([SIDE, SIDE]), "square": np.array([SIDE, SIDE]), "none": np.array([0, 0]), "axes": np.array([2, 3]),
    "first": np.array([2]), "last": np.array([4]),
}


def network(**choice):
    """Fit the film into a square, and pad it to the square on its right and below."""
    nodes = [
        make_node("Resize", ["film", "", "", "limits"], ["small"], mode="linear", axes=[2, 3], **choice),
        make_node("Shape", ["small"], ["shape"]),
        make_node("Slice", ["shape", "first", "last"], ["size"]),
        make_node("Sub", ["square", "size"], ["missing"]),
        make_node("Concat", ["none", "missing"], ["margins"], axis=0),
        make_node("Pad", ["small", "margins", "", "axes"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "letterbox",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 1, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def by_openvino(model):
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(film)[0]


def by_runtime(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"film": film})[0]


def extent(picture):
    rows, columns = np.nonzero(picture[0, 0] > 0.5)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1, len(rows)


print("OpenVINO", openvino.__version__)
y, x = np.mgrid[:HEIGHT, :WIDTH]
film = ((y - 120.5) ** 2 + (x - 63.5) ** 2 < 40**2).astype(np.float32)[None, None]
model = network(keep_aspect_ratio_policy="not_larger")
expected = extent(ReferenceEvaluator(model).run(None, {"film": film})[0])
runtime, seen = extent(by_runtime(model)), extent(by_openvino(model))
print("a bone of 80 x 80 pixels on a film of 256 x 128, fitted into 128 x 128")
print(f"expected: {expected[0]} x {expected[1]} pixels, area {expected[2]}; ONNX Runtime {runtime[0]} x {runtime[1]}")
print(f"seen: {seen[0]} x {seen[1]} pixels, area {seen[2]}")
stretched = extent(by_openvino(network(keep_aspect_ratio_policy="stretch")))
print("the same as with the policy 'stretch':", seen == stretched)
try:
    by_openvino(network(coordinate_transformation_mode="half_pixel_symmetric"))
    refused = False
except Exception as error:
    refused = "half_pixel" in str(error)
print("another choice that OpenVINO does not know is refused:", refused)
right = abs(expected[0] - expected[1]) <= 1 and abs(expected[0] - 40) <= 1 and runtime == expected
same = right and seen == stretched and seen[1] > 1.9 * seen[0] and refused
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python letterbox.py
