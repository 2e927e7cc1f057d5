#!/usr/bin/env bash
# onnx 1.23.2: ReferenceEvaluator, the evaluator that exported networks are compared with.
#
# Guess: it computes what the standard says, slowly, or refuses; so a difference from it is a fault of the export or the runtime.
# Seen:  a transposed convolution of each channel by itself, by which some decoders enlarge their maps, gets its bias wrong:
#        every channel has that of the first. Weights are right, and so is the bias without groups; other numbers of
#        groups raise an error. A MaxPool with a stride of 2 and auto_pad SAME_LOWER pads on the side of SAME_UPPER, and its map
#        lies one pixel off; AveragePool is right. LpNormalization with p = 1 divides by the sum of the values instead of
#        that of their absolute values, which may be close to 0 or negative. All shapes are right. ONNX Runtime and the
#        definition agree in all of it. Compare with the network that was exported, not with this evaluator alone.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cat > reference.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime import InferenceSession

CHANNELS, SIZE = 4, 8
draw = np.random.default_rng(0)
values = draw.normal(size=(CHANNELS, SIZE, SIZE)).astype(np.float32)
weight = draw.normal(size=(CHANNELS, 1, 2, 2)).astype(np.float32)
bias = np.array([0, 1, 2, 3], np.float32)


def outputs(operator, constants, **attributes):
    """Output by ONNX Runtime and by the reference evaluator, (channels, rows, columns)."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["map", *constants], ["result"], **attributes)],
        "network",
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, CHANNELS, SIZE, SIZE])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, CHANNELS, "rows", "columns"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model, full_check=True)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"map": values[None]})[0][0], ReferenceEvaluator(model).run(None, {"map": values[None]})[0][0]


def enlarged(bias):
    """Each pixel becomes 2 x 2 pixels: itself times the channel's weights, plus the channel's bias."""
    return np.stack([np.kron(channel, kernel[0]) + b for channel, kernel, b in zip(values, weight, bias, strict=True)])


def pooled(reduce, before, after):
    padded = np.pad(values, [(0, 0), (before, after), (before, after)], constant_values=np.nan)
    return reduce(sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2], axis=(-2, -1))


print("onnx", version("onnx"))
twice = {"kernel_shape": [2, 2], "strides": [2, 2], "group": CHANNELS}
window = {"kernel_shape": [3, 3], "strides": [2, 2]}
zero = np.zeros(CHANNELS, np.float32)
first = np.full(CHANNELS, bias[0])
cases = [
    ("transposed convolution without bias", outputs("ConvTranspose", {"weight": weight}, **twice), enlarged(zero), enlarged(zero)),
    ("transposed convolution with bias", outputs("ConvTranspose", {"weight": weight, "bias": bias}, **twice),
     enlarged(bias), enlarged(first)),
    ("MaxPool, SAME_UPPER", outputs("MaxPool", {}, auto_pad="SAME_UPPER", **window),
     pooled(np.nanmax, 0, 1), pooled(np.nanmax, 0, 1)),
    ("MaxPool, SAME_LOWER", outputs("MaxPool", {}, auto_pad="SAME_LOWER", **window),
     pooled(np.nanmax, 1, 0), pooled(np.nanmax, 0, 1)),
    ("AveragePool, SAME_LOWER", outputs("AveragePool", {}, auto_pad="SAME_LOWER", **window),
     pooled(np.nanmean, 1, 0), pooled(np.nanmean, 1, 0)),
    ("LpNormalization, p = 1", outputs("LpNormalization", {}, axis=1, p=1),
     values / np.abs(values).sum(0), values / values.sum(0)),
    ("LpNormalization, p = 2", outputs("LpNormalization", {}, axis=1, p=2),
     values / np.linalg.norm(values, axis=0), values / np.linalg.norm(values, axis=0)),
]
same = True
for name, (runtime, reference), expected, described in cases:
    print(f"{name}: largest difference from the definition: ONNX Runtime {np.abs(runtime - expected).max():.1e}, "
          f"reference {np.abs(reference - expected).max():.1e}, by channel {np.abs(reference - expected).max((1, 2)).round(2)}")
    same &= bool(np.allclose(runtime, expected, atol=1e-5) and np.allclose(reference, described, rtol=1e-3, atol=1e-5))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore reference.py
