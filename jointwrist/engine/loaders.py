"""Which cases a run trains, validates and tests on, and the loaders over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset

from jointwrist.anatomy import NUM_JOINTS
from jointwrist.config import build
from jointwrist.data.datasets import CropDataset, WristDataset
from jointwrist.data.hands import other_hands, study_batches
from jointwrist.data.joint_set import joint_split
from jointwrist.data.phantom import PhantomConfig
from jointwrist.data.ram_w600 import Case, Release
from jointwrist.data.samplers import EpochBatches, FreshBatches, ProcessBatches
from jointwrist.data.stream import PhantomCropStream, PhantomStream
from jointwrist.engine.config import RunConfig, uses_pixel_truth
from jointwrist.engine.leaks import inherited_records, name_inherited, name_shared, recorded_patients, shared_patients
from jointwrist.engine.stop import leave_signals_to_parent
from jointwrist.errors import DataError
from jointwrist.losses import EROSION_LEVELS, level_log_odds, score_levels


@dataclass(frozen=True)
class RunData:
    """Data of one run.

    Attributes:
        train: Training items.
        batches: Their order.
        val: Validation items.
        test: Test items.
        prior: (6, K) log odds of P(level > k) among the training wrists (joint task), or None.
        pixel_truth: Whether training learns from the pixels of erosions.
        notes: What was left out and why.
        patients: Who is in each split; nobody is in that of phantoms made on the fly.
        inherited: Whom the networks that the run builds on were trained on; see `jointwrist.engine.leaks`.
    """

    train: Dataset
    batches: EpochBatches | FreshBatches
    val: Dataset
    test: Dataset
    prior: Tensor | None
    pixel_truth: bool
    notes: tuple[str, ...]
    patients: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inherited: Sequence[Mapping[str, Any]] = ()


def load_run_data(config: RunConfig, release: Release, augmented: bool = True) -> RunData:
    """Choose the cases of a run by its task and make datasets of them.

    Masks that networks are measured by come from the released ones to `config.image_size` in one step, whatever the
    task. Those that are augmented first have the size of the image that they are augmented with.

    Args:
        config: Resolved configuration of the run.
        release: The data.
        augmented: Whether the training items are augmented; False makes them items to measure a network by.

    Raises:
        DataError: A split that the run needs is empty, or a patient is in two splits. The official protocol takes the
            splits as they are and says so in the notes. Patients of val and test whom a network that the run builds on
            was trained on are no error, for two folders may number their patients alike: the notes warn of them.
    """
    notes: tuple[str, ...] = ()
    if config.task == "joint":
        splits = {name: joint_split(release, name) for name in ("train", "val", "test")}
        cases = {name: list(split.cases) for name, split in splits.items()}
        notes = tuple(split.summary() for split in splits.values())
        if config.joint.doubly_labelled:
            cases["train"] = [case for case in cases["train"] if case.mask is not None and max(case.scores) >= 0]
    else:
        select = release.erosion if config.task == "erosion" else release.segmentation
        cases = {name: list(select(name)) for name in ("train", "val", "test")}
    if config.stream.wrists:
        cases["train"] = []
    if shared := shared_patients(cases):
        if config.protocol != "official":
            raise DataError(
                f"{release.root}: {name_shared(shared)}; keep each in one; `jointwrist data check` lists the images"
            )
        notes += (f"{name_shared(shared)}; the official protocol keeps them",)
    known = bool(config.stream.wrists) or any(case.truth is not None for case in cases["train"])
    if not uses_pixel_truth(config):
        cases = {name: [replace(case, truth=None) for case in chosen] for name, chosen in cases.items()}
        if known and config.task == "joint" and config.erosion.map:
            notes += ("erosions are learned from their scores alone; erosion.pixel_truth=true adds their pixels",)
    # test is read once: keeping it would take memory for nothing
    datasets = {
        name: _dataset(config, chosen, config.cache and name != "test", augmented and name == "train")
        for name, chosen in cases.items()
    }
    if config.stream.wrists:
        datasets["train"] = _stream(config)
    for name, dataset in datasets.items():
        if len(dataset) == 0:
            raise DataError(
                f"{release.root}: no {name} images for {config.task}; check the folder with `jointwrist data check`"
            )
    prior = _prior(config, cases["train"]) if config.task == "joint" else None
    batches = _batches(config, datasets["train"], cases["train"])
    patients = {name: tuple(sorted({case.patient for case in chosen})) for name, chosen in cases.items()}
    inherited = inherited_records(config)
    if trained := recorded_patients(inherited, {*patients["val"], *patients["test"]}):
        notes += (name_inherited(trained),)
    return RunData(
        datasets["train"],
        batches,
        datasets["val"],
        datasets["test"],
        prior,
        known and uses_pixel_truth(config),
        notes,
        patients,
        inherited,
    )


def train_loader(data: RunData, workers: int, process: int, processes: int) -> DataLoader:
    """Loader over one process's part of the training batches; `loader.batch_sampler.seek` chooses the position."""
    batches = ProcessBatches(data.batches, process, processes)
    return _loader(data.train, workers, batch_sampler=batches, persistent_workers=workers > 0)


