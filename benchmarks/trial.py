"""One training step of a run on trial: how long it takes, what it holds in memory, and which batch still fits."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor
from torch.utils.data import default_collate

from jointwrist.engine.config import RunConfig
from jointwrist.engine.loaders import RunData
from jointwrist.engine.tasks import build_task
from jointwrist.engine.trainer import build_model

#: Words of PyTorch's errors when the memory of a CPU runs out; those of a GPU have a class of their own.
_OUT_OF_MEMORY = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory")
#: Float32 weights, gradients and the two moments of AdamW.
_BYTES_A_PARAMETER = 16


@dataclass(frozen=True)
class Trial:
    """What one training step costs.

    Attributes:
        seconds: Time of the step, after one to warm up.
        megabytes: Weights, gradients, the optimiser's state, and all that the backward pass needs; what libraries take
            beside that is not in it.
    """

    seconds: float
    megabytes: float


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def try_step(accelerator: Accelerator, config: RunConfig, data: RunData) -> Trial:
    """Train a fresh network for two steps on the first items, the second one measured; nothing is kept."""
    task = build_task(config, data.prior)
    task.augment.to(accelerator.device)
    model = build_model(config).to(accelerator.device).train()
    batch = default_collate([data.train[index % len(data.train)] for index in range(config.optim.batch_size)])
    batch = send_to_device(batch, accelerator.device)
    seconds, held = 0.0, {}

    def note(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for _ in range(2):
        began = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), accelerator.autocast():
            loss = task.losses(model, task.prepare(batch, training=True), 0.5)["loss"]
        loss.backward()
        # reading a gradient waits for the device
        float(sum(p.grad.abs().max() for p in model.parameters() if p.grad is not None))
        seconds = time.perf_counter() - began
    parameters = {p.untyped_storage().data_ptr(): p.numel() for p in model.parameters()}
    saved = sum(size for place, size in held.items() if place not in parameters)
    return Trial(seconds, (_BYTES_A_PARAMETER * sum(parameters.values()) + saved / 2) / 1e6)


def fitting_batch(accelerator: Accelerator, config: RunConfig, data: RunData) -> int:
    """Halve the batch until a step fits; 0 if not even one image does."""
    size = config.optim.batch_size // 2
    while size:
        gc.collect()
        accelerator.free_memory()
        try:
            try_step(accelerator, replace(config, optim=replace(config.optim, batch_size=size)), data)
            return size
        except Exception as error:
            if not out_of_memory(error):
                raise
        size //= 2
    return 0


def advice(config: RunConfig, fitting: int) -> str:
    """What to set, given the largest batch that fits."""
    wanted = config.optim.batch_size
    if not fitting:
        return f"a batch of {wanted} does not fit, nor does a single image; take a smaller image_size"
    return (
        f"a batch of {wanted} does not fit, one of {fitting} does: set optim.batch_size={fitting}"
        f" optim.accumulate={wanted // fitting * config.optim.accumulate}, or image_size lower"
    )
