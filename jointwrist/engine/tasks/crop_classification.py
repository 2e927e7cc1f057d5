"""Task: classify single joint crops as eroded or not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.engine.batch_schema import CropBatch
from jointwrist.engine.results.case_results import CaseResults
from jointwrist.engine.tasks.base import Losses, Task, heat_map_loss, process_weight
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.models.crop_heat_map import CropOutput


class ErosionTask(Task[CropBatch, CropBatch, Tensor | CropOutput]):
    """Classify joint crops; the output is (B, 2) logits (healthy, eroded), or a `CropOutput` with a heat map."""

    def prepare(self, batch: CropBatch, training: bool) -> CropBatch:
        """Augment in training; crops have the network's size already."""
        if not training:
            return batch
        image, eroded = self.augment(batch["image"], batch["eroded"][:, None])
        return {**batch, "image": image, "eroded": eroded[:, 0]}

    def forward(self, model: nn.Module, batch: CropBatch) -> Tensor | CropOutput:
        """Classify the crops."""
        return model(batch["image"])

    def output_losses(self, output: Tensor | CropOutput, batch: CropBatch, context: StepContext) -> Losses:
        """Weighted cross-entropy per crop; with a heat map, also the joint network's heat map loss."""
        logits, heat_maps = output if isinstance(output, CropOutput) else (output, None)
        eroded = batch["score"] > 0
        weight = torch.where(eroded, self.config.erosion.positive_weight, 1.0)
        each = F.cross_entropy(logits.float(), eroded.long(), reduction="none")
        loss = process_weight(weight.sum(), context) * (weight * each).sum() / weight.sum()
        if heat_maps is None:
            return {"loss": loss}
        target = F.adaptive_avg_pool2d(batch["eroded"][:, None].float(), heat_maps.shape[-2:])
        drawn = self.config.erosion.heat_map * heat_map_loss(heat_maps, target, batch["has_eroded"], context)
        return {"loss": loss + drawn, "erosion": loss, "map": drawn}

    def case_results(self, output: Tensor | CropOutput, batch: CropBatch) -> CaseResults:
        """Return one result per crop."""
        logits = output.logits if isinstance(output, CropOutput) else output
        probability = logits.float().softmax(-1)[:, 1].cpu().numpy()
        return {
            "erosion": [
                {
                    "case": batch["identifier"][i],
                    "patient": batch["patient"][i],
                    "side": batch["side"][i],
                    "joint": self.anatomy.joint_names[int(batch["joint"][i])],
                    "score": int(batch["score"][i]),
                    "probability": float(probability[i]),
                    "level": int(probability[i] >= 0.5),
                    "found": True,
                }
                for i in range(len(probability))
            ]
        }
