"""Bones and erosions from one radiograph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from jointwrist.anatomy import JOINT_NAMES, NUM_JOINTS
from jointwrist.data.hands import other_hands
from jointwrist.data.preprocess import resize_image, unpack_bits
from jointwrist.engine.run_config import RunConfig, uses_pixel_truth
from jointwrist.engine.tasks.base import Across, alone, map_loss, share
from jointwrist.engine.tasks.segmentation import SegmentationTask
from jointwrist.losses import boundary_loss, distance_loss, ordinal_loss, score_levels
from jointwrist.weights.checkpoint import load_weights


class JointTask(SegmentationTask):
    """Bones and erosion from one radiograph, some of whose labels may be missing.

    Args:
        config: Resolved configuration of the run.
        prior: (6, K) log odds of P(level > k) among the training wrists, for the logit adjustment; None leaves it out.
    """

    def __init__(self, config: RunConfig, prior: Tensor | None = None):
        super().__init__(config)
        self.prior = prior if config.erosion.logit_adjustment else None
        self.pixel_truth = uses_pixel_truth(config)
        #: Moving average of the trained network, if there is one; the trainer sets it.
        self.teacher: nn.Module | None = None
        #: Frozen network whose masks drive the erosion head, if the configuration names one.
        self.segmenter = load_weights(Path(config.joint.segmenter))[0] if config.joint.segmenter else None

    def prepare(self, batch, training):
        """Augment and bring to the sizes of the network."""
        detail, bones, eroded = batch["image"], batch["bones"], batch["eroded"]
        if training:
            detail, bits = self.augment(detail, torch.stack([bones, eroded], 1))
            bones, eroded = bits.unbind(1)
        prepared = {
            **batch,
            "image": resize_image(detail, self.config.image_size),
            "detail": detail,
            "masks": self.resized_masks(bones),
            "other": self._other_hands(batch),
        }
        return prepared | ({"eroded_masks": unpack_bits(eroded, NUM_JOINTS)} if self.pixel_truth else {})

    def _other_hands(self, batch: dict[str, Any]) -> Tensor | None:
        if not self.config.options.get("other_hand"):
            return None
        return torch.tensor(other_hands(batch["identifier"])).to(batch["image"].device, non_blocking=True)

    def losses(self, model, batch, progress):
        """Named losses of a prepared batch."""
        schedule, labelled = self.config.joint, batch["has_bones"]
        warm = progress < schedule.segmentation_only
        bare = model.module if hasattr(model, "module") else model
        bare.lam = 0.0 if progress < schedule.lam_from or self.masks_fell() else schedule.lam
        guidance = max(0.0, 1 - progress / schedule.guided) if schedule.guided else 0.0
        guided = labelled & (torch.rand(len(labelled), device=labelled.device) < guidance)
        if self.segmenter is None:
            output = model(batch["image"], batch["detail"], batch["masks"], guided, batch.get("other"))
        else:
            found = self._found_masks(batch["image"])
            guide = torch.where(_per_image(guided), batch["masks"], found)
            output = model(batch["image"], batch["detail"], guide, other=batch.get("other"))
        parts = self.output_losses(output, batch, progress, self.across)
        if self.teacher is not None and schedule.consistency and not warm:
            part = self._consistency(output.mask_logits, batch["image"], ~labelled)
            parts |= {"consistency": part, "loss": parts["loss"] + part}
        return parts

    def clipped_together(self, model):
        """The erosion head apart: its gradient is large at first, and would take from that of the masks."""
        head = {id(parameter) for parameter in model.erosion.parameters()}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in head]
        return [list(model.erosion.parameters()), rest]

    def masks_fell(self) -> bool:
        """Whether the validation NSD has fallen too far since the erosion loss moves the masks."""
        schedule, epochs = self.config.joint, self.config.optim.epochs
        figures = [(entry["epoch"] + 1, entry["val_nsd"]) for entry in self.history if "val_nsd" in entry]
        before = [nsd for epoch, nsd in figures if epoch <= schedule.lam_from * epochs]
        after = [nsd for epoch, nsd in figures if epoch > schedule.lam_from * epochs]
        return bool(before) and any(nsd < before[-1] - schedule.lam_stop / 100 for nsd in after)

    def forward(self, model, batch):
        """Run the network; the masks of `joint.test_masks` drive the erosion head, its own as a rule."""
        image, kind = batch["image"], self.config.joint.test_masks
        if kind == "predicted" and self.segmenter is None:
            return model(image, batch["detail"], other=batch.get("other"))
        if kind == "truth":
            return model(image, batch["detail"], batch["masks"], batch["has_bones"], batch.get("other"))
        masks = model.segment(image).float().sigmoid() if self.segmenter is None else self._found_masks(image)
        if kind == "predicted":
            return model(image, batch["detail"], masks, other=batch.get("other"))
        step = image.shape[-1] // 7
        guide = masks.roll((step, step), (-2, -1)) if kind == "moved" else masks.roll(1, 1)
        return model(image, batch["detail"], guide, other=batch.get("other"))

    def output_losses(self, output, batch, progress, across=alone):
        """Named losses of a `JointOutput`; each is a mean over the images that carry its label."""
        # every output stays in the graph, so that a batch without one kind of label still has all gradients
        connected = sum(
            o.float().sum()
            for o in (output.mask_logits, output.distance_logits, output.erosion_logits, output.erosion_maps)
        )
        parts = self._bone_losses(output, batch, progress, across)
        if progress >= self.config.joint.segmentation_only:
            parts |= self._erosion_losses(output, batch, across)
        return {"loss": sum(parts.values()) + 0.0 * connected, **parts}

    def _bone_losses(self, output, batch: dict[str, Any], progress: float, across: Across) -> dict[str, Tensor]:
        config, logits = self.config.segmentation, output.mask_logits
        masks, labelled = batch["masks"], batch["has_bones"]
        means = self._mask_losses(logits, masks, labelled)
        del means["loss"]
        if config.distance:
            means["distance"] = config.distance * distance_loss(output.distance_logits, masks, images=labelled)
        if config.boundary:
            means["boundary"] = config.boundary * progress * boundary_loss(logits, masks, labelled)
        weight = share(labelled.sum(), across)
        return {name: weight * value for name, value in means.items()}

    def _erosion_losses(self, output, batch: dict[str, Any], across: Across) -> dict[str, Tensor]:
        parts = {"erosion": self._erosion_loss(output, batch, across)}
        return parts | ({"map": self._map_loss(output, batch, across)} if self.pixel_truth else {})

    def _found_masks(self, image: Tensor) -> Tensor:
        """Mask probabilities (B, 14, H, W) of the frozen segmenter."""
        with torch.no_grad():
            return self.segmenter.to(image.device).segment(image).float().sigmoid()

    def _consistency(self, logits: Tensor, image: Tensor, chosen: Tensor) -> Tensor:
        """Cross-entropy to the teacher's masks where it is sure (mean teacher, Tarvainen and Valpola 2017)."""
        with torch.no_grad():
            probability = self.teacher.eval().segment(image).float().sigmoid()
            sure = ((probability - 0.5).abs() > 0.45) & _per_image(chosen)
        wanted, sure = probability.round(), sure.float()
        loss = F.binary_cross_entropy_with_logits(logits.float(), wanted, weight=sure, reduction="sum")
        return self.config.joint.consistency * loss / self.across(sure.sum()).clamp_min(1.0)

    def _erosion_loss(self, output, batch: dict[str, Any], across: Across) -> Tensor:
        if self.prior is not None:
            self.prior = self.prior.to(output.erosion_logits.device)
        levels = score_levels(batch["scores"])
        weight = share(((levels >= 0) & output.roi_valid).sum(), across)
        loss = ordinal_loss(output.erosion_logits, levels, output.roi_valid, self.prior)
        return self.config.erosion.weight * weight * loss

    def _map_loss(self, output, batch: dict[str, Any], across: Across) -> Tensor:
        """Cross-entropy and Dice of the eroded area within each crop, where its true pixels are known."""
        maps = output.erosion_maps.float().flatten(0, 1)[:, None]
        known = (batch["has_eroded"][:, None] & output.roi_valid).flatten()
        truth = batch["eroded_masks"].flatten(0, 1)[:, None]
        boxes = output.roi_boxes.float().flatten(0, 1)
        rois = torch.cat([torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None], boxes], 1)
        scale = truth.shape[-1] / batch["image"].shape[-1]
        target = roi_align(truth, rois, maps.shape[-1], scale, sampling_ratio=2, aligned=True)
        return self.config.erosion.map * map_loss(maps, target, known, across)

    def case_results(self, output, batch):
        """Rows of a `JointOutput`."""
        keep = batch["has_bones"].cpu()
        chosen = torch.nonzero(keep).flatten().tolist()
        masked = {key: [batch[key][i] for i in chosen] for key in ("identifier", "patient", "side")}
        masked |= {key: batch[key][keep.to(batch[key].device)] for key in ("masks", "scores")}
        logits = output.mask_logits[keep.to(output.mask_logits.device)]
        return {"segmentation": self.mask_results(logits, masked), "erosion": self._joint_results(output, batch)}

    @staticmethod
    def _joint_results(output, batch: dict[str, Any]) -> list[dict[str, Any]]:
        cumulative = output.erosion_logits.float().sigmoid().cpu().numpy()
        found, scores = output.roi_valid.cpu().numpy(), batch["scores"].cpu().numpy()
        rows = []
        for i, case in enumerate(batch["identifier"]):
            for joint in np.flatnonzero(scores[i] >= 0):
                rows.append(
                    {
                        "case": case,
                        "patient": batch["patient"][i],
                        "side": batch["side"][i],
                        "joint": JOINT_NAMES[joint],
                        "score": int(scores[i, joint]),
                        "probability": float(cumulative[i, joint, 0]),
                        "level": int((cumulative[i, joint] >= 0.5).sum()),
                        "found": bool(found[i, joint]),
                    }
                )
        return rows


def _per_image(chosen: Tensor) -> Tensor:
    """Bring (B,) to (B, 1, 1, 1)."""
    return chosen[:, None, None, None]
