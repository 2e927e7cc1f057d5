"""PyTorch datasets of a folder in the released layout: one split of one task, ready for a DataLoader.

```python
train = RamW600Segmentation("RAM-W600", "train", size=512)
item = train[0]
masks = unpack_bits(item["bones"][None], 14)  # (1, 14, 512, 512)
```
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jointwrist.data.batches.torch_datasets import CropDataset, WristDataset
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.joint_split import joint_split
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.errors import DataError


class RamW600Segmentation(WristDataset):
    """Radiographs with the masks of 14 bones, in right-hand orientation.

    Items hold image (1, S, S) float32 in [0, 1]; bones (S, S) int16, bit b for bone b, which
    `jointwrist.data.preprocess.unpack_bits` makes masks of; eroded (S, S) uint8 and has_eroded, for folders that know
    the pixels of erosions; scores (6,) int64, -1 where there is none; has_bones; identifier, patient and side.

    Args:
        root: Folder in the released layout, or the opened dataset.
        split: "train", "val" or "test".
        size: Side S of the square image in pixels.
        cache: Keep items in memory after the first reading.

    Raises:
        DataError: The folder is missing or faulty, or the split is empty.
    """

    def __init__(self, root: str | Path | RamW600, split: str, size: int = 512, cache: bool = True) -> None:
        dataset = _opened(root, split)
        super().__init__(_not_empty(dataset, split, dataset.segmentation(split)), size, cache)


class RamW600Joint(WristDataset):
    """Radiographs with masks, scores or both, in splits that share no patient between the two tasks.

    Items are those of `RamW600Segmentation`; has_bones says whether a radiograph has masks. See
    `jointwrist.data.dataset.joint_split` for the choice of radiographs.

    Args:
        root: Folder in the released layout, or the opened dataset.
        split: "train", "val" or "test".
        size: Side S of the square image in pixels.
        cache: Keep items in memory after the first reading.

    Raises:
        DataError: The folder is missing or faulty, or the split is empty.
    """

    def __init__(self, root: str | Path | RamW600, split: str, size: int = 512, cache: bool = True) -> None:
        dataset = _opened(root)  # patients of all splits decide which radiographs are in this one
        super().__init__(_not_empty(dataset, split, joint_split(dataset, split).cases), size, cache)


class RamW600Erosion(CropDataset):
    """Joint crops with their Sharp/van der Heijde erosion scores.

    Items hold image (1, S, S) float32 in [0, 1]; score int64, 0 to 5; joint, its index in `jointwrist.anatomy.JOINTS`;
    eroded (S, S) uint8 and has_eroded, for folders that know the pixels of erosions; identifier, patient and side.

    Args:
        root: Folder in the released layout, or the opened dataset.
        split: "train", "val" or "test".
        size: Side S of the square crop in pixels.
        mirror_left: Mirror the crops of left hands.
        cache: Keep crops in memory after the first reading.

    Raises:
        DataError: The folder is missing or faulty, or the split is empty.
    """

    def __init__(
        self,
        root: str | Path | RamW600,
        split: str,
        size: int = 224,
        mirror_left: bool = False,
        cache: bool = True,
    ) -> None:
        dataset = _opened(root, split)
        super().__init__(_not_empty(dataset, split, dataset.erosion(split)), size, mirror_left, cache)


def _opened(root: str | Path | RamW600, *splits: str) -> RamW600:
    if isinstance(root, RamW600):
        return root
    return RamW600.open(root, splits=splits) if splits else RamW600.open(root)


def _not_empty(dataset: RamW600, split: str, cases: Sequence[Case]) -> Sequence[Case]:
    if not cases:
        raise DataError(f"{dataset.root}: no radiographs in {split}; check the folder with `jointwrist data check`")
    return cases
