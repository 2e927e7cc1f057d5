"""SAM and MedSAM, zero-shot: one mask per bone, prompted with a box or a point; the image is encoded once.

Kirillov A. et al., Segment Anything, arXiv 2304.02643; Ma J. et al., Segment Anything in Medical Images, arXiv
2304.12306. Networks, resizing and normalisation are those of transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import masks_to_boxes

from jointwrist.data.preprocess import resize_image
from jointwrist.errors import DataError, require
from jointwrist.registry import ModelSpec, register_model

if TYPE_CHECKING:
    from transformers import SamConfig, SamImageProcessor, SamModel

#: Where the prompts come from; a column of every results table that has a foundation model in it.
PROMPT_SOURCES = ("true box", "true point", "predicted box")
#: "first" and "best" (by SAM's own estimate of the IoU) of the three masks of an ambiguous prompt, or the "single" mask
#: of SAM's fourth token, the only one that MedSAM was trained for.
MASK_CHOICES = ("first", "best", "single")
#: Logit of every pixel of a bone that has no prompt.
EMPTY_LOGIT = -20.0

VIT_HUGE = {
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "global_attn_indexes": [7, 15, 23, 31],
}
VIT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "global_attn_indexes": [2, 5, 8, 11],
}


def box_prompts(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tight box of each mask.

    Args:
        masks: (B, K, H, W) bool.

    Returns:
        Boxes (B, K, 4) float32 as x1, y1, x2, y2: the indices of the first and last columns and rows inside, zeros for
        an empty mask; and (B, K) bool, False where the mask is empty.
    """
    there = masks.flatten(2).any(-1)
    boxes = torch.zeros(*there.shape, 4, device=masks.device)
    boxes[there] = masks_to_boxes(masks[there])  # before torchvision 0.24 it takes no empty masks
    return boxes, there