def share_loader(
    dataset: Dataset, batch_size: int, workers: int, process: int, processes: int, whole_studies: bool = False
) -> DataLoader:
    """Loader over the part of a dataset that one process evaluates: every batch falls to exactly one process.

    The batches are the same however many processes there are, and so are mean losses, which are means of batches. With
    `whole_studies`, the two hands of a study come in one batch.
    """
    if whole_studies:
        batches = study_batches(_identifiers(dataset), batch_size)
    else:
        batches = list(BatchSampler(range(len(dataset)), batch_size, drop_last=False))
    return _loader(dataset, workers, batch_sampler=batches[process::processes])


def _loader(dataset: Dataset, workers: int, **options: Any) -> DataLoader:
    return DataLoader(dataset, num_workers=workers, worker_init_fn=leave_signals_to_parent, **options)


def _identifiers(dataset: Dataset) -> list[str]:
    if isinstance(dataset, ConcatDataset):
        return [identifier for part in dataset.datasets for identifier in _identifiers(part)]
    return [case.identifier for case in dataset.cases]


def _dataset(config: RunConfig, cases: Sequence[Case], cache: bool, augmented: bool) -> Dataset:
    if config.task == "erosion":
        return CropDataset(cases, config.erosion.crop_size, config.erosion.mirror_left, cache)
    size = config.detail_size or config.image_size
    return WristDataset(cases, size, cache, size if augmented else config.image_size, config.mask_resize)


def _stream(config: RunConfig) -> Dataset:
    size = config.detail_size or config.image_size
    phantom = build(PhantomConfig, {"size": size, **config.stream.options})
    stream = PhantomStream(config.stream.wrists, config.stream.seed, phantom, uses_pixel_truth(config))
    return PhantomCropStream(stream, config.erosion.crop_size) if config.task == "erosion" else stream


def _batches(config: RunConfig, train: Dataset, cases: Sequence[Case]) -> EpochBatches | FreshBatches:
    size = config.optim.batch_size
    if config.stream.wrists:
        return FreshBatches(len(train), size)
    if config.task == "joint":
        partners = other_hands([case.identifier for case in cases]) if config.options.get("other_hand") else None
        masked = [case.mask is not None for case in cases]
        return EpochBatches(masked, size, config.joint.masked_share, config.seed, partners)
    if config.task == "erosion" and config.erosion.positive_share:
        eroded = [train.score(i) > 0 for i in range(len(train))]
        return EpochBatches(eroded, size, config.erosion.positive_share, config.seed)
    return EpochBatches([False] * len(train), size, 0.0, config.seed)


def _prior(config: RunConfig, cases: Sequence[Case]) -> Tensor:
    """Log odds of P(level > k) per joint: of the training scores, or of the stream's own distribution."""
    if config.stream.wrists:
        phantom = build(PhantomConfig, dict(config.stream.options))
        severity = torch.tensor(phantom.severity) / sum(phantom.severity)
        levels = torch.stack([severity[0], severity[1], severity[2:].sum()]) * phantom.prevalence
        counts = torch.cat([1 - levels.sum(0, keepdim=True), levels]).expand(NUM_JOINTS, -1)
        return level_log_odds(counts * 1000)
    scores = torch.tensor([case.scores for case in cases if case.scores is not None]).reshape(-1, NUM_JOINTS)
    levels = score_levels(scores)
    counts = torch.stack([(levels == level).sum(0) for level in range(EROSION_LEVELS)], 1).float()
    return level_log_odds(counts)
