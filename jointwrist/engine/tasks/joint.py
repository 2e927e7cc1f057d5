"""Task: segment bones and score erosions of one radiograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.config import ConfigError
from jointwrist.data.batches.hand_pairs import ALONE, other_hands
from jointwrist.data.preprocess import resize_image
from jointwrist.engine.batch_schema import JointBatch, WristBatch
from jointwrist.engine.config.run_config import RunConfig, uses_pixel_truth
from jointwrist.engine.results.case_results import CaseResults
from jointwrist.engine.tasks.base import Losses, Task, process_weight
from jointwrist.engine.tasks.erosion_losses import further_losses, level_loss, map_score_loss, pixel_losses
from jointwrist.engine.tasks.masks import coarse_losses, load_segmenter, mask_losses, mask_results, target_masks
from jointwrist.engine.tasks.pair_losses import pair_losses
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.losses import boundary_loss, distance_loss
from jointwrist.models.feature_balance import FeatureBalance
from jointwrist.models.joint import JointOutput


class JointTask(Task[WristBatch, JointBatch, JointOutput]):
    """Segment bones and score erosions of radiographs, some of whose labels may be missing.

    Args:
        config: Resolved configuration of the run.
        prior: (J, K) log odds of P(level > k) among the training wrists, for the logit adjustment; None leaves it out.
        anatomy: Bones, C, and joints, J, of the labels.
    """

    def __init__(self, config: RunConfig, prior: Tensor | None = None, anatomy: Anatomy = WRIST):
        super().__init__(config, anatomy)
        self.prior = prior if config.erosion.logit_adjustment else None
        self.pixel_truth = uses_pixel_truth(config)
        #: Frozen network whose masks drive the erosion head, if the configuration names one.
        self.segmenter = load_segmenter(config, anatomy) if config.joint.segmenter else None
        if config.joint.erosion_share and config.options.get("feature_grad_scale") == 0:
            raise ConfigError("joint.erosion_share needs an erosion gradient: leave options.feature_grad_scale above 0")
        if config.segmentation.deep_supervision and not config.options.get("deep_supervision"):
            raise ConfigError("segmentation.deep_supervision needs mask heads: set options.deep_supervision=true")

    def prepare(self, batch: WristBatch, training: bool) -> JointBatch:
        """Augment in training, and resize for the network."""
        detail, bones, eroded = batch["image"], batch["bones"], batch["eroded"]
        if training:
            detail, bits = self._augment(detail, torch.stack([bones, eroded], 1), batch.get("pair"))
            bones, eroded = (
                plane.to(values.dtype) for plane, values in zip(bits.unbind(1), (bones, eroded), strict=True)
            )
        return {
            **batch,
            "image": resize_image(detail, self.config.image_size),
            "detail": detail,
            "masks": target_masks(bones, self.config, self.anatomy),
            "other": self._other_hands(batch),
            "bones": bones,
            "eroded": eroded,
        }

    def _augment(self, detail: Tensor, bits: Tensor, pair: Tensor | None) -> tuple[Tensor, Tensor]:
        """Augment a batch, both radiographs of a pair alike."""
        single = len(detail) if pair is None else int((pair < 0).sum())
        parts = [self.augment(detail[:single], bits[:single])] if single else []
        if single < len(detail):
            with torch.random.fork_rng(devices=[detail.device] if detail.is_cuda else []):
                without = self.augment(detail[single + 1 :: 2], bits[single + 1 :: 2])
            both = zip(self.augment(detail[single::2], bits[single::2]), without, strict=True)
            parts.append(tuple(torch.stack(pair, 1).flatten(0, 1) for pair in both))
        detail, bits = (torch.cat(planes) for planes in zip(*parts, strict=True))
        return detail, bits

    def _other_hands(self, batch: WristBatch) -> Tensor | None:
        if not self.config.options.get("other_hand"):
            return None
        names = batch["identifier"]
        # pairs come last and have no other hand, as the dataset's own radiographs may be in the batch a second time
        single = int((batch["pair"] < 0).sum()) if "pair" in batch else len(names)
        others = other_hands(names[:single]) + [ALONE] * (len(names) - single)
        return torch.tensor(others).to(batch["image"].device, non_blocking=True)

    def losses(self, model: nn.Module, batch: JointBatch, context: StepContext) -> Losses:
        """Run the network as in training: true masks drive the erosion head of some images (teacher forcing)."""
        schedule, labelled = self.config.joint, batch["has_bones"]
        forcing = max(0.0, 1 - context.progress / schedule.teacher_forcing) if schedule.teacher_forcing else 0.0
        forced = labelled & (torch.rand(len(labelled), device=labelled.device) < forcing)
        if self.segmenter is None:
            masks = {"forced_masks": batch["masks"], "forced": forced}
        else:
            found = self._segmenter_masks(batch["image"])
            masks = {"forced_masks": torch.where(_per_image(forced), batch["masks"], found)}
        scale = self.mask_grad_scale(context)
        masks |= {"mask_grad_scale": scale, "balance": self.feature_balance(context)}
        output = model(batch["image"], batch["detail"], other=batch.get("other"), **masks)
        losses = self.output_losses(output, batch, context)
        warming_up = context.progress < schedule.segmentation_warmup
        if context.mean_teacher is not None and schedule.consistency and not warming_up:
            part = self._consistency(output.mask_logits, batch["image"], ~labelled, context)
            losses |= {"consistency": part, "loss": losses["loss"] + part}
        return losses

    def clipped_together(self, model: nn.Module) -> list[list[nn.Parameter]]:
        """Clip the erosion head separately: its large initial gradients would shrink those of the masks."""
        head = {id(parameter) for parameter in model.erosion.parameters()}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in head]
        return [list(model.erosion.parameters()), rest]

    def not_yet_trained(self, model: nn.Module, context: StepContext) -> list[nn.Parameter]:
        """Return those of the erosion head before its losses begin."""
        return [] if self._erosion_losses_begun(context) else list(model.erosion.parameters())

    def _erosion_losses_begun(self, context: StepContext) -> bool:
        schedule = self.config.joint
        return schedule.trained == "erosion" or context.progress >= schedule.segmentation_warmup

    def feature_balance(self, context: StepContext) -> FeatureBalance | None:
        """Gradient balance at the shared features in a step; None leaves the gradients unchanged."""
        schedule = self.config.joint
        if schedule.erosion_share is None:
            return None
        left = max(0.0, 1 - context.progress / schedule.erosion_share_end)
        return FeatureBalance(schedule.erosion_share * left, schedule.project_conflicts)

    def mask_grad_scale(self, context: StepContext) -> float:
        """Share of the erosion gradient that reaches the masks in a step.

        It is 0 before `joint.mask_grad_start`, and again after the validation NSD fell by `joint.mask_grad_nsd_drop`.
        """
        schedule, epochs = self.config.joint, self.config.optim.epochs
        if context.progress < schedule.mask_grad_start:
            return 0.0
        figures = [(entry["epoch"] + 1, entry["val_nsd"]) for entry in context.epoch_figures if "val_nsd" in entry]
        before = [nsd for epoch, nsd in figures if epoch <= schedule.mask_grad_start * epochs]
        after = [nsd for epoch, nsd in figures if epoch > schedule.mask_grad_start * epochs]
        fell = bool(before) and any(nsd < before[-1] - schedule.mask_grad_nsd_drop / 100 for nsd in after)
        return 0.0 if fell else schedule.mask_grad_scale

    def forward(self, model: nn.Module, batch: JointBatch) -> JointOutput:
        """Run the network as in evaluation; `joint.test_masks` says which masks drive the erosion head."""
        image, detail, other, kind = batch["image"], batch["detail"], batch.get("other"), self.config.joint.test_masks
        if kind == "predicted" and self.segmenter is None:
            return model(image, detail, other=other)
        if kind == "truth":
            return model(image, detail, batch["masks"], batch["has_bones"], other)
        masks = model.segment(image).float().sigmoid() if self.segmenter is None else self._segmenter_masks(image)
        if kind == "moved":
            step = image.shape[-1] // 7
            masks = masks.roll((step, step), (-2, -1))
        elif kind == "exchanged":
            masks = masks.roll(1, 1)
        return model(image, detail, masks, other=other)

    def output_losses(self, output: JointOutput, batch: JointBatch, context: StepContext) -> Losses:
        """Weighted sum of the losses of masks and erosions, and its parts."""
        frozen = self.config.joint.trained == "erosion"
        # every output stays in the graph, so that a batch without one kind of label still has all gradients
        outputs = [output.erosion_logits, output.erosion_heat_maps]
        outputs += [output.mask_logits] * frozen
        outputs += [output.distance_logits] * (frozen or not self.config.segmentation.distance)
        outputs += [some for some in (output.bone_shapes, output.further_logits) if some is not None]
        connected = sum(o.float().sum() for o in outputs)
        parts = {} if frozen else self._bone_losses(output, batch, context)
        if self._erosion_losses_begun(context):
            parts["erosion"] = self._level_loss(output, batch, context)
            parts |= further_losses(output, batch, self.config.erosion, context, self.anatomy)
            if self.config.erosion.map_scores:
                parts["map_scores"] = map_score_loss(output, batch, self.config.erosion, context, self.anatomy)
            if self.pixel_truth or output.bone_shapes is not None:
                parts |= pixel_losses(output, batch, self.config.erosion, context, self.anatomy)
            if "pair" in batch:
                parts |= pair_losses(output, batch, self.config.radiographs, context)
        return {"loss": sum(parts.values()) + 0.0 * connected, **parts}

    def _bone_losses(self, output: JointOutput, batch: JointBatch, context: StepContext) -> dict[str, Tensor]:
        config, logits = self.config.segmentation, output.mask_logits
        masks, labelled = batch["masks"], batch["has_bones"]
        means = mask_losses(logits, masks, config, labelled, self.anatomy)
        if config.distance:
            means["distance"] = config.distance * distance_loss(output.distance_logits, masks, images=labelled)
        if config.boundary:
            means["boundary"] = config.boundary * context.progress * boundary_loss(logits, masks, labelled)
        if config.deep_supervision and output.coarse_logits:
            means["coarse"] = coarse_losses(output.coarse_logits, masks, config, labelled)
        weight = process_weight(labelled.sum(), context)
        return {name: weight * value for name, value in means.items()}

    def _segmenter_masks(self, image: Tensor) -> Tensor:
        """Mask probabilities (B, C, N, N) of the frozen segmenter."""
        with torch.no_grad():
            return self.segmenter.to(image.device).segment(image).float().sigmoid()

    def _consistency(self, logits: Tensor, image: Tensor, chosen: Tensor, context: StepContext) -> Tensor:
        """Cross-entropy to the mean teacher's masks, over the pixels that it is confident about."""
        with torch.no_grad():
            probability = context.mean_teacher.eval().segment(image).float().sigmoid()
            sure = ((probability - 0.5).abs() > 0.45) & _per_image(chosen)
        wanted, sure = probability.round(), sure.float()
        loss = F.binary_cross_entropy_with_logits(logits.float(), wanted, weight=sure, reduction="sum")
        return self.config.joint.consistency * loss / context.process_mean(sure.sum()).clamp_min(1.0)

    def _level_loss(self, output: JointOutput, batch: JointBatch, context: StepContext) -> Tensor:
        if self.prior is not None:
            self.prior = self.prior.to(output.erosion_logits.device)
        return self.config.erosion.weight * level_loss(output, batch, self.prior, context, self.anatomy)

    def case_results(self, output: JointOutput, batch: JointBatch) -> CaseResults:
        """Return one result per region of the cases with masks, and, of each score, one per scored joint."""
        chosen = torch.nonzero(batch["has_bones"]).flatten()
        identifiers, patients, sides = (
            [batch[key][i] for i in chosen.tolist()] for key in ("identifier", "patient", "side")
        )
        logits, masks, scores = (t[chosen.to(t.device)] for t in (output.mask_logits, batch["masks"], batch["scores"]))
        raw_output = self.config.segmentation.raw_output
        names, found = self.anatomy.joint_names, output.roi_valid
        further = {
            score.name: _joint_results(
                output.further_logits[:, number], found, batch["further_scores"][:, number], batch, names
            )
            for number, score in enumerate(self.anatomy.further_scores)
        }
        return {
            "segmentation": mask_results(logits, masks, scores, identifiers, patients, sides, raw_output, self.anatomy),
            "erosion": _joint_results(output.erosion_logits, found, batch["scores"], batch, names),
            **further,
        }


def _joint_results(
    logits: Tensor, valid: Tensor, scored: Tensor, batch: JointBatch, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a result per scored joint of one score, from its (B, J, K) logits, and (B, J) joints found and scores."""
    cumulative = logits.float().sigmoid().cpu().numpy()
    found, scores = valid.cpu().numpy(), scored.cpu().numpy()
    return [
        {
            "case": case,
            "patient": batch["patient"][i],
            "side": batch["side"][i],
            "joint": names[joint],
            "score": int(scores[i, joint]),
            "probability": float(cumulative[i, joint, 0]),
            "level": int((cumulative[i, joint] >= 0.5).sum()),
            "found": bool(found[i, joint]),
        }
        for i, case in enumerate(batch["identifier"])
        for joint in np.flatnonzero(scores[i] >= 0)
    ]


def _per_image(chosen: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, 1, 1)."""
    return chosen[:, None, None, None]
