"""Image sizes that a network takes, checked before its layers disagree about theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from jointwrist.errors import DataError


def check_sides(x: Tensor, network: str, multiple: int = 1, least: int = 1) -> None:
    """Accept images (B, C, H, W) whose H and W are multiples of `multiple` and not below `least`.

    Raises:
        DataError: A side is something else.
    """
    height, width = x.shape[-2:]
    if height % multiple or width % multiple or min(height, width) < least:
        terms = [f"multiples of {multiple}"] * (multiple > 1) + [f"{least} or more"] * (least > multiple)
        raise DataError(
            f"{network} takes images with sides that are {' and '.join(terms)}, not {height} x {width} pixels; "
            "choose another image size"
        )


def check_size(x: Tensor, network: str, size: int) -> None:
    """Accept images (B, C, size, size).

    Raises:
        DataError: The images have another size.
    """
    if x.shape[-2:] != (size, size):
        raise DataError(f"{network} built for {size} pixels got {tuple(x.shape)}; set `img_size`")


def with_check(network: nn.Module, check: Callable[..., None], *limits: object) -> nn.Module:
    """Return a library's network, which from now on calls `check(image, *limits)` before its own forward."""
    network.register_forward_pre_hook(partial(_call, check, limits))
    return network


def _call(check: Callable[..., None], limits: tuple, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    check(inputs[0], *limits)
