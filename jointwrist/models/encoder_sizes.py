"""Widths, layouts and MLP sizes of the encoders, by version.

A layout is one string of block letters per stage, written as one string with hyphens: "cc-cc-LLa-aa".

| letter | block |
|---|---|
| m, M | Mamba block with 1 or 8 states per channel |
| l, L | the same with a depthwise 7x7 convolution beside the scan |
| a | window attention |
| c | ConvNeXt block |

Version 2 makes encoders comparable. Of size tiny, the hidden widths of the MLPs give blocks of all letters the same
arithmetic at strides 4 and 8, where most positions are, and the same number of parameters at strides 16 and 32, where
most parameters are. Of size base, MLPs and widths are those of the published weights (VMamba-T and Swin-T), and the
number of blocks evens out the kinds. Version 3 gives the hybrid encoder of size tiny the layout of those compared whose
masks were best on average (docs/layouts.md): convolutions at strides 4 and 8, scans with eight states beside
convolutions at stride 16, and attention in the last three blocks, where maps are small. Version 1 builds the weight
files of earlier releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Four = tuple[int, int, int, int]
KINDS = ("hybrid", "mamba", "swin", "conv")
LETTERS = "mMlLac"
#: Versions of the encoder; weight files that do not say theirs have the first.
VERSIONS = (1, 2, 3)


@dataclass(frozen=True)
class EncoderSize:
    """Widths and blocks of an encoder.

    Attributes:
        stem: Channels at stride 2; half as many at stride 1.
        dims: Channels at strides 4, 8, 16, 32.
        head_dim: Channels of an attention head.
        layouts: Layout of each kind.
        hidden: Hidden widths of the MLPs at the four strides, by letter; letters that are not named have four times
            the block's width.
    """

    stem: int
    dims: Four
    head_dim: int
    layouts: Mapping[str, str]
    hidden: Mapping[str, Four] = field(default_factory=dict)


def uniform_layouts(depths: Four, hybrid: str) -> dict[str, str]:
    """Return the layouts of the four kinds with equal numbers of blocks."""
    uniform = {"mamba": "m", "swin": "a", "conv": "c"}
    layouts = {kind: "-".join(letter * depth for depth in depths) for kind, letter in uniform.items()}
    return {"hybrid": hybrid, **layouts}


_TINY = {"stem": 16, "dims": (24, 48, 96, 160), "head_dim": 16}
_BASE = {"stem": 64, "dims": (96, 192, 384, 768), "head_dim": 32}

#: Sizes by version and name.
SIZES: dict[int, dict[str, EncoderSize]] = {
    1: {
        "tiny": EncoderSize(
            **_TINY,
            layouts=uniform_layouts((2, 2, 3, 2), "mm-mm-mma-aa"),
            hidden=dict.fromkeys("mMlL", (48, 96, 192, 320)),
        ),
        "base": EncoderSize(**_BASE, layouts=uniform_layouts((2, 2, 8, 2), "mm-mm-mmmmmmaa-aa")),
    },
    2: {
        "tiny": EncoderSize(
            **_TINY,
            layouts=uniform_layouts((2, 2, 3, 2), "mm-mm-mma-aa"),
            hidden={
                "m": (88, 160, 300, 508),
                "M": (40, 88, 256, 464),
                "l": (64, 136, 276, 484),
                "L": (16, 64, 232, 440),
                "a": (32, 80, 240, 400),
                "c": (120, 216, 408, 696),
            },
        ),
        "base": EncoderSize(
            **_BASE,
            layouts={
                "hybrid": "mm-mm-mmmmmaa-aa",
                "mamba": "mm-mm-mmmmmmmm-mm",
                "swin": "aa-aa-aaaaaa-aa",
                "conv": "ccc-ccc-ccccccccc-ccc",
            },
        ),
    },
}
_TINY_2 = SIZES[2]["tiny"]
SIZES[3] = {
    "tiny": replace(_TINY_2, layouts={**_TINY_2.layouts, "hybrid": "cc-cc-LLa-aa"}),
    "base": SIZES[2]["base"],
}


def parse_layout(layout: str) -> list[str]:
    """Split a layout into the letters of its four stages.

    Raises:
        ValueError: The layout does not have four stages, or a stage has no or unknown letters.
    """
    stages = layout.split("-")
    if len(stages) != 4 or not all(stage and set(stage) <= set(LETTERS) for stage in stages):
        raise ValueError(
            f"encoder layout {layout!r} is not four stages of letters out of {LETTERS}, as in 'cc-cc-LLa-aa'"
        )
    return stages
