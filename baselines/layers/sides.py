"""Checks of the image size before a network runs, for error messages that name the allowed sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from jointwrist.errors import DataError


def check_sides(x: Tensor, network: str, multiple: int = 1, least: int = 1) -> None:
    """Check that H and W of images (B, C, H, W) are multiples of `multiple` and at least `least`.

    Raises:
        DataError: A side is not allowed.
    """
    height, width = x.shape[-2:]
    if height % multiple or width % multiple or min(height, width) < least:
        terms = [f"multiples of {multiple}"] * (multiple > 1) + [f"{least} or more"] * (least > multiple)
        raise DataError(
            f"{network} takes images with sides that are {' and '.join(terms)}, not {height} x {width} pixels; "
            "choose another image size"
        )


def check_size(x: Tensor, network: str, size: int) -> None:
    """Check that images have the shape (B, C, size, size).

    Raises:
        DataError: The shape is another.
    """
    if x.shape[-2:] != (size, size):
        raise DataError(f"{network} built for {size} pixels got {tuple(x.shape)}; set `img_size`")


def with_check(network: nn.Module, check: Callable[..., None], *limits: object) -> nn.Module:
    """Make a library's network call `check(image, *limits)` before its forward pass, and return it."""
    network.register_forward_pre_hook(partial(_call, check, limits))
    return network


def _call(check: Callable[..., None], limits: tuple, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    check(inputs[0], *limits)
