#!/usr/bin/env bash
# onnx 1.23.2: a network moved to another version of ONNX's operators (onnx.version_converter.convert_version).
#
# Guess: the converted network computes what the network computed; where a version has no equal, it is refused, as
#        many conversions are.
# Seen:  up to version 10, Resize and Upsample map row r of the enlarged map to row r / factor, as the test vectors
#        published with it show (1, 2 enlarged by 2 is 1, 1.5, 2, 2). From 11 on that has to be asked for
#        (coordinate_transformation_mode "asymmetric"), which the converter leaves out: maps that are enlarged
#        bilinearly move by (factor - 1) / 2 of their pixels to the right and down, a bone by 3.5 pixels for a
#        factor of 8, which is 0.5 mm on a radiograph with pixels of 0.15 mm. Reduced ones move as well. By nearest
#        neighbours a factor of 2 is right and one of 1.7 is not. Up to version 12 Softmax, LogSoftmax and Hardmax
#        take all axes from the one named on together. Upwards, Softmax and LogSoftmax are converted rightly and
#        Hardmax is not. Downwards, Hardmax is refused and the others are left as they are: the probabilities of the
#        bones, which sum to 1 in each pixel, sum to 1 over the whole film, and none reaches one half. Shapes stay
#        the same, onnx's checker is content, and nothing is printed. Export the network anew, or write the
#        attribute into the converted Resize.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
export OMP_NUM_THREADS=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > convert.py <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter

ROWS, COLUMNS, CLASSES = 24, 32, 15


def network(operator, version, shape, constants=(), **attributes):
    """File of one operator of a version; constants are (name, array) pairs behind the input."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["film", *[name for name, _ in constants]], ["result"], **attributes)],
        "network",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, shape[1], "rows", "columns"])],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def run(model, film):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"film": film})[0]


def converted(model, version):
    model = version_converter.convert_version(model, version)
    assert model.opset_import[0].version == version
    onnx.checker.check_model(model, full_check=True)
    return model


def enlarged(film, factor, mode, half):
    """Film enlarged on rows (r + half) / factor - half, with repeated borders."""
    result = film.astype(float)
    for axis in (2, 3):
        size = film.shape[axis]
        places = (np.arange(int(size * factor)) + half) / factor - half
        places = np.clip(places, 0, size - 1)
        low = np.floor(places + 1e-6).astype(int)
        high = np.minimum(low + 1, size - 1)
        weight = (places - low) * (mode == "linear")
        weight = np.expand_dims(weight, [other for other in range(4) if other != axis])
        result = result.take(low, axis) * (1 - weight) + result.take(high, axis) * weight
    return result


def centre(film):
    y, x = np.indices(film.shape[2:])
    return np.array([(film[0, 0] * x).sum(), (film[0, 0] * y).sum()]) / film[0, 0].sum()


print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
same = True
y, x = np.mgrid[:ROWS, :COLUMNS]
bone = np.exp(-((x - 15) ** 2 + (y - 11) ** 2) / 18).astype(np.float32)[None, None]
for operator, version in [("Upsample", 9), ("Resize", 10)]:
    for mode, factor in [("linear", 2), ("linear", 8), ("linear", 0.5), ("nearest", 2), ("nearest", 1.7)]:
        if operator == "Upsample" and factor < 1:
            continue
        scales = [("scales", np.array([1, 1, factor, factor], np.float32))]
        model = network(operator, version, list(bone.shape), scales, mode=mode)
        before = run(model, bone)
        expected = enlarged(bone, factor, mode, half=0)
        same &= bool(np.allclose(before, expected, atol=1e-5))
        for target in (11, 13, 19):
            after = run(converted(model, target), bone)
            wrong = np.abs(after - before).max()
            moved = centre(after) - centre(before)
            print(f"{operator} {version} to {target}, {mode}, factor {factor}: bone expected at "
                  f"{centre(before).round(2)}, seen at {centre(after).round(2)}, moved by {moved.round(2)}")
            right = mode == "nearest" and factor == 2
            same &= bool(after.shape == before.shape and (wrong < 1e-5) == right)
            if mode == "linear":
                same &= bool(np.allclose(after, enlarged(bone, factor, mode, half=0.5), atol=1e-5))
                same &= bool(np.allclose(moved, (factor - 1) / 2, atol=0.05))

logits = np.random.default_rng(0).normal(0, 4, (1, CLASSES, ROWS, COLUMNS)).astype(np.float32)
for operator in ("Softmax", "LogSoftmax", "Hardmax"):
    for version, target in [(11, 13), (12, 19), (13, 11), (13, 12)]:
        model = network(operator, version, list(logits.shape), axis=1)
        before = run(model, logits)
        axes = (1, 2, 3) if version < 13 else (1,)
        if operator == "Hardmax":
            expected = (logits == logits.max(axis=axes, keepdims=True)).astype(float)
        else:
            expected = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=axes, keepdims=True)
            expected = np.log(expected) if operator == "LogSoftmax" else expected
        same &= bool(np.allclose(before, expected, atol=1e-4))
        try:
            after = run(converted(model, target), logits)
        except RuntimeError as error:
            print(f"{operator} {version} to {target}: refused, {type(error).__name__}")
            same &= operator == "Hardmax" and target < version
            continue
        same &= operator != "Hardmax" or target > version
        wrong = (np.abs(after - expected) > 1e-3).mean()
        print(f"{operator} {version} to {target}: {wrong:.0%} of values wrong")
        right = target > version and operator != "Hardmax"
        same &= bool(after.shape == before.shape and (wrong == 0) == right)
        if operator == "Softmax" and target < version:
            over = [(values.max(axis=1) > 0.5).mean() for values in (before, after)]
            print(f"  pixels with a bone above one half: expected {over[0]:.0%}, seen {over[1]:.0%}; sum in a pixel "
                  f"expected {before.sum(axis=1).mean():.2f}, seen {after.sum(axis=1).mean():.5f}")
            same &= bool(over[0] > 0.5 and over[1] == 0 and np.isclose(after.sum(), 1, atol=1e-3))
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore convert.py
