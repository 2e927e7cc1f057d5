"""Load pretrained weights into an encoder: `jointwrist pretrain`, VMamba (arXiv 2401.10166), timm's Swin."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from timm.layers import resize_rel_pos_bias_table
from torch import Tensor, nn

from jointwrist.errors import DataError
from jointwrist.weights.checkpoint import read_checkpoint
from jointwrist.weights.find import find_checkpoint

#: An encoder of this package, whose keys are those of the encoder.
OWN = "jointwrist"
#: End of the keys by which each kind of file is recognised. A block of the encoder names the kind that fits it in its
#: attribute `pretrained_kind`.
SOURCES = {OWN: "stem1.0.weight", "VMamba": "op.x_proj_weight", "Swin": "attn.qkv.weight"}
_BLOCK = re.compile(r"layers\.(\d+)\.blocks\.(\d+)\.(.+)")
_DOWNSAMPLE = re.compile(r"layers\.(\d+)\.downsample\.([13])\.(weight|bias)")


@dataclass(frozen=True)
class PretrainedReport:
    """Report on each key of a weight file and each tensor of the encoder.

    Attributes:
        path: The file.
        source: One of `SOURCES`.
        loaded: Key in the file -> name in the encoder.
        unused: Key in the file -> why it was not used.
        untouched: Names in the encoder whose values are unchanged.
    """

    path: Path
    source: str
    loaded: dict[str, str]
    unused: dict[str, str]
    untouched: tuple[str, ...]

    def __str__(self) -> str:
        """Return the report as text, one line per key and tensor."""
        return "\n".join(
            [
                f"{self.path}: {len(self.loaded)} keys of {self.source} loaded, {len(self.unused)} unused,"
                f" {len(self.untouched)} encoder tensors unchanged",
                *(f"loaded     {key} -> {name}" for key, name in self.loaded.items()),
                *(f"unused     {key}: {why}" for key, why in self.unused.items()),
                *(f"untouched  {name}" for name in self.untouched),
            ]
        )


def load_pretrained(encoder: nn.Module, source: str | Path) -> PretrainedReport:
    """Load the blocks of a classifier into the blocks of the same kind, in place.

    In the hybrid encoder the first blocks of a stage are Mamba blocks and the last ones attention blocks. VMamba's
    blocks are therefore matched from the start of a stage and Swin's from its end, so that one file of each fills the
    encoder. VMamba's convolutions between stages are loaded too. The stems are not: theirs reduce a colour image to
    stride 2 or 4 at once, ours starts at full resolution. Relative position tables are interpolated to our window.
    Weights of `jointwrist pretrain` are matched by name, stem included.

    Args:
        encoder: `jointwrist.models.encoder.Encoder`, of size "base" for VMamba-T (`vssm1_tiny_0230s`: one state,
            ratio 1) and Swin-T or Swin-S.
        source: Safetensors or `torch.save` file of a state dict, alone or under "model" or "state_dict": a local
            one, or a repository of the Hugging Face hub or a file of one (see
            `jointwrist.weights.find.find_checkpoint`).

    Raises:
        DataError: The file cannot be read or fetched, is of neither kind, or none of its blocks fits.
    """
    path = find_checkpoint(source)
    state, _ = read_checkpoint(path)
    source = next((s for s, mark in SOURCES.items() if any(f".{key}".endswith(f".{mark}") for key in state)), None)
    if source is None:
        raise DataError(
            f"{path}: neither weights of VMamba nor of timm's Swin nor of `jointwrist pretrain`; no key ends in those"
            " of their blocks"
        )
    own, depths = encoder.state_dict(), _depths(state)
    loaded: dict[str, str] = {}
    unused: dict[str, str] = {}
    values: dict[str, Tensor] = {}
    for key, value in state.items():
        name, why = _place(key, source, encoder, depths)
        if name is None or name not in own:
            unused[key] = why
            continue
        value = _fit(name, value, own[name])
        if value.shape == own[name].shape:
            loaded[key], values[name] = name, value
        else:
            unused[key] = f"shape {tuple(value.shape)} does not fit {tuple(own[name].shape)} of {name}"
    if source == OWN and unused:
        key, why = next(iter(unused.items()))
        raise DataError(
            f"{path}: was pretrained with another encoder ({key}: {why}); give the run the same encoder options and"
            " encoder_version"
        )
    if source != OWN and not any(_BLOCK.fullmatch(key) for key in loaded):
        reasons = "; ".join(sorted({why for key, why in unused.items() if _BLOCK.fullmatch(key)})[:3])
        raise DataError(f"{path}: no block of {source} fits this encoder ({reasons}); take one of size base")
    encoder.load_state_dict(values, strict=False)
    return PretrainedReport(path, source, loaded, unused, tuple(name for name in own if name not in values))


def _depths(state: dict[str, Tensor]) -> dict[int, int]:
    """Number of blocks in each stage."""
    depths: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.fullmatch, state)):
        stage, block = int(match[1]), int(match[2])
        depths[stage] = max(depths.get(stage, 0), block + 1)
    return depths


def _place(key: str, source: str, encoder: nn.Module, depths: dict[int, int]) -> tuple[str | None, str]:
    """Return the name in the encoder or None, and the reason to report if it does not exist there."""
    if source == OWN:
        return key, "the encoder has no such tensor"
    if match := _BLOCK.fullmatch(key):
        stage, block, rest = int(match[1]), int(match[2]), match[3]
        blocks = encoder.stages[stage] if stage < len(encoder.stages) else []
        index = block if source == "VMamba" else block + len(blocks) - depths[stage]
        if not (0 <= index < len(blocks) and _fits(blocks[index], source)):
            return None, f"the encoder has no such block of {source}"
        if source == "Swin":
            return f"stages.{stage}.{index}.block.{rest}", "derived from the size of the window"
        return f"stages.{stage}.{index}.{rest.replace('fc1', '0').replace('fc2', '2')}", "the block has no such tensor"
    if source == "VMamba" and (match := _DOWNSAMPLE.fullmatch(key)):
        part = {"1": "0", "3": "1"}[match[2]]
        return f"down.{int(match[1]) + 1}.{part}.{match[3]}", "the encoder has no such stage"
    if ".downsample." in key:
        return None, "merges patches with a norm first; the encoder's convolutions have theirs last"
    if key.startswith("patch_embed."):
        return None, "the encoder has a stem of its own"
    if match := re.fullmatch(r"(?:classifier\.)?norm\.(weight|bias)", key):
        if _fits(encoder.stages[-1][-1], source):
            return f"norms.{len(encoder.stages) - 1}.{match[1]}", "the encoder has no such norm"
        return None, f"the last block of the encoder is not of {source}"
    return None, "belongs to the classifier" if "head" in key else "the encoder has no counterpart"


def _fits(block: nn.Module, source: str) -> bool:
    return getattr(block, "pretrained_kind", None) == source


def _fit(name: str, value: Tensor, own: Tensor) -> Tensor:
    """Convert 1 x 1 convolutions to linear layers, and position tables to our window size."""
    if value.ndim == 4 and own.ndim == 2 and value.shape[2:] == (1, 1):
        return value.flatten(1)
    if name.endswith("relative_position_bias_table") and math.isqrt(len(value)) ** 2 == len(value):
        window = (math.isqrt(len(own)) + 1) // 2
        return resize_rel_pos_bias_table(value, (window, window), (len(own), value.shape[1]))
    return value
