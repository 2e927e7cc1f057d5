"""Speed of the surface metrics against MONAI's, on the bones of phantom wrists."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from benchmarks.speed_parts.measurements import threads, times_in_turns
from jointwrist.data.sample import unpack_masks
from jointwrist.metrics.segmentation import case_metrics, overlap_metrics
from jointwrist.phantom import PhantomConfig, make_wrist


def imperfect(masks: np.ndarray, rng: np.random.Generator, pixels: float) -> np.ndarray:
    """(C, H, W) masks as a network would draw them: every pixel moved by a smooth field of this standard deviation."""
    size = masks.shape[1:]
    shifts = gaussian_filter(rng.normal(size=(2, *size)), (0, 12, 12))
    shifts *= pixels / shifts.std()
    rows, columns = (
        np.clip(np.round(grid + shift).astype(int), 0, stop - 1)
        for grid, shift, stop in zip(np.indices(size), shifts, size, strict=True)
    )
    return masks[:, rows, columns]


@threads(1)
def benchmark_metrics(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print ours, MONAI's, their ratio and the largest difference; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py metrics", description=__doc__)
    parser.add_argument("--wrists", type=int, default=3, help="phantom wrists (default: %(default)s)")
    parser.add_argument("--size", type=int, default=512, help="side in pixels (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="timings of each (default: %(default)s)")
    parser.add_argument("--error", type=float, default=1.5, help="pixels of contour error (default: %(default)s)")
    arguments = parser.parse_args(argv)

    from monai.metrics import SurfaceDiceMetric, SurfaceDistanceMetric

    rng = np.random.default_rng(0)
    times, differences, msd = [], [], []
    for index in range(arguments.wrists):
        sample = make_wrist(0, index, PhantomConfig(size=arguments.size))
        truth = unpack_masks(sample.bones)
        pred = imperfect(truth, rng, arguments.error)
        p, t = torch.tensor(pred)[None], torch.tensor(truth)[None]

        def monai(p: torch.Tensor = p, t: torch.Tensor = t) -> dict[str, np.ndarray]:
            nsd = SurfaceDiceMetric([2.0] * p.shape[1], include_background=True)
            msd = SurfaceDistanceMetric(include_background=True, symmetric=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return {"nsd": nsd(p, t)[0].numpy(), "msd": msd(p, t)[0].numpy()}

        def ours(pred: np.ndarray = pred, truth: np.ndarray = truth) -> dict[str, np.ndarray]:
            return case_metrics(pred, truth)

        def overlaps(pred: np.ndarray = pred, truth: np.ndarray = truth) -> dict[str, np.ndarray]:
            return overlap_metrics(pred, truth)

        mine, theirs = ours(), monai()
        msd.append(np.mean(mine["msd"][np.isfinite(mine["msd"])]))
        for name, expected in theirs.items():
            # equal infinities do not differ, nor do two nan
            same = (mine[name] == expected) | (np.isnan(mine[name]) & np.isnan(expected))
            differences.append(np.abs(np.where(same, 0.0, mine[name] - expected)).max())
        calls = {"ours": ours, "monai": monai, "overlaps": overlaps}
        times.append(times_in_turns(calls, arguments.repeats, warm_up=True))

    mean = {name: float(np.mean([row[name] for row in times])) for name in times[0]}
    ratio = mean["monai"] / mean["ours"]
    print(
        f"{arguments.wrists} phantom wrists, 14 x {arguments.size} x {arguments.size}, mean MSD {np.mean(msd):.2f} px"
    )
    print(f"ours, DSC, NSD, VOE, MSD and RAVD together   {mean['ours']:8.2f} ms per wrist")
    print(f"ours, the same for the 14 overlap regions    {mean['overlaps']:8.2f} ms per wrist")
    print(f"MONAI, NSD and MSD                           {mean['monai']:8.2f} ms per wrist")
    print(f"ratio                                        {ratio:8.1f}")
    print(f"largest difference to MONAI                  {max(differences):8.1e}")
    return [
        {"name": "case metrics", "value": mean["ours"], "unit": "ms/wrist"},
        {"name": "overlap metrics", "value": mean["overlaps"], "unit": "ms/wrist"},
        {"name": "MONAI, NSD and MSD", "value": mean["monai"], "unit": "ms/wrist"},
        {"name": "ratio to MONAI", "value": ratio, "unit": ""},
        {"name": "largest difference to MONAI", "value": max(differences), "unit": ""},
    ]
