"""The training loop of every model and task, on accelerate."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device, set_seed
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from jointwrist.config import ConfigError, digest
from jointwrist.data.dataset.patient_records import patient_record
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import build_model, build_optimizer, model_options, start_from, weight_info
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.resume import load_run, resume_optimizer, save_run
from jointwrist.engine.processes.distributed import average_over_processes, sync_errors
from jointwrist.engine.processes.stop import STOP
from jointwrist.engine.results.case_results import mean_figures, name_figure, selection_figure
from jointwrist.engine.run_data.datasets import RunData
from jointwrist.engine.run_data.loaders import explain_lost_workers, train_loader
from jointwrist.engine.tasks import Task
from jointwrist.engine.tasks.step_context import StepContext, single_process
from jointwrist.errors import DataError, TrainingError
from jointwrist.files import write_text
from jointwrist.weights.checkpoint import read_weights, save_weights
from jointwrist.weights.pretrained import load_pretrained

LOG = logging.getLogger(__name__)
STATE, BEST, LAST = "state.pt", "best.safetensors", "last.safetensors"
#: Steps between readings of the losses: reading waits for the device.
READ_EVERY = 20
#: Exchanged between processes in place of a signal's number when it is time to save.
SAVE = 1000
#: Report on every key of the files in `joint.pretrained`.
PRETRAINED = "pretrained.txt"


class Trainer:
    """Train one model. If training is interrupted at any moment, a new trainer continues from the last saved state.

    Args:
        accelerator: Chooses devices, processes and precision.
        config: Resolved configuration.
        data: Datasets and batches.
        task: Losses and per-case results.
        folder: Folder for state and weights.
        log: Called by the main process with every epoch's figures.
        progress: Show a progress bar in the main process.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        config: RunConfig,
        data: RunData,
        task: Task,
        folder: Path,
        log: Callable[[dict[str, Any]], None] | None = None,
        progress: bool = False,
    ):
        self.accelerator, self.config, self.data, self.task, self.folder = accelerator, config, data, task, Path(folder)
        self.log, self.progress = log, progress
        set_seed(config.seed)
        self.options = model_options(config, data.anatomy)
        model = build_model(config, data.anatomy, self.options)
        if config.start:
            start_from(model, config, data.anatomy)
        if config.joint.pretrained:
            reports = [str(load_pretrained(model.encoder, path)) for path in config.joint.pretrained]
            if accelerator.is_main_process:
                write_text(self.folder / PRETRAINED, "\n\n".join(reports) + "\n")
        self.model, self.optimizer = accelerator.prepare(model, build_optimizer(model, config.optim))
        # training and evaluation enter autocast themselves; the wrapper would also force it on evaluation in float32
        accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        decay_rate = config.optim.ema
        self.ema = AveragedModel(self.unwrapped, multi_avg_fn=get_ema_multi_avg_fn(decay_rate)) if decay_rate else None
        several = accelerator.num_processes > 1
        self.process_mean = partial(accelerator.reduce, reduction="mean") if several else single_process
        self.encoder = _trained_encoder(self.unwrapped, config)
        self.loader = train_loader(data, config.workers, accelerator.process_index, accelerator.num_processes)
        self.steps_per_epoch = len(data.batches)
        self.total_steps = max(self.steps_per_epoch * config.optim.epochs, 1)
        self.epoch, self.step_in_epoch, self.epochs_without_improvement = 0, 0, 0
        self.best = math.inf
        self.epoch_figures: list[dict[str, Any]] = []
        self.sums: dict[str, float | torch.Tensor] = {}
        #: Step, loss and image identifiers of the steps whose losses have not been read yet.
        self.unread: list[tuple[int, torch.Tensor, list[str]]] = []
        if state := load_run(self.folder / STATE, config, self.options, accelerator.num_processes):
            self._continue_from(state)
        self._begin_group()

    @property
    def unwrapped(self) -> nn.Module:
        """The model without the wrapper of distributed training."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def eval_model(self) -> nn.Module:
        """The model that is validated and saved: the moving average of the weights if there is one."""
        return self.unwrapped if self.ema is None else self.ema.module

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience is exhausted."""
        optim = self.config.optim
        return self.epoch >= optim.epochs or (optim.patience > 0 and self.epochs_without_improvement >= optim.patience)

    def fit(self) -> nn.Module:
        """Train until finished; return `eval_model` with its best weights, in evaluation mode."""
        with tqdm(
            total=self.total_steps,
            initial=self.epoch * self.steps_per_epoch + self.step_in_epoch,
            desc=self.config.model,
            disable=not (self.progress and self.accelerator.is_main_process),
            mininterval=1.0,
        ) as bar:
            while not self.finished:
                self._train_epoch(bar)
                self._close_epoch(bar)
        tensors, _ = read_weights(self.folder / BEST)
        self.eval_model.load_state_dict(tensors)
        return self.eval_model.eval()

    def info(self, thresholds: dict[str, float] | None = None) -> dict[str, Any]:
        """Return the metadata of this run's weight files, with records of the data that they were trained on."""
        info = weight_info(self.config, self.epoch, thresholds, self.data.anatomy, self.options)
        info["history"] = self.data.history(self.epoch).to_list()
        if patients := self.data.patients.get("train"):
            info["patients"] = patient_record(patients, digest(self.config), self.data.prints)
        if self.data.inherited:
            info["inherited"] = list(self.data.inherited)
        return info

    def context(self, step: int) -> StepContext:
        """Return the state of the training at a step."""
        teacher = None if self.ema is None else self.ema.module
        return StepContext(step / self.total_steps, self.process_mean, self.epoch_figures, teacher)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then a cosine down to the floor."""
        optim = self.config.optim
        warm = int(optim.warmup * self.total_steps)
        if step < warm:
            return optim.lr * (step + 1) / warm
        at = step if optim.schedule == "step" else step // self.steps_per_epoch * self.steps_per_epoch
        progress = (max(at, warm) - warm) / max(self.total_steps - warm, 1)
        return optim.lr * (optim.lr_floor + (1 - optim.lr_floor) * (1 + math.cos(math.pi * progress)) / 2)

    def _train_epoch(self, bar: tqdm) -> None:
        self.model.train()
        frozen = self.epoch < round(self.config.optim.frozen * self.config.optim.epochs)
        for parameter in self.encoder:
            parameter.requires_grad_(not frozen)
        with STOP.waiting(), explain_lost_workers(self.config.workers):
            for batch in self._batches():
                self._train_step(batch)
                bar.update()

    def _batches(self) -> Iterator[dict[str, Any]]:
        """Yield the remaining batches of the epoch; if one cannot be loaded, save the state and raise the error."""
        # accelerate's loader would count epochs itself, from 0 after a restart
        self.loader.batch_sampler.seek(self.epoch, self.step_in_epoch)
        batches, saved = iter(self.loader), time.monotonic()
        while True:
            batch, error = None, None
            try:
                batch = next(batches, None)
            except (DataError, RuntimeError) as failed:
                error = failed
            except (ConnectionError, EOFError) as cut:  # a worker died while it sent a batch
                batches = None  # otherwise PyTorch raises the worker's death again at any later moment
                error = RuntimeError(f"DataLoader worker left ({type(cut).__name__})")
            due = time.monotonic() - saved > 60 * self.config.optim.save_minutes
            try:
                number = sync_errors(self.accelerator, error, STOP.signal or SAVE * due)
            except Exception:
                self._save()
                raise
            if number == SAVE:
                self._save()
                saved = time.monotonic()
            elif number:
                self._leave(number)
            if batch is None:
                return
            yield batch

    def _train_step(self, batch: dict[str, Any]) -> None:
        step = self.epoch * self.steps_per_epoch + self.step_in_epoch
        # randomness depends on the position alone, so a resumed run repeats an uninterrupted one
        torch.manual_seed(hash((self.config.seed, step, self.accelerator.process_index)) % 2**63)
        self._step(batch, step)
        self.step_in_epoch += 1
        if self.step_in_epoch % self.config.optim.accumulate == 0:
            self._begin_group()
        if len(self.unread) == READ_EVERY:
            self._read_losses()

    def _begin_group(self) -> None:
        """Remember the beginning of a group of accumulated gradients, to which a saved state belongs."""
        # within the group only buffers change, such as the statistics of batch normalisation
        accumulated = self.config.optim.accumulate > 1
        self.group = {
            "step_in_epoch": self.step_in_epoch,
            "sums": dict(self.sums),
            "buffers": {k: v.clone() for k, v in self.unwrapped.named_buffers()} if accumulated else {},
        }

    def _leave(self, number: int) -> None:
        """Save the state and exit because of a signal."""
        self._save()
        if self.accelerator.is_main_process:
            LOG.warning(
                f"{self.config.model}: stopped by {signal.Signals(number).name} in epoch {self.epoch + 1}, after step"
                f" {self.step_in_epoch}; the state is saved; give the same command again to continue"
            )
        raise SystemExit(128 + number)

    def _step(self, batch: dict[str, Any], step: int) -> None:
        optim = self.config.optim
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step) * group.get("relative_lr", 1.0)
        batch = self.task.prepare(send_to_device(batch, self.accelerator.device, True), training=True)
        first = self.step_in_epoch // optim.accumulate * optim.accumulate
        group = min(optim.accumulate, self.steps_per_epoch - first)  # the last group of an epoch may be shorter
        last = self.step_in_epoch + 1 == first + group
        with nullcontext() if last else self.accelerator.no_sync(self.model):
            with self.accelerator.autocast():
                parts = self.task.losses(self.model, batch, self.context(step))
            self.accelerator.backward(parts["loss"] / group)
        self.unread.append((step, parts["loss"].detach(), batch["identifier"]))
        if last:
            if optim.clip_norm:
                self.accelerator.unscale_gradients()
                for parameters in self.task.clipped_together(self.unwrapped):
                    nn.utils.clip_grad_norm_(parameters, optim.clip_norm)
            for parameter in self.task.not_yet_trained(self.unwrapped, self.context(step)):
                parameter.grad = None
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.ema is not None:
                self.ema.update_parameters(self.unwrapped)
        for name, value in parts.items():  # they stay on the device, as reading would wait for the step
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().float()

    def _read_losses(self) -> None:
        """Stop if a loss is not finite; every process must call this at the same step."""
        error, values = None, torch.stack([loss for _, loss, _ in self.unread]).tolist() if self.unread else []
        wrong = next((index for index, value in enumerate(values) if not math.isfinite(value)), None)
        if wrong is not None:
            step, _, images = self.unread[wrong]
            where = self.folder / "not_finite.txt"
            write_text(where, "\n".join(images) + "\n")
            error = TrainingError(
                f"{self.config.model}: the loss is {values[wrong]} at step {step}; the images of the batch are named in"
                f" {where}; lower optim.lr, or set precision to no"
            )
        self.unread = []
        sync_errors(self.accelerator, error)

    def _close_epoch(self, bar: tqdm) -> None:
        self._read_losses()
        sums = average_over_processes(self.accelerator, self.sums)
        means = {f"train_{name}": value / self.steps_per_epoch for name, value in sums.items()}
        losses, results = evaluate_model(self.accelerator, self.eval_model, self.data.val, self.task, losses=True)
        figures = {"epoch": self.epoch, "lr": self.optimizer.param_groups[0]["lr"], **means, **losses}
        figures |= mean_figures(results)
        figure = selection_figure(self.config.optim.select, losses, results, self.epoch)
        figures["selected_by"] = figure
        self.epoch_figures.append(figures)
        improved = figure < self.best
        if improved:
            self.best, self.epochs_without_improvement = figure, 0
        else:
            self.epochs_without_improvement += 1
        self.epoch, self.step_in_epoch, self.sums = self.epoch + 1, 0, {}
        self._begin_group()
        if self.accelerator.is_main_process:
            if improved or not (self.folder / BEST).is_file():
                save_weights(self.folder / BEST, self.eval_model, self.info())
            save_weights(self.folder / LAST, self.eval_model, self.info())
            best = name_figure(self.config.optim.select, self.best)
            bar.set_postfix_str(f"epoch {self.epoch}, best {best}")
            if self.log:
                self.log(figures)
        self._save()
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        self._read_losses()  # weights spoilt by a loss of nan are not saved
        if self.accelerator.is_main_process:
            save_run(self.folder / STATE, self.config, self.options, self.accelerator.num_processes, self._state())

    def _state(self) -> dict[str, Any]:
        """What a training needs to continue; within a group of accumulated gradients, as of the group's beginning."""
        model = self.unwrapped.state_dict()
        model |= {name: buffer for name, buffer in self.group["buffers"].items() if name in model}
        state = {
            "epoch": self.epoch,
            "step_in_epoch": self.group["step_in_epoch"],
            "stale": self.epochs_without_improvement,
            "best": self.best,
            "history": self.epoch_figures,
            "sums": {name: float(value) for name, value in self.group["sums"].items()},
            "model": model,
            "optimizer": self.optimizer.state_dict(),
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        return state

    def _continue_from(self, state: dict[str, Any]) -> None:
        self.unwrapped.load_state_dict(state["model"])
        resume_optimizer(self.optimizer, state["optimizer"], self.folder / STATE)
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if "scaler" in state and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        for name in ("epoch", "step_in_epoch", "best", "sums"):
            setattr(self, name, state[name])
        self.epoch_figures, self.epochs_without_improvement = state["history"], state["stale"]


def _trained_encoder(model: nn.Module, config: RunConfig) -> list[nn.Parameter]:
    """Return the parameters that `optim.frozen` freezes.

    Raises:
        ConfigError: The model has no encoder of that name.
    """
    if not config.optim.frozen:
        return []
    if not hasattr(model, "encoder"):
        raise ConfigError(f"{config.model} has no part named encoder to freeze; set optim.frozen to 0")
    return [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
