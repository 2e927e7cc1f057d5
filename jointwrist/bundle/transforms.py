"""Pre- and postprocessing of the predictor as MONAI dictionary transforms.

They reuse the pre- and postprocessing of `jointwrist.inference.predictor.Predictor`, so a bundle gives the same results
as `jointwrist predict`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor, list_data_collate
from monai.transforms import MapTransform

from jointwrist.bundle.network import EROSION_OUTPUTS
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.errors import DataError
from jointwrist.inference.prediction import Prediction
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.result import WristResult
from jointwrist.inference.sources import read_radiograph

#: Name of the entry that records `LoadRadiographd` among the operations applied to an image.
_LOADED = "LoadRadiographd"


def list_radiographs(folder: str | Path) -> list[dict[str, str]]:
    """List the radiographs of a folder, or one file, as a MONAI dataset does.

    Returns:
        An `image` each.

    Raises:
        DataError: There are none, or two whose results would have one name.
    """
    found: dict[str, Path] = {}
    for path in find_radiographs([folder]):
        if path.stem in found:
            raise DataError(f"{found[path.stem]} and {path}: their results would have one name; rename one of them")
        found[path.stem] = path
    return [{"image": str(path)} for path in found.values()]


def collate_wrists(batch: Sequence[dict[str, Any] | list[dict[str, Any]]]) -> dict[str, Any]:
    """Collate items of `LoadRadiographd`, even if some radiographs show one hand and others both.

    MONAI's own `list_data_collate` looks only at the first item of a batch, and fails on mixed batches.
    """
    return list_data_collate([item for entry in batch for item in (entry if isinstance(entry, list) else [entry])])


class LoadRadiographd(MapTransform):
    """Read a radiograph as `Predictor` does: DICOM, BMP, PNG, JPEG or TIFF; find the wrist, its side and rotation.

    The image becomes (1, D, D) float32 from 0 to 1, a right hand with the fingers upwards; D is the predictor's
    `detail_size`. Its `applied_operations` hold the `Placement`, which `RestoreResultd` inverts. A
    radiograph of both hands becomes a list of two items; see `collate_wrists`.

    Args:
        keys: The one key of the file.
        predictor: Predictor of the network, which determines its input.
        side_key: Key of "L" or "R" where the hand is known; it may be missing.
    """

    def __init__(self, keys: KeysCollection, predictor: Predictor, side_key: str = "side"):
        super().__init__(keys)
        self.predictor, self.side_key = predictor, side_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any] | list[dict[Hashable, Any]]:
        """Read the file of an item.

        Raises:
            DataError: The file cannot be read, or shows no wrist.
        """
        (key,) = self.keys
        path = data[key]
        wrists = self.predictor.locate(read_radiograph(path, data.get(self.side_key)))
        items = []
        for wrist in wrists:
            image = MetaTensor(
                self.predictor.inputs([wrist])[0],
                meta={"filename_or_obj": str(path), "spatial_shape": np.array(wrist.radiograph.pixels.shape)},
            )
            image.push_applied_operation({"class": _LOADED, "placement": wrist, "hands": len(wrists)})
            items.append({**data, key: image})
        return items[0] if len(items) == 1 else items


class RestoreResultd(MapTransform):
    """Map the outputs of a `WristNetwork` back to the radiograph: its own pixels, orientation and side.

    The output becomes the masks, (C, H, W) uint8 of 0 and 1 in the order of the bones of the anatomy, which
    overlap. The item gets `erosion`, the (J,) probabilities, nan where a joint was not found; `erosion_score`, the (J,)
    levels, -1 where it was not; `wrist`, the `WristResult`; and `result`, all of it but the pixels as JSON values, as
    MONAI Label sends them to its clients.

    Args:
        keys: The one key of the outputs.
        predictor: The predictor given to `LoadRadiographd`.
        image_key: Key of the image that the outputs are of.
    """

    def __init__(self, keys: KeysCollection, predictor: Predictor, image_key: str = "image"):
        super().__init__(keys)
        self.predictor, self.image_key = predictor, image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore one item of a decollated batch."""
        (key,) = self.keys
        loaded = _loaded(data[self.image_key])
        result = self.predictor.results([loaded["placement"]], _prediction(data[key]))[0]
        meta = {**data[self.image_key].meta, "channel_names": list(result.anatomy.bone_names)}
        return {
            **data,
            key: MetaTensor(torch.from_numpy(result.masks.astype(np.uint8)), meta=meta),
            "erosion": torch.from_numpy(result.probabilities),
            "erosion_score": torch.from_numpy(result.scores),
            "wrist": result,
            "result": result.to_dict(),
        }


class SaveResultd(MapTransform):
    """Write overlay, JSON and masks of a result under the names that `jointwrist predict` gives them.

    Args:
        keys: The one key of the `WristResult`.
        folder: Output folder; created if missing.
        image_key: Key of the image that the result is of.
    """

    def __init__(self, keys: KeysCollection, folder: str | Path, image_key: str = "image"):
        super().__init__(keys)
        self.folder, self.image_key = Path(folder), image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write one result; of a radiograph of both hands, each by its side."""
        (key,) = self.keys
        result: WristResult = data[key]
        loaded = _loaded(data[self.image_key])
        stem = Path(result.radiograph.source).stem
        result.save(self.folder, stem if loaded["hands"] == 1 else f"{stem}_{result.side}")
        return dict(data)


def _loaded(image: MetaTensor) -> dict[str, Any]:
    return next(entry for entry in reversed(image.applied_operations) if entry["class"] == _LOADED)


def _prediction(output: torch.Tensor | Mapping[str, torch.Tensor]) -> Prediction:
    """Make a batch of one of the outputs for one image."""
    if isinstance(output, torch.Tensor):
        return Prediction.of(output[None])
    erosions = {name: output[name][None] for name in EROSION_OUTPUTS if name in output}
    masks = output["pred"][None]
    return Prediction.of(SimpleNamespace(mask_logits=masks, **erosions) if erosions else masks)
