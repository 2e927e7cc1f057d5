#!/usr/bin/env bash
# tract 0.23.9: ONNX networks that measure bones by GlobalLpPool, or enlarge a map by ConvTranspose to a stated
# size.
#
# Guess: both give what ONNX defines, to rounding; what is not supported is refused, as some operators are.
# Seen:  GlobalLpPool with p = 1, the area of each bone from its mask, gives the mean: 0.0498 instead of 3,055
#        pixels for a bone on 200 x 307 pixels. It is the p-th root of the mean where the root of the sum belongs,
#        so that p = 2 is a root mean square; and signs are kept for odd p, so that a map with negative values has a
#        norm below 0 for p = 1, and nan for p = 3. ReduceL1 and ReduceL2 are right. ConvTranspose with output_shape
#        cuts an odd row and column off at the bottom and right, where ONNX cuts them at the top and left: every
#        such layer moves what follows by one pixel of its map, four of them by 15 pixels of the film, 2 mm on a
#        radiograph with pixels of 0.15 mm. Written out as pads, the same layer is right. Shapes are right in all of
#        it, and nothing is printed. ONNX Runtime agrees with the definitions.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet tract==0.23.9 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > measure.py <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import tract
from onnx import TensorProto, helper, numpy_helper


def outputs(nodes, film, constants=()):
    """Outputs of the network by tract and by ONNX Runtime; its input is "film" and its output "result"."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, list(film.shape))],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, film.shape[1], "rows", "columns"])],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "network.onnx")
    seen = tract.onnx().load("network.onnx").into_model().into_runnable().run([film])[0].to_numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession("network.onnx", options, providers=["CPUExecutionProvider"])
    return np.array(seen), session.run(None, {"film": film})[0]


def enlarged(film, weight, cut):
    """Transposed convolution of one channel with a stride of 2; cut: rows and columns cut at the top and left."""
    rows, columns = film.shape
    result = np.zeros((2 * rows + 1, 2 * columns + 1))
    for (y, x), value in np.ndenumerate(film):
        result[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += value * weight
    return result[cut : cut + 2 * rows, cut : cut + 2 * columns]


def centre(film):
    y, x = np.indices(film.shape)
    return np.array([(film * y).sum(), (film * x).sum()]) / film.sum()


print("tract", version("tract"), "onnxruntime", version("onnxruntime"))
same = True
y, x = np.mgrid[:200, :307]
masks = np.stack([((x - 150) / a) ** 2 + ((y - 90) / b) ** 2 <= 1 for a, b in [(50, 19.4), (20, 12), (80, 60)]])
masks = masks.astype(np.float32)[None]
signed = np.random.default_rng(0).normal(-0.1, 2, (1, 3, 200, 307)).astype(np.float32)
for name, film in {"masks": masks, "signed map": signed}.items():
    values = film[0].astype(float)
    for p in (1, 2, 3):
        expected = (np.abs(values) ** p).sum(axis=(1, 2)) ** (1 / p)
        with np.errstate(invalid="ignore"):
            described = (values**p).mean(axis=(1, 2)) ** (1 / p)
        seen, runtime = outputs([helper.make_node("GlobalLpPool", ["film"], ["result"], p=p)], film)
        print(f"{name}, GlobalLpPool, p = {p}: expected {expected.round(1)}, seen {seen.ravel().round(4)}")
        same &= bool(seen.shape == (1, 3, 1, 1) and np.allclose(runtime.ravel(), expected, rtol=1e-3))
        same &= bool(np.allclose(seen.ravel(), described, rtol=1e-2, atol=1e-3, equal_nan=True))
        same &= not np.isclose(seen.ravel(), expected, rtol=0.5).any()
        if p < 3:
            axes = [("axes", np.array([2, 3]))]
            seen, _ = outputs([helper.make_node(f"ReduceL{p}", ["film", "axes"], ["result"])], film, axes)
            same &= bool(np.allclose(seen.ravel(), expected, rtol=1e-3))

y, x = np.mgrid[:13, :17]
bone = np.exp(-((x - 8) ** 2 + (y - 6) ** 2) / 6).astype(np.float32)[None, None]
weight = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]).astype(np.float32)[None, None]
constants = [("weight", weight)]
size = {"output_shape": [26, 34]}
for name, attributes in {"output_shape": size, "pads": {"pads": [1, 1, 0, 0]}}.items():
    node = helper.make_node(
        "ConvTranspose", ["film", "weight"], ["result"], kernel_shape=[3, 3], strides=[2, 2], **attributes
    )
    seen, runtime = outputs([node], bone, constants)
    expected, moved = (enlarged(bone[0, 0], weight[0, 0], cut) for cut in (1, 0))
    print(f"ConvTranspose, {name}: bone expected at {centre(expected).round(2)}, seen at {centre(seen[0, 0]).round(2)}")
    same &= bool(seen.shape == (1, 1, 26, 34) and np.allclose(runtime[0, 0], expected, atol=1e-4))
    same &= bool(np.allclose(seen[0, 0], expected if name == "pads" else moved, atol=1e-4))
nodes, sizes = [], [(13 * 2**i, 17 * 2**i) for i in range(1, 5)]
for i, shape in enumerate(sizes):
    given, result = "film" if i == 0 else f"map{i}", "result" if i == 3 else f"map{i + 1}"
    nodes.append(helper.make_node(
        "ConvTranspose", [given, "weight"], [result], kernel_shape=[3, 3], strides=[2, 2], output_shape=list(shape)
    ))
seen, runtime = outputs(nodes, bone, constants)
off = centre(seen[0, 0]) - centre(runtime[0, 0])
print(f"four layers: bone expected at {centre(runtime[0, 0]).round(1)}, seen at {centre(seen[0, 0]).round(1)}")
same &= bool(seen.shape == runtime.shape and np.allclose(off, 15, atol=0.5))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore measure.py
