"""Configuration of joint training: which gradients reach the trunk, and which masks drive the erosion head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jointwrist.config import NotNegative, Positive, Share


@dataclass(frozen=True)
class JointConfig:
    """Joint training.

    Attributes:
        mask_grad_scale: Share of the erosion gradient that reaches the masks, from `mask_grad_start` on.
        mask_grad_start: Share of the epochs before which the erosion gradient does not reach the masks.
        mask_grad_nsd_drop: Fall of the validation NSD since `mask_grad_start`, in points of 100, after which the
            erosion gradient no longer reaches the masks.
        erosion_share: Norm of the erosion gradient at the features that the decoder shares with the erosion head,
            relative to that of the masks' gradient there, in every step; it replaces the constant factor
            `options.feature_grad_scale`. None keeps that factor.
        erosion_share_end: Share of the epochs over which `erosion_share` falls linearly to 0; beyond 1 it falls
            through the whole training without reaching 0.
        project_conflicts: With `erosion_share`, remove the part of the erosion gradient that opposes that of the masks
            (PCGrad, arXiv 2001.06782).
        segmentation_warmup: Share of the epochs at the start that train only the masks, without the losses of erosions
            and of `consistency`.
        teacher_forcing: Share of the epochs over which the probability that true masks drive the erosion head falls
            linearly from 1 to 0. 0 disables teacher forcing.
        masked_share: Share of images with masks in a batch, if there are images without; if that is not a whole
            number, batches differ by one. 0 keeps the natural share, 1 leaves out images without masks.
        consistency: Weight of the loss against the mean teacher's masks on images without masks; needs `optim.ema`.
        pretrained: Weights for the encoder to start from, those of `jointwrist pretrain`, VMamba or timm's Swin: local
            files, hub repositories with `model.safetensors` such as `timm/swin_tiny_patch4_window7_224.ms_in1k`, or
            their files as `owner/repository/file`; see `jointwrist.weights.pretrained`.
        test_masks: Masks that drive the erosion head in evaluation: predicted or true ones; or, to test whether the
            head uses them, predicted ones moved by a seventh of the image or exchanged among the bones.
        doubly_labelled: Train only on radiographs that have both masks and scores.
        segmenter: Weights, named as for `start`, of a trained network whose masks drive the erosion head in training
            and evaluation: a cascade of a frozen segmenter and a classifier. For a foundation model prompted by
            predicted boxes, the network that predicts them.
        trained: Part that is trained: the whole network, or only the erosion head ("erosion"), on the frozen encoder
            and decoder of `start`, whose erosion head may then be of another kind.
    """

    mask_grad_scale: Share = 0.0
    mask_grad_start: Share = 0.7
    mask_grad_nsd_drop: NotNegative = 0.2
    erosion_share: NotNegative | None = None
    erosion_share_end: Positive = 1.0
    project_conflicts: bool = False
    segmentation_warmup: Share = 0.1
    teacher_forcing: NotNegative = 0.5
    masked_share: Share = 0.5
    consistency: NotNegative = 0.0
    pretrained: tuple[str, ...] = ()
    test_masks: Literal["predicted", "truth", "moved", "exchanged"] = "predicted"
    doubly_labelled: bool = False
    segmenter: str = ""
    trained: Literal["all", "erosion"] = "all"
