"""Dataset of a benchmark: a folder in the released layout, or the phantom of a protocol, made on first use."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator

from jointwrist.benchmark.protocol import PhantomData
from jointwrist.benchmark.run_jobs import say
from jointwrist.config import digest, to_dict
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.text import number_of


def open_dataset(accelerator: Accelerator, root: Path | None, phantom: PhantomData, results: Path) -> RamW600:
    """Open a dataset, or make the protocol's phantom on first use.

    Args:
        accelerator: Its main process makes the phantom, the others wait.
        root: Folder in the released layout; None for the phantom.
        phantom: Size, seed and settings of the phantom.
        results: Folder in which the phantom is kept.

    Raises:
        DataError: The folder is not a dataset.
    """
    if root:
        return RamW600.open(root)
    from jointwrist.phantom import PhantomConfig, write_phantom

    root = phantom_folder(phantom, results)
    if accelerator.is_main_process:
        if not root.exists():
            say(accelerator, f"making a phantom of {number_of(phantom.wrists, 'wrist')} in {root}")
        config = PhantomConfig(size=phantom.size, **phantom.options)
        write_phantom(root, phantom.wrists, size=phantom.size, seed=phantom.seed, config=config)
    accelerator.wait_for_everyone()
    return RamW600.open(root)


def phantom_folder(phantom: PhantomData, results: Path) -> Path:
    """Return the folder in which the phantom of a protocol is kept."""
    return results / f"phantom-{digest(to_dict(phantom))}"
