"""Items of a dataset whose files cannot all be read: their errors in place of one that ends the loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset, default_collate

from jointwrist.errors import DataError


class ReadableItems(Dataset):
    """A dataset whose unreadable items are the texts of their errors.

    Args:
        dataset: Raises `DataError` for an item whose files cannot be read.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except DataError as error:
            return str(error)


def collate_readable(items: Sequence[Any]) -> tuple[Any, list[str]]:
    """Return a batch of the readable ones of `ReadableItems`, None if there are none, and the errors of the others."""
    readable = [item for item in items if not isinstance(item, str)]
    return default_collate(readable) if readable else None, [item for item in items if isinstance(item, str)]
