#!/usr/bin/env bash
# onnxoptimizer 0.4.2: a network that pads its map with zeros and then pools it, after onnxoptimizer.optimize.
#
# Guess: the passes that are applied unless others are named keep the output, as the project promises; padding is moved into
#        a pooling only where both say the same.
# Seen:  zeros before a MaxPool become the pooling's own padding, which does not count: a window at the border of the radiograph whose
#        values are all negative has 0 before and a negative value afterwards. Behind a ReLU nothing shows; behind GELU,
#        Mish or a normalisation it does. Zeros before an AveragePool that leaves its own padding out of the mean are merged with that,
#        and all of it is counted afterwards. Shapes stay the same, and onnx's checker is content. An AveragePool without
#        padding of its own is right. Leave fuse_pad_into_pool out of the list of passes.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet onnxoptimizer==0.4.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cat > pooling.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxoptimizer
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

SIZE = 16, 20


def network(pool, **attributes):
    """A row and column of zeros on each side, then pooling by 3 x 3 with a stride of 2."""
    nodes = [
        helper.make_node("Pad", ["map", "zeros"], ["padded"]),
        helper.make_node(pool, ["padded"], ["pooled"], kernel_shape=[3, 3], strides=[2, 2], **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, *SIZE])],
        [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 1, "rows", "columns"])],
        [numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "zeros")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def output(model, values):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"map": values[None, None]})[0][0, 0]


def pooled(values, reduce, own_padding=0):
    """By definition: zeros first, then padding of the pooling's own, which does not count (nan)."""
    padded = np.pad(np.pad(values, 1), own_padding, constant_values=np.nan)
    return reduce(sliding_window_view(padded, (3, 3))[::2, ::2], axis=(-2, -1))


print("onnxoptimizer", version("onnxoptimizer"))
values = np.random.default_rng(0).normal(-1, 1, SIZE).astype(np.float32)
cases = {
    "largest value": (network("MaxPool"), values, pooled(values, np.nanmax), False),
    "largest value behind a ReLU": (network("MaxPool"), values.clip(0), pooled(values.clip(0), np.nanmax), True),
    "mean": (network("AveragePool"), values, pooled(values, np.nanmean), True),
    "mean, padding of its own not counted": (
        network("AveragePool", pads=[1, 1, 1, 1]), values, pooled(values, np.nanmean, 1), False
    ),
}
same = True
for name, (model, given, expected, right) in cases.items():
    before, optimised = output(model, given), onnxoptimizer.optimize(model)
    onnx.checker.check_model(optimised, full_check=True)
    after = output(optimised, given)
    wrong = ~np.isclose(after, expected, atol=1e-5)
    print(f"{name}: first row expected {expected[0, :4].round(2)}, before {before[0, :4].round(2)}, "
          f"after {after[0, :4].round(2)}; wrong {wrong.sum()} of {wrong.size}, inside {wrong[1:-1, 1:-1].sum()}")
    same &= bool(np.allclose(before, expected, atol=1e-5) and after.shape == before.shape)
    same &= bool(wrong.any() != right and not wrong[1:-1, 1:-1].any())
    same &= [node.op_type for node in optimised.graph.node][-1:] == [model.graph.node[-1].op_type]
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore pooling.py