def point_prompts(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centroid of each mask, which can lie outside a non-convex mask.

    Args:
        masks: (B, K, H, W) bool.

    Returns:
        Points (B, K, 2) float32 as x, y in pixel indices, zeros for an empty mask; and (B, K) bool, False where the
        mask is empty.
    """
    area = masks.sum((-2, -1)).clamp(min=1)
    x = masks.sum(-2).float() @ torch.arange(masks.shape[-1], device=masks.device).float()
    y = masks.sum(-1).float() @ torch.arange(masks.shape[-2], device=masks.device).float()
    return torch.stack((x, y), dim=-1) / area[..., None], masks.flatten(2).any(-1)


class PromptedSam(nn.Module):
    """SAM with prompts for all bones derived from masks.

    Args:
        sam: transformers' SamModel.
        processor: transformers' SamImageProcessor that belongs to its weights.
        prompt_source: One of `PROMPT_SOURCES`. It states whether the caller passes true or predicted masks.
        mask_choice: One of `MASK_CHOICES`.
        side: Images and masks are resized to this square before anything else, as published, and SAM then resizes to
            its own input; None leaves them unchanged.

    Raises:
        ValueError: An unknown prompt source or mask choice.
    """

    def __init__(
        self,
        sam: SamModel,
        processor: SamImageProcessor,
        prompt_source: str = "true box",
        mask_choice: str = "first",
        side: int | None = 512,
    ):
        super().__init__()
        if prompt_source not in PROMPT_SOURCES:
            raise ValueError(f"unknown prompt source {prompt_source!r}; known are {', '.join(PROMPT_SOURCES)}")
        if mask_choice not in MASK_CHOICES:
            raise ValueError(f"unknown mask choice {mask_choice!r}; known are {', '.join(MASK_CHOICES)}")
        self.sam = sam
        self.processor = processor
        self.prompt_source = prompt_source
        self.mask_choice = mask_choice
        self.side = side

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        """Segment the bones from prompts derived from masks.

        Args:
            images: (B, 1, H, W) in [0, 1].
            masks: (B, K, H, W) bool, or 0 and 1 of any type, from which the prompts are derived.

        Returns:
            Logits (B, K, H, W); `EMPTY_LOGIT` throughout where a mask is empty.

        Raises:
            ValueError: Images and masks differ in number or size.
        """
        if (len(images), *images.shape[-2:]) != (len(masks), *masks.shape[-2:]):
            raise ValueError(f"images {tuple(images.shape)} and masks {tuple(masks.shape)} differ in number or size")
        size = images.shape[-2:]
        masks = masks.bool()
        if self.side is not None and tuple(size) != (self.side, self.side):
            images = resize_image(images, self.side)
            masks = F.interpolate(masks.float(), (self.side, self.side), mode="nearest-exact").bool()
        inputs = self.processor(images.expand(-1, 3, -1, -1), do_rescale=False, return_tensors="pt")
        prompt, valid = self._prompt(masks, inputs["reshaped_input_sizes"][0])
        output = self.sam(
            pixel_values=inputs["pixel_values"].to(images.device),
            multimask_output=self.mask_choice != "single",
            **prompt,
        )
        logits = torch.cat(
            self.processor.post_process_masks(
                self._choose(output.pred_masks, output.iou_scores)[:, None],
                inputs["original_sizes"],
                inputs["reshaped_input_sizes"],
                binarize=False,
            )
        )
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits, size, mode="bilinear")
        return torch.where(valid[..., None, None], logits, EMPTY_LOGIT)

    def _prompt(self, masks: Tensor, resized: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return SAM's prompt arguments in pixels of its input, and a bool per bone, whether it has a prompt."""
        scale = torch.tensor([resized[1] / masks.shape[-1], resized[0] / masks.shape[-2]], device=masks.device)
        if self.prompt_source == "true point":
            points, valid = point_prompts(masks)
            return {"input_points": (points * scale)[:, :, None]}, valid
        boxes, valid = box_prompts(masks)
        return {"input_boxes": boxes * scale.repeat(2)}, valid

    def _choose(self, masks: Tensor, scores: Tensor) -> Tensor:
        """Choose one of M candidates per bone: (B, K, h, w) from masks (B, K, M, h, w) and estimated IoUs (B, K, M)."""
        if self.mask_choice != "best":
            return masks[:, :, 0]
        best = scores.argmax(-1)[..., None, None, None].expand(-1, -1, 1, *masks.shape[-2:])
        return masks.gather(2, best).squeeze(2)


def load_sam(weights: str | Path) -> tuple[SamModel, SamImageProcessor]:
    """Load SAM weights and their published preprocessing from a local folder or a hub repository.

    Raises:
        DataError: The weights do not exist, cannot be downloaded, or leave parameters unset.
        MissingExtraError: transformers is not installed.
    """
    transformers = require("transformers", "baselines")
    try:
        sam, report = transformers.SamModel.from_pretrained(weights, output_loading_info=True, weights_only=True)
        processor = transformers.SamImageProcessor.from_pretrained(weights)
    except OSError as error:
        raise DataError(
            f"{weights}: no SAM weights there ({str(error).splitlines()[0]}); give a folder with config.json, "
            "preprocessor_config.json and model.safetensors, or a hub name while online"
        ) from error
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise DataError(f"{weights}: these weights leave {len(missing)} of SAM's parameters unset, {missing[0]} first")
    return sam, processor


def random_sam(config: SamConfig) -> tuple[SamModel, SamImageProcessor]:
    """Build SAM with random weights; under `torch.device("meta")` it takes no memory.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    transformers = require("transformers", "baselines")
    side = config.vision_config.image_size
    processor = transformers.SamImageProcessor(size={"longest_edge": side}, pad_size={"height": side, "width": side})
    return transformers.SamModel(config), processor


def _register(
    name: str,
    published_name: str,
    parameters: int,
    paper: str,
    vision: dict[str, Any],
    sources: tuple[str, ...],
    mask_choice: str,
) -> None:
    """Register a row of the benchmark: its vision encoder, its prompts and its choice of mask."""

    def build(
        weights: str | Path | None = None,
        config: SamConfig | None = None,
        prompt_source: str = sources[0],
        mask_choice: str = mask_choice,
        side: int | None = 512,
    ) -> PromptedSam:
        if prompt_source not in sources:
            raise ValueError(f"{name} takes its prompts from a {' or a '.join(sources)}, not from a {prompt_source!r}")
        if weights is not None and config is not None:
            raise ValueError("weights bring their own configuration: give weights or config, not both")
        if weights is not None:
            sam, processor = load_sam(weights)
        else:
            sam, processor = random_sam(config or require("transformers", "baselines").SamConfig(vision_config=vision))
        return PromptedSam(sam, processor, prompt_source, mask_choice, side)

    spec = ModelSpec(
        name=name,
        task="foundation",
        published_name=published_name,
        paper=paper,
        licence="Apache-2.0",
        code="transformers.SamModel, prompted by jointwrist_baselines.foundation.sam",
        parameters=parameters,
        input_size=512,
    )
    register_model(spec)(build)


_SAM = "Kirillov et al., Segment Anything, arXiv 2304.02643"
_MEDSAM = "Ma et al., Segment Anything in Medical Images, arXiv 2304.12306"
_BOX = ("true box", "predicted box")

_register("sam_box", "SAM-box", 641_090_864, _SAM, vision=VIT_HUGE, sources=_BOX, mask_choice="first")
_register("sam_point", "SAM-point", 641_090_864, _SAM, vision=VIT_HUGE, sources=("true point",), mask_choice="first")
_register("medsam_box", "MedSAM-box", 93_735_728, _MEDSAM, vision=VIT_BASE, sources=_BOX, mask_choice="single")
