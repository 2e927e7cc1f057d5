"""Pretrain an encoder on unlabelled radiographs: the function behind `jointwrist pretrain`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch.utils.data import ConcatDataset, Dataset

from jointwrist.config import ConfigError, build, merge_trees
from jointwrist.data.batches.samplers import EpochBatches, FreshBatches
from jointwrist.data.batches.unlabelled import ImagesOnly, UnlabelledImages
from jointwrist.data.dataset.layout import refuse_dataset_as_output
from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.trainer import Trainer
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.processes.stop import graceful_stop
from jointwrist.engine.results.case_results import epoch_table
from jointwrist.engine.run_data.datasets import RunData
from jointwrist.engine.tasks import build_task
from jointwrist.engine.train import HISTORY
from jointwrist.files import check_writable, write_frame
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.stream import PhantomStream
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import save_weights
from jointwrist.weights.training_history import TrainingData, TrainingHistory

LOG = logging.getLogger(__name__)
#: Weights of the encoder alone, in the folder of the run; `joint.pretrained` reads them.
ENCODER = "encoder.safetensors"
#: Every n-th radiograph of a folder is kept for validation; without a folder, an n-th as many other phantoms.
HELD_OUT = 10
#: Values that differ from the defaults of a run.
DEFAULTS: dict[str, Any] = {
    "image_size": 256,
    "stream": {"wrists": 1024},
    "optim": {"epochs": 10, "lr": 1e-3, "weight_decay": 0.05, "warmup": 0.1, "schedule": "step", "patience": 0},
}


def pretrain(
    model: str,
    folders: Sequence[str | Path],
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    *,
    progress: bool = False,
) -> Path:
    """Train the encoder of a joint network to predict hidden patches of radiographs (SimMIM, arXiv 2111.09886).

    Interrupted at any moment, the same call continues where the last state was saved. A tenth of the radiographs, or
    phantoms of another seed, choose the best epoch.

    Args:
        model: Registry name of a joint network.
        folders: Radiographs, and folders that are searched for them; none trains on phantoms alone.
        out: Folder for weights, state and history.
        config: Values of `RunConfig` that differ from `DEFAULTS`; `stream.wrists` phantoms join the radiographs.
        progress: Show a progress bar.

    Returns:
        The weight file of the encoder, for `joint.pretrained`.

    Raises:
        ConfigError: A value of the configuration is unknown or out of range, or the model has no such encoder.
        DataError: A radiograph cannot be read, or the folder holds a run of another configuration.
        TrainingError: The loss is not finite, or a loader process was lost.
    """
    if model_spec(model).task != "joint":
        raise ConfigError(f"{model} is not a joint network; masked-image pretraining is for their encoders")
    run = build(RunConfig, {**merge_trees(DEFAULTS, config or {}), "model": model, "task": "pretraining"})
    folder = Path(out)
    refuse_dataset_as_output(folder)
    check_writable(folder)
    accelerator = open_accelerator(run.precision, None, folder)
    data = unlabelled_data(run, folders, folder)
    with graceful_stop():
        trainer = Trainer(accelerator, run, data, build_task(run), folder, progress=progress)
        trainer.log = lambda figures: write_frame(folder / HISTORY, epoch_table(trainer.epoch_figures))
        trained = trainer.fit()
    if accelerator.is_main_process:
        info = {**trainer.info(), "part": "encoder"}
        save_weights(folder / ENCODER, trained.encoder, info)
    accelerator.end_training()
    return folder / ENCODER


def unlabelled_data(config: RunConfig, folders: Sequence[str | Path], out: Path) -> RunData:
    """Return the radiographs and phantoms for pretraining.

    Args:
        config: Resolved configuration of the run.
        folders: Radiographs, and folders of them.
        out: Folder of the results, which is not searched.

    Raises:
        ConfigError: There is nothing to train on.
        DataError: A folder holds no radiographs.
    """
    paths = list(find_radiographs(folders, out, lambda path, others: LOG.info(describe_left_out(path, others))))
    held_out = paths[::HELD_OUT] if len(paths) > 1 else []
    trained = [path for path in paths if path not in set(held_out)]
    phantom = build(PhantomConfig, {"size": config.image_size, **config.stream.options})
    stream = ImagesOnly(PhantomStream(config.stream.wrists, config.stream.seed, phantom))
    parts: list[Dataset] = [part for part in (UnlabelledImages(trained, config.image_size), stream) if len(part)]
    if not parts:
        raise ConfigError("there is nothing to train on; give a folder of radiographs, or stream.wrists above 0")
    size = config.optim.batch_size
    other_seed = ImagesOnly(PhantomStream(-(-config.stream.wrists // HELD_OUT), config.stream.seed + 1, phantom))
    # radiographs come again in every epoch, only phantoms are new
    again = EpochBatches([False] * sum(map(len, parts)), size, 0.0, config.seed)
    return RunData(
        train=ConcatDataset(parts) if trained else stream,
        batches=again if trained else FreshBatches(len(stream), size),
        val=UnlabelledImages(held_out, config.image_size) if held_out else other_seed,
        test=None,
        prior=None,
        notes=(),
        history=partial(_history, len(trained), config.stream.wrists, not trained),
    )


def _history(radiographs: int, phantoms: int, fresh: bool, epochs: int) -> TrainingHistory:
    wrists = phantoms * (epochs if fresh else 1)
    kinds = {"radiographs": radiographs, "phantoms": wrists}
    return TrainingHistory(tuple(TrainingData(kind, number, 0, 0) for kind, number in kinds.items() if number))
