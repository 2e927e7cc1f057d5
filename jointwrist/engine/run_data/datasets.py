"""The data of a run: its datasets, and the order of the batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from jointwrist.anatomy import WRIST, Anatomy, load_anatomy
from jointwrist.config import ConfigError, build
from jointwrist.data.batches.hand_pairs import other_hands
from jointwrist.data.batches.samplers import EpochBatches, FreshBatches
from jointwrist.data.batches.torch_datasets import CropDataset, WristDataset
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.patient_records import radiograph_prints
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig, uses_pixel_truth
from jointwrist.engine.run_data.erosion_prior import erosion_prior
from jointwrist.engine.run_data.leaks import check_splits, inheritance_notes, inherited_records
from jointwrist.engine.run_data.radiograph_pairs import PairBatches, RadiographPairs, WithPairs
from jointwrist.engine.run_data.run_cases import choose_cases
from jointwrist.engine.run_data.training_record import inherited_history, run_history
from jointwrist.errors import DataError
from jointwrist.insertion.prepared_radiograph import list_prepared
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.stream import PhantomCropStream, PhantomStream
from jointwrist.text import number_of
from jointwrist.weights.training_history import TrainingData, TrainingHistory


@dataclass(frozen=True)
class RunData:
    """Data of one run.

    Attributes:
        train: Training items; None if the split was not requested, as for the other splits.
        batches: Order of the training items; None where they are prepared for evaluation.
        val: Validation items.
        test: Test items.
        prior: (J, K) log odds of P(level > k) among the training wrists (joint task), or None.
        notes: Cases that were left out, and the reasons.
        patients: Patients of each split; phantoms made on the fly have none.
        inherited: Patient records of the networks that the run builds on; see `jointwrist.engine.run_data.leaks`.
        prints: Fingerprints of the dataset's radiographs.
        pixel_truth: Whether eroded pixels supervise the training.
        history: Training data of the networks that the run builds on, and of the run itself after a number of epochs.
        anatomy: Bones and joints of all items.
    """

    train: Dataset | None
    batches: EpochBatches | FreshBatches | PairBatches | None
    val: Dataset | None
    test: Dataset | None
    prior: Tensor | None
    notes: tuple[str, ...]
    patients: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inherited: Sequence[Mapping[str, Any]] = ()
    prints: tuple[str, ...] = ()
    pixel_truth: bool = False
    history: Callable[[int], TrainingHistory] = lambda epochs: TrainingHistory()
    anatomy: Anatomy = WRIST


def load_run_data(
    config: RunConfig, dataset: RamW600, splits: Collection[str] = SPLITS, augmented: bool = True
) -> RunData:
    """Choose the cases of a run by its task and make datasets of them.

    Masks for evaluation are resized from the released ones to `config.image_size` in one step. Masks for training have
    the size of the image with which they are augmented.

    Args:
        config: Resolved configuration of the run.
        dataset: The data.
        splits: Splits that are needed; the others may be empty.
        augmented: Whether the training items will be augmented; False prepares them for evaluation.

    Raises:
        ConfigError: Phantoms or erosions are to be made on the fly, and the dataset is not of wrists.
        DataError: A needed split is empty, or a patient is in training and in another split. The official protocol
            keeps the splits unchanged, with a note. If a network that the run builds on was trained on patients of
            val or test, this is noted and not an error.
    """
    _refuse_made_wrists(config, dataset)
    listed, notes = choose_cases(config, dataset, splits)
    if "train" in splits:
        notes += check_splits(config, dataset.root, listed)
    cases = {name: listed[name] for name in SPLITS if name in splits}
    mapped = bool(config.stream.wrists) or any(case.truth is not None for case in cases.get("train", ()))
    if not uses_pixel_truth(config):
        cases = {name: [replace(case, truth=None) for case in chosen] for name, chosen in cases.items()}
        if mapped and config.task == "joint" and config.erosion.heat_map and "train" in splits:
            notes += ("erosions are learned from scores only; erosion.pixel_truth=true adds their pixels",)
    # the test split is read once, so a cache would be useless
    datasets = {
        name: _dataset(config, chosen, config.cache and name != "test", augmented and name == "train")
        for name, chosen in cases.items()
    }
    if config.stream.wrists and "train" in splits:
        datasets["train"] = _stream(config, dataset.anatomy)
    for name, items in datasets.items():
        if len(items) == 0:
            raise DataError(
                f"{dataset.root}: no {name} images for the task {config.task}; `jointwrist data check {dataset.root}"
                f" --for train` says what is missing"
            )
    patients = {name: tuple(sorted({case.patient for case in chosen})) for name, chosen in cases.items()}
    inherited, prints = inherited_records(config), radiograph_prints(dataset.cases)
    notes += inheritance_notes(inherited, listed, prints)
    trains = "train" in splits
    batches = _batches(config, datasets["train"], cases["train"]) if trains and augmented else None
    if batches is not None and config.radiographs.used:
        pairs = _pairs(config, own_radiographs(config, listed["train"]))
        datasets["train"], batches = WithPairs(datasets["train"], pairs), PairBatches(batches, pairs_per_batch(config))
        notes += (f"erosions are inserted into {number_of(len(pairs.radiographs), 'radiograph')}",)
    return RunData(
        datasets.get("train"),
        batches,
        datasets.get("val"),
        datasets.get("test"),
        erosion_prior(config, cases["train"], dataset.anatomy) if trains and config.task == "joint" else None,
        notes,
        patients,
        inherited,
        prints,
        trains and mapped and uses_pixel_truth(config),
        partial(_history, inherited_history(config), config, listed["train"], dataset.is_phantom),
        dataset.anatomy,
    )


def _refuse_made_wrists(config: RunConfig, dataset: RamW600) -> None:
    """Refuse phantoms and erosions made on the fly for other bones, or for scores that they do not have."""
    phantoms = (WRIST.structure, load_anatomy("wrist_narrowing").structure)
    for key, value, known in (
        ("stream.wrists", config.stream.wrists, phantoms),
        ("radiographs.folder", config.radiographs.folder, (WRIST.structure,)),
        ("radiographs.own", config.radiographs.own, (WRIST.structure,)),
    ):
        if value and dataset.anatomy.structure not in known:
            raise ConfigError(
                f"{key} trains on wrists, and {dataset.root} is of the anatomy {dataset.anatomy.name}; unset it"
            )


def _history(
    inherited: tuple[TrainingData, ...], config: RunConfig, cases: Sequence[Case], phantom: bool, epochs: int
) -> TrainingHistory:
    return TrainingHistory((*inherited, *run_history(config, cases, phantom, epochs)))


def _dataset(config: RunConfig, cases: Sequence[Case], cache: bool, augmented: bool) -> Dataset:
    if config.task == "erosion":
        return CropDataset(cases, config.erosion.crop_size, config.erosion.mirror_left, cache)
    size = config.detail_size or config.image_size
    return WristDataset(cases, size, cache, size if augmented else config.image_size, config.mask_resize)


def _stream(config: RunConfig, anatomy: Anatomy) -> Dataset:
    size = config.detail_size or config.image_size
    phantom = build(PhantomConfig, {"size": size, **config.stream.options})
    stream = PhantomStream(config.stream.wrists, config.stream.seed, phantom, uses_pixel_truth(config), anatomy)
    return PhantomCropStream(stream, config.erosion.crop_size) if config.task == "erosion" else stream


def own_radiographs(config: RunConfig, cases: Sequence[Case]) -> list[Case]:
    """Return the training cases into which erosions are inserted: those with bone masks, if `radiographs.own` is set.

    Raises:
        ConfigError: None of them has bone masks, or phantoms made on the fly take their place.
    """
    if not config.radiographs.own:
        return []
    if config.stream.wrists:
        raise ConfigError(
            "radiographs.own: training on phantoms made on the fly has no radiographs; set one of the two"
        )
    masked = [case for case in cases if case.mask is not None]
    if not masked:
        raise ConfigError(
            "radiographs.own: no training radiograph has bone masks, so no erosion can be inserted; add masks, or set"
            " radiographs.folder"
        )
    return masked


def _pairs(config: RunConfig, own: Sequence[Case]) -> RadiographPairs:
    chosen = config.radiographs
    if config.task != "joint":
        key = "folder" if chosen.folder else "own"
        raise ConfigError(
            f"radiographs.{key}: {config.model} is not a joint network; only these train on inserted erosions"
        )
    size = config.detail_size or config.image_size
    hosts = [*(list_prepared(Path(chosen.folder)) if chosen.folder else ()), *own]
    return RadiographPairs(hosts, size, chosen.families, chosen.radii, chosen.control, chosen.joints, config.seed)


def pairs_per_batch(config: RunConfig) -> int:
    """Return the number of pairs of radiographs in a training batch; 0 without inserted erosions."""
    if not config.radiographs.used:
        return 0
    return max(round(config.optim.batch_size * config.radiographs.share / 2), 1)


def _batches(config: RunConfig, train: Dataset, cases: Sequence[Case]) -> EpochBatches | FreshBatches:
    size = config.optim.batch_size - 2 * pairs_per_batch(config)
    if size < 1:
        raise ConfigError("radiographs.share: a batch has no room for other images; give a larger optim.batch_size")
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
