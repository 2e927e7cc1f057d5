"""PyTorch datasets of radiographs without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from jointwrist.data.load import load_radiograph
from jointwrist.data.preprocess import prepare_image


class UnlabelledImages(Dataset):
    """Radiographs of any size and orientation, padded to squares and kept in memory.

    Args:
        paths: Picture and DICOM files.
        size: Side S of an item in pixels.
    """

    def __init__(self, paths: Sequence[Path], size: int):
        self.paths, self.size = list(paths), size
        self._kept: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, object]:
        """Return image (1, S, S) float32 in [0, 1], and its file as the identifier."""
        path = self.paths[index]
        if index not in self._kept:
            pixels = torch.from_numpy(load_radiograph(path).pixels)[None, None]
            height, width = pixels.shape[-2:]
            down, right = max(width - height, 0), max(height - width, 0)
            square = F.pad(pixels, (right // 2, right - right // 2, down // 2, down - down // 2))
            self._kept[index] = (255 * prepare_image(square, self.size)[0]).round().to(torch.uint8)
        return {"image": self._kept[index].float() / 255, "identifier": str(path)}


class ImagesOnly(Dataset):
    """Images and identifiers of another dataset.

    Args:
        dataset: Dataset whose items have `image` and `identifier`.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, object]:
        """Return `image` and `identifier`."""
        item = self.dataset[index]
        return {"image": item["image"], "identifier": item["identifier"]}
