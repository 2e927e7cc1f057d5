"""Agreement of a joint network's masks and heat maps with the eroded pixels of phantoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import JOINTS, NUM_JOINTS
from jointwrist.benchmark.tables.cells import ABSENT, Figure, NoFigure
from jointwrist.benchmark.tables.table import Table
from jointwrist.data.batches.torch_datasets import sample_to_item
from jointwrist.data.preprocess import resize_image
from jointwrist.data.sample import WristSample
from jointwrist.inference.result import WristResult
from jointwrist.metrics.erosion import auroc
from jointwrist.metrics.statistics import bootstrap_interval
from jointwrist.ops.roi import crop_bits, roi_align

_DRAWN = "lost pixels called bone, drawn in the crop"
#: Crops with fewer lost pixels are left out.
_FEWEST = 5


class ErosionPixels(NamedTuple):
    """Metrics of one eroded joint surface of one wrist, on the pixels of its crop.

    Attributes:
        patient: Patient of the wrist.
        joint: Index of the joint surface.
        lost: Number of crop pixels that the erosion took from the bone's mask.
        in_mask: Share of them that the predicted mask calls bone.
        in_shape: Share of them that the bone as drawn in the crop calls bone; nan for a head that does not draw it.
        heat_map: AUROC of the heat map against the eroded pixels.
    """

    patient: str
    joint: int
    lost: int
    in_mask: float
    in_shape: float
    heat_map: float


@torch.inference_mode()
def erosion_pixels(model: nn.Module, sample: WristSample, image_size: int, detail_size: int) -> list[ErosionPixels]:
    """Compare a joint network's masks and heat maps in its crops with a phantom's ground truth.

    Args:
        model: Joint network in evaluation mode.
        sample: Phantom in right-hand orientation.
        image_size: Side of the network's image in pixels.
        detail_size: Side of the image that crops are cut from.

    Returns:
        Figures of the eroded joint surfaces that were found.
    """
    side = max(sample.image.shape[-2:])
    item = sample_to_item(sample, side)
    detail = resize_image(item["image"][None], detail_size)
    output = model(resize_image(detail, image_size), detail)
    crop, scale = output.crops.shape[-1], side / image_size
    own = [joint.bone for joint in JOINTS]

    def truth(name: str, planes: list[int]) -> Tensor:
        return crop_bits(item[name][None, None], torch.tensor([planes]), output.roi_boxes, crop, scale)[0, 0] > 0.5

    eroded, bone = truth("eroded", list(range(NUM_JOINTS))), truth("bones", own)
    boxes = output.roi_boxes[0].float()[:, None]
    masks = roi_align(output.mask_logits[0, own][:, None].float(), boxes, crop, 1.0)[:, 0] > 0
    shapes = None if output.bone_shapes is None else output.bone_shapes[0, :, 0] > 0
    heat_maps = F.interpolate(output.erosion_heat_maps.float(), (crop, crop), mode="bilinear")[0]
    figures = []
    for joint in np.flatnonzero((sample.scores > 0) & output.roi_valid[0].numpy()).tolist():
        lost = eroded[joint] & ~bone[joint]
        if lost.sum() < _FEWEST:
            continue
        kept = [float(drawn[joint][lost].float().mean()) for drawn in (masks, shapes) if drawn is not None]
        heat_map = auroc(eroded[joint].flatten().numpy(), heat_maps[joint].sigmoid().flatten().numpy())
        figures.append(ErosionPixels(sample.patient, joint, int(lost.sum()), kept[0], (*kept, np.nan)[1], heat_map))
    return figures


def heat_in_erosion(sample: WristSample, found: WristResult) -> np.ndarray:
    """Share of each heat map that lies on the eroded pixels of its joint surface.

    Args:
        sample: Phantom in the orientation of its radiograph.
        found: Prediction on that radiograph.

    Returns:
        (J,) float64: sum of the heat map's probabilities on eroded pixels over their sum in the whole box; nan where
        nothing is eroded, the bone was not found, or the model gives no heat maps.
    """
    shares = np.full(NUM_JOINTS, np.nan)
    for joint in np.flatnonzero(sample.scores > 0) if found.heat_maps is not None else ():
        box = torch.from_numpy(found.boxes[joint])
        if box.isnan().any():
            continue
        heat = torch.from_numpy(found.heat_maps[joint]).double().sigmoid()
        bits = torch.from_numpy(sample.eroded.astype(np.int64))[None, None]
        eroded = crop_bits(bits, torch.tensor([[joint]]), box[None, None], heat.shape[-1], 1.0)[0, 0, 0]
        shares[joint] = float((heat * eroded).sum() / heat.sum())
    return shares


def erosion_pixels_table(figures: Sequence[ErosionPixels], caption: str) -> Table:
    """Return a table of means with 95 % intervals over patients; joints are weighted by their lost pixels.

    Args:
        figures: From `erosion_pixels`, of any number of wrists.
        caption: Weights, data and seed.
    """
    rows, drawn = [], not all(np.isnan(f.in_shape) for f in figures)
    for name, chosen in (("all", figures), *((j.display, [f for f in figures if f.joint == j.index]) for j in JOINTS)):
        patients, lost = [f.patient for f in chosen], np.array([f.lost for f in chosen], float)
        weight = lost / lost.mean() if len(lost) else lost
        columns = {
            "lost pixels called bone, mask": np.array([f.in_mask for f in chosen]) * weight,
            **({_DRAWN: np.array([f.in_shape for f in chosen]) * weight} if drawn else {}),
            "heat map AUROC": np.array([f.heat_map for f in chosen]),
        }
        row = {"joint surface": name, "eroded": len(chosen)}
        for title, values in columns.items():
            if not len(values) or np.isnan(values).all():
                row[title] = NoFigure(ABSENT)
            else:
                mean, low, high = bootstrap_interval(values, patients)
                row[title] = Figure(mean, low=low, high=high, digits=3, one_seed=True)
        rows.append(row)
    return Table("erosion_pixels", caption, rows)
