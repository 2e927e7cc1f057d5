"""Self-test of a machine: every backend against its reference, a training step, and the shipped weights.

`python -m jointwrist.selftest` prints the output of the shipped weights for a fixed phantom, which
`weights/golden.json` stores; `make weights` rewrites it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Largest relative error against float64.
FORWARD_BOUND, GRADIENT_BOUND = 1e-5, 1e-4
#: Largest mean difference of mask probabilities between bfloat16 and float32.
HALF_BOUND = 0.02
#: Relative difference of a bone's area, and difference of a probability, that another processor's rounding may make.
AREA_BOUND, PROBABILITY_BOUND = 0.01, 0.01
GOLDEN = "weights/golden.json"
BACKENDS = ("torch", "cpu", "triton", "mamba_ssm")
#: Checks in the order in which they run.
NAMES = (*(f"scan {name}" for name in BACKENDS), "metrics", "training", "bfloat16", "weights")
#: Length, scale of A and number of states of the scans: weak and strong decay; the networks have one state.
SCANS = ((1, 1.0, 4), (65, 1.0, 4), (513, 0.01, 4), (513, 300.0, 4), (65, 1.0, 1), (513, 0.01, 1), (513, 300.0, 1))


@dataclass(frozen=True)
class Check:
    """One line of the result.

    Attributes:
        name: Name of the check.
        verdict: "ok", "failed" or "not run".
        detail: Figures, or the reason.
        seconds: Duration.
    """

    name: str
    verdict: str
    detail: str
    seconds: float


class Failed(Exception):
    """A value exceeds its tolerance."""


class NotRun(Exception):
    """An optional part is not available."""


def selftest(device: str = "cpu", only: Collection[str] = NAMES) -> Iterator[Check]:
    """Run checks on a device, one after the other; an error fails its check, and the others continue.

    Args:
        device: Device.
        only: Names of the checks to run, of `NAMES`.
    """
    place = torch.device(device)
    checks: dict[str, Callable[[torch.device], str]] = {f"scan {name}": _scan_check(name) for name in BACKENDS}
    checks |= {"metrics": check_metrics, "training": check_training, "bfloat16": check_half, "weights": check_golden}
    for name in NAMES:
        if name not in only:
            continue
        check = checks[name]
        began = time.monotonic()
        try:
            verdict, detail = "ok", check(place)
        except NotRun as reason:
            verdict, detail = "not run", str(reason)
        except Failed as reason:
            verdict, detail = "failed", str(reason)
        except Exception as error:  # any error on this machine is what this command is meant to find
            verdict, detail = "failed", f"{type(error).__name__}: {error}"
        yield Check(name, verdict, detail, round(time.monotonic() - began, 2))


def _scan_check(name: str) -> Callable[[torch.device], str]:
    return lambda device: check_scan(name, device)


def check_scan(name: str, device: torch.device) -> str:
    """Compare values and gradients of a backend with the loop in float64, for every case of `SCANS`."""
    from jointwrist.ops.scan import selective_scan
    from jointwrist.ops.scan.dispatch import why_not

    if reason := why_not(name, device):
        raise NotRun(reason)
    worst = {"forward": 0.0, "gradients": 0.0}
    for length, decay, states in SCANS:
        generator = torch.Generator().manual_seed(length)

        def normal(*shape: int, generator: torch.Generator = generator) -> Tensor:
            return torch.randn(shape, generator=generator)

        values = {
            "u": normal(2, 6, length), "delta": normal(2, 6, length), "A": -decay * normal(6, states).abs(),
            "B": normal(2, 1, states, length), "C": normal(2, 1, states, length), "D": normal(6),
            "z": normal(2, 6, length), "delta_bias": normal(6),
        }  # fmt: skip
        exact = {key: value.double().requires_grad_() for key, value in values.items()}
        ours = {key: value.to(device).requires_grad_() for key, value in values.items()}
        expected = selective_scan(**exact, delta_softplus=True, backend="reference")
        found = selective_scan(**ours, delta_softplus=True, backend=name)
        worst["forward"] = max(worst["forward"], _relative(found, expected))
        weight = normal(2, 6, length)
        gradients = torch.autograd.grad((found * weight.to(device)).sum(), list(ours.values()))
        oracle = torch.autograd.grad((expected * weight.double()).sum(), list(exact.values()))
        worst["gradients"] = max(worst["gradients"], *(_relative(a, b) for a, b in zip(gradients, oracle, strict=True)))
    detail = f"largest relative error {worst['forward']:.0e} forward, {worst['gradients']:.0e} of the gradients"
    # written so that NaN fails
    if not (worst["forward"] <= FORWARD_BOUND and worst["gradients"] <= GRADIENT_BOUND):
        raise Failed(f"{detail}; at most {FORWARD_BOUND:.0e} and {GRADIENT_BOUND:.0e} are right")
    return detail


def _relative(ours: Tensor, theirs: Tensor) -> float:
    ours, theirs = ours.detach().cpu().double(), theirs.detach().double()
    return float((ours - theirs).norm() / theirs.norm().clamp_min(1e-12))


def check_metrics(device: torch.device) -> str:
    """Compare DSC and NSD with their definition, computed point by point."""
    from jointwrist.metrics.segmentation import case_metrics

    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :40]
    worst = 0.0
    for _ in range(5):
        y, x, radius = rng.uniform(12, 28, 2), rng.uniform(12, 28, 2), rng.uniform(5, 10, 2)
        a, b = ((rows - y[i]) ** 2 + (columns - x[i]) ** 2 < radius[i] ** 2 for i in range(2))
        found = case_metrics(a[None], b[None])
        dsc = 2 * (a & b).sum() / (a.sum() + b.sum())
        edges = [np.argwhere(_contour(mask)) for mask in (a, b)]
        distance = np.sqrt(((edges[0][:, None] - edges[1]) ** 2).sum(-1))
        near = (distance.min(1) <= 2).sum() + (distance.min(0) <= 2).sum()
        nsd = near / (len(edges[0]) + len(edges[1]))
        worst = max(worst, abs(float(found["dsc"][0]) - dsc), abs(float(found["nsd"][0]) - nsd))
    if not worst <= 1e-6:
        raise Failed(f"DSC or NSD is {worst:.1e} away from its definition")
    return f"largest difference to the definition {worst:.0e}"


def _contour(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _batch(device: torch.device, size: int = 64) -> tuple[Tensor, Tensor]:
    """Two phantoms: images (2, 1, size, size) and masks (2, 14, size, size)."""
    from jointwrist.data.sample import unpack_masks
    from jointwrist.phantom import PhantomConfig, make_wrist

    wrists = [make_wrist(1, index, PhantomConfig(size=size)) for index in range(2)]
    image = torch.from_numpy(np.stack([wrist.image for wrist in wrists]))
    masks = torch.from_numpy(np.stack([unpack_masks(wrist.bones) for wrist in wrists])).float()
    return image.to(device), masks.to(device)


def check_training(device: torch.device) -> str:
    """Train jointwrist_tiny for a few steps on two phantoms: the loss stays finite and falls."""
    from jointwrist.losses import dice_loss
    from jointwrist.registry import create_model

    torch.manual_seed(0)
    model = create_model("jointwrist_tiny").to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    image, masks = _batch(device)
    losses = []
    for _ in range(8):
        output = model(image, None, masks)
        loss = dice_loss(output.mask_logits.sigmoid(), masks) + 0.01 * output.erosion_logits.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    detail = f"loss {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps"
    if not (np.isfinite(losses).all() and losses[-1] < losses[0] - 0.01):
        raise Failed(f"{detail}; it should fall")
    return detail


def check_half(device: torch.device) -> str:
    """Compare the output of the shipped weights under bfloat16 with that in float32."""
    from jointwrist.weights.checkpoint import load_weights
    from jointwrist.weights.find import find_weights

    model = load_weights(find_weights("jointwrist_tiny"))[0].to(device)
    image, _ = _batch(device, 256)
    answers = []
    for half in (False, True):
        with torch.no_grad(), full_float32(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            output = model(image)
        answers.append((output.mask_logits.float().sigmoid(), output.erosion_logits.float().sigmoid()))
    (masks, erosion), (half_masks, half_erosion) = answers
    difference = float((masks - half_masks).abs().mean())
    both = ((masks > 0.5) & (half_masks > 0.5)).sum((2, 3))
    dice = 2 * both / ((masks > 0.5).sum((2, 3)) + (half_masks > 0.5).sum((2, 3)))
    detail = (
        f"mask probabilities differ by {difference:.1e} on average, DSC of the masks {float(dice.min()):.3f} or more, "
        f"probabilities of erosion differ by {float((erosion - half_erosion).abs().max()):.3f} at most"
    )
    if not difference <= HALF_BOUND:
        raise Failed(f"{detail}; at most {HALF_BOUND} is right for the first")
    return detail


@contextmanager
def full_float32() -> Iterator[None]:
    """Multiply and convolve in full float32: TensorFloat-32 on a GPU keeps 10 of the 23 mantissa bits."""
    parts = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [part.allow_tf32 for part in parts]
    for part in parts:
        part.allow_tf32 = False
    try:
        yield
    finally:
        for part, allowed in zip(parts, before, strict=True):
            part.allow_tf32 = allowed


def golden(device: torch.device) -> dict[str, Any]:
    """Output of the shipped weights for a fixed phantom: areas in pixels by bone, probabilities by joint surface."""
    from jointwrist.data.sample import as_right_hand
    from jointwrist.inference.predictor import Predictor
    from jointwrist.phantom import PhantomConfig, make_wrist

    wrist = as_right_hand(make_wrist(2026, 3, PhantomConfig(size=256, prevalence=0.5)))
    with full_float32():
        result = Predictor.from_pretrained("jointwrist_tiny", device=str(device))(wrist.image[0], side="R").single()
    return {
        "phantom_mean": round(float(wrist.image.mean()), 5),
        "areas": [int(mask.sum()) for mask in result.masks],
        "probabilities": [round(float(value), 5) for value in result.probabilities],
    }


def check_golden(device: torch.device) -> str:
    """Compare the output of the shipped weights with the stored one."""
    expected = json.loads(files("jointwrist").joinpath(GOLDEN).read_text(encoding="utf-8"))
    found = golden(device)
    if not abs(found["phantom_mean"] - expected["phantom_mean"]) <= 1e-4:
        raise Failed("the phantom is another one: its mean grey is not the stored one")
    areas, wanted = np.array(found["areas"], float), np.array(expected["areas"], float)
    area = float((np.abs(areas - wanted) / wanted.clip(100)).max())
    probability = float(np.abs(np.array(found["probabilities"]) - expected["probabilities"]).max())
    detail = f"areas within {area:.1%}, probabilities within {probability:.1e} of the stored ones"
    if not (area <= AREA_BOUND and probability <= PROBABILITY_BOUND):
        raise Failed(f"{detail}; at most {AREA_BOUND:.0%} and {PROBABILITY_BOUND} are right")
    return detail


def run(device: str | None, as_json: bool, only: Collection[str] = NAMES) -> int:
    """Run the checks, print a line each and a verdict; return 0 if none failed."""
    from jointwrist import __version__

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    place = torch.device(device)
    what = torch.cuda.get_device_name(place) if place.type == "cuda" else f"{torch.get_num_threads()} threads"
    checks = []
    if not as_json:
        print(f"jointwrist {__version__}, torch {torch.__version__}, {device}: {what}")
    for check in selftest(device, only):
        checks.append(check)
        if not as_json:
            print(f"{check.verdict:8} {check.name:14} {check.detail} ({check.seconds:.1f} s)", flush=True)
    failed = [check.name for check in checks if check.verdict == "failed"]
    missing = sum(check.verdict == "not run" for check in checks)
    if as_json:
        print(json.dumps({"passed": not failed, "device": device, "checks": [vars(check) for check in checks]}))
    elif failed:
        print(f"FAIL: {', '.join(failed)}; do not trust results of this machine")
    else:
        print(f"PASS: {len(checks) - missing} checks, {missing} not run")
    return int(bool(failed))


if __name__ == "__main__":
    print(json.dumps(golden(torch.device("cpu")), indent=1))
