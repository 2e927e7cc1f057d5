"""Eroded or not, from one joint crop."""

from __future__ import annotations

import torch.nn.functional as F

from jointwrist.anatomy import JOINT_NAMES
from jointwrist.engine.tasks.base import Task, alone, share


class ErosionTask(Task):
    """Eroded or not, from one joint crop."""

    def prepare(self, batch, training):
        """Augment and bring to the sizes of the network."""
        return {**batch, "image": self.augment(batch["image"])[0]} if training else batch

    def output_losses(self, output, batch, progress, across=alone):
        """Weighted cross-entropy of two logits a crop."""
        classes = batch["image"].new_tensor([1.0, self.config.erosion.positive_weight])
        eroded = (batch["score"] > 0).long()
        weight = share(classes[eroded].sum(), across)
        return {"loss": weight * F.cross_entropy(output.float(), eroded, classes)}

    def rows(self, output, batch):
        """Rows of two logits a crop."""
        probability = output.float().softmax(-1)[:, 1].cpu().numpy()
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
