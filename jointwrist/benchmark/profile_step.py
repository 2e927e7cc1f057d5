"""Measure time and memory of one training step, and find the largest batch that fits.

Where several processes share a batch, each tries the largest part of it; the exchange of gradients is not included.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor
from torch.utils.data import default_collate

from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import build_model
from jointwrist.engine.run_data.datasets import RunData
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext

#: Text of PyTorch's errors where the memory of a CPU runs out; those of a GPU have a class of their own.
_OUT_OF_MEMORY = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory")
#: Float32 weights and gradients, and the two moments of AdamW.
_WEIGHTS, _MOMENTS = 8, 8


@dataclass(frozen=True)
class StepProfile:
    """Cost of one training step.

    Attributes:
        seconds: Time of the step, after another one to warm up.
        megabytes: Memory of one process: weights, gradients, state of the optimiser, and tensors of the backward pass.
            On a GPU the peak that PyTorch allocated; on a CPU without the working memory of libraries.
    """

    seconds: float
    megabytes: float


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def profile_step(
    accelerator: Accelerator, config: RunConfig, data: RunData, clock: Callable[[], float] = time.perf_counter
) -> StepProfile:
    """Train a fresh network for two steps on the first items and measure the second, by a clock; nothing is kept."""
    task = build_task(config, data.prior, data.anatomy)
    on_gpu = accelerator.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(accelerator.device)
        before = torch.cuda.memory_allocated(accelerator.device)
    model = build_model(config, data.anatomy).to(accelerator.device).train()
    share = math.ceil(config.optim.batch_size / accelerator.num_processes)
    batch = default_collate([data.train[index % len(data.train)] for index in range(share)])
    batch = send_to_device(batch, accelerator.device)
    seconds, held = 0.0, {}

    def note(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    noting = nullcontext() if on_gpu else torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    for _ in range(2):
        began = clock()
        held.clear()
        with noting, accelerator.autocast():
            loss = task.losses(model, task.prepare(batch, training=True), StepContext(0.5))["loss"]
        loss.backward()
        # reading a gradient waits for the device
        float(sum(p.grad.abs().max() for p in model.parameters() if p.grad is not None))
        seconds = clock() - began
    parameters = {p.untyped_storage().data_ptr(): p.numel() for p in model.parameters()}
    count = sum(parameters.values())
    if on_gpu:
        needed = torch.cuda.max_memory_allocated(accelerator.device) - before
    else:
        needed = _WEIGHTS * count + sum(size for place, size in held.items() if place not in parameters)
    return StepProfile(seconds, (needed + _MOMENTS * count) / 1e6)


def fitting_batch(accelerator: Accelerator, config: RunConfig, data: RunData) -> int:
    """Halve the batch until a step fits, and return it; 0 if even one image per process does not fit."""
    size = config.optim.batch_size // 2
    while size >= accelerator.num_processes:
        gc.collect()
        accelerator.free_memory()
        try:
            profile_step(accelerator, replace(config, optim=replace(config.optim, batch_size=size)), data)
            return size
        except Exception as error:
            if not out_of_memory(error):
                raise
        size //= 2
    return 0


def advice(config: RunConfig, fitting: int) -> str:
    """Text that states which settings to use, given the largest batch that fits."""
    wanted = config.optim.batch_size
    if not fitting:
        return f"a batch of {wanted} does not fit, nor does a single image; take a smaller image_size"
    return (
        f"a batch of {wanted} does not fit, one of {fitting} does: set optim.batch_size={fitting}"
        f" optim.accumulate={wanted // fitting * config.optim.accumulate}, or image_size lower"
    )
