"""Eroded or not, from one joint crop."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from jointwrist.anatomy import JOINT_NAMES
from jointwrist.engine.tasks.base import Task, alone, map_loss, share
from jointwrist.models.crop_map import CropOutput


class ErosionTask(Task):
    """Eroded or not, from one joint crop."""

    def prepare(self, batch, training):
        """Augment and bring to the sizes of the network."""
        if not training:
            return batch
        image, eroded = self.augment(batch["image"], batch["eroded"][:, None])
        return {**batch, "image": image, "eroded": eroded[:, 0]}

    def output_losses(self, output, batch, progress, across=alone):
        """Weighted cross-entropy of two logits a crop; with a map head, also the joint network's loss of the map."""
        logits, maps = output if isinstance(output, CropOutput) else (output, None)
        eroded = batch["score"] > 0
        weight = torch.where(eroded, self.config.erosion.positive_weight, 1.0)
        each = F.cross_entropy(logits.float(), eroded.long(), reduction="none")
        loss = share(weight.sum(), across) * (weight * each).sum() / weight.sum()
        if maps is None:
            return {"loss": loss}
        target = F.adaptive_avg_pool2d(batch["eroded"][:, None].float(), maps.shape[-2:])
        drawn = self.config.erosion.map * map_loss(maps, target, batch["has_eroded"], across)
        return {"loss": loss + drawn, "erosion": loss, "map": drawn}

    def case_results(self, output, batch):
        """Rows of two logits a crop."""
        logits = output.logits if isinstance(output, CropOutput) else output
        probability = logits.float().softmax(-1)[:, 1].cpu().numpy()
        return {
            "erosion": [
                {
                    "case": batch["identifier"][i],
                    "patient": batch["patient"][i],
                    "side": batch["side"][i],
                    "joint": JOINT_NAMES[int(batch["joint"][i])],
                    "score": int(batch["score"][i]),
                    "probability": float(probability[i]),
                    "level": int(probability[i] >= 0.5),
                    "found": True,
                }
                for i in range(len(probability))
            ]
        }
