"""Inference time of the joint network for one wrist, compared with single-task models that give the same outputs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed_parts.measurements import times_in_turns
from jointwrist.anatomy import NUM_JOINTS
from jointwrist.registry import create_model

#: Compared models: the joint network, and the single-task models that it replaces.
COMPARISONS = (
    ("jointwrist_base", ("swin_umamba",)),
    ("jointwrist_tiny", ("unetpp", "mobilevit")),
)


def forward(name: str, image: Tensor, crops: Tensor) -> Callable[[], Any]:
    """Return a call that runs a model with random weights: on the crops if it is a classifier, else on the image."""
    model = create_model(name).eval()
    inputs = crops if name == "mobilevit" else image

    @torch.inference_mode()
    def run() -> Any:
        return model(inputs)

    return run


def benchmark_inference(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print the median of each model and the ratios; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py inference", description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="side of the radiograph in pixels (default: %(default)s)")
    parser.add_argument("--crop", type=int, default=224, help="side of a joint crop in pixels (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each (default: %(default)s)")
    arguments = parser.parse_args(argv)

    image = torch.rand(1, 1, arguments.size, arguments.size)
    crops = torch.rand(NUM_JOINTS, 1, arguments.crop, arguments.crop)
    rows = []
    for joint, others in COMPARISONS:
        names = (joint, *others)
        calls = {name: forward(name, image, crops) for name in names}
        times = times_in_turns(calls, arguments.repeats, warm_up=True)
        for name in names:
            what = f"{NUM_JOINTS} crops of {arguments.crop} px" if name == "mobilevit" else f"{arguments.size} px"
            print(f"{name:20} {what:20} {times[name]:9.1f} ms")
            rows.append({"name": f"{name}, {what}", "value": times[name], "unit": "ms"})
        ratio = sum(times[name] for name in others) / times[joint]
        print(f"{' + '.join(others)} take {ratio:.2f} times as long as {joint}\n")
        rows.append({"name": f"{' + '.join(others)} to {joint}", "value": ratio, "unit": ""})
    return rows
