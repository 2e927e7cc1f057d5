"""The configuration of a training run, stored with every weight file and result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from jointwrist.config import (
    Count,
    CountOrNone,
    NotNegative,
    Positive,
    Range,
    Seed,
    Share,
    ShareBelowOne,
    digest,
    to_dict,
)
from jointwrist.engine.config.joint_config import JointConfig
from jointwrist.engine.config.radiographs_config import RadiographsConfig
from jointwrist.engine.config.renamed_keys import current_keys, first_keys
from jointwrist.registry import unstated_versions


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation on the device.

    Attributes:
        zoom: Scale range of a separate zoom about the centre, applied with `zoom_probability`.
        zoom_probability: Probability of the zoom.
        shift: Largest shift as a fraction of the side.
        scale: Scale is drawn from 1 - scale to 1 + scale.
        rotate: Largest rotation in degrees.
        affine_probability: Probability of shift, scale and rotation together.
        brightness: Largest additive change.
        contrast: Factor is drawn from 1 - contrast to 1 + contrast.
        intensity_probability: Probability of brightness and contrast together.
        gamma: Largest change of the logarithm of gamma; 0 leaves it out.
        noise: Largest standard deviation of additive noise; 0 leaves it out.
        uneven: Largest change of the logarithm of brightness, and of local contrast, over the image; 0 leaves it out.
    """

    zoom: tuple[Positive, Positive] = (1.0, 1.0)
    zoom_probability: Share = 0.0
    shift: Share = 0.0625
    scale: ShareBelowOne = 0.1
    rotate: Annotated[float, Range(0, 180)] = 10.0
    affine_probability: Share = 0.5
    brightness: NotNegative = 0.2
    contrast: Share = 0.2
    intensity_probability: Share = 0.5
    gamma: NotNegative = 0.0
    noise: NotNegative = 0.0
    uneven: NotNegative = 0.0


@dataclass(frozen=True)
class OptimConfig:
    """Optimisation of one run.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per forward and backward pass, over all processes together.
        accumulate: Passes whose mean gradient makes one step of the optimiser. Counting restarts every epoch, so the
            last step of an epoch may have fewer.
        lr: Peak learning rate of AdamW.
        erosion_lr: Learning rate of the erosion head, relative to that of the rest (joint network).
        lr_floor: Final learning rate as a fraction of the peak.
        warmup: Share of all steps with a linearly growing learning rate.
        schedule: Whether the cosine schedule is updated every step or every epoch.
        weight_decay: Decoupled weight decay.
        decay_all: Apply weight decay to all parameters, as the authors' code does; otherwise biases, normalisation,
            position tables, and rates and steps of scans are exempt.
        clip_norm: Largest gradient norm, separately for the erosion head and the rest of a joint network; 0 leaves
            clipping out.
        ema: Decay of the exponential moving average of the weights, which is then validated and saved; 0 validates and
            saves the weights themselves.
        patience: Epochs without improvement before the run stops; 0 never stops early.
        frozen: Share of the epochs, at the start, in which the encoder is not trained; for a run with `start`.
        select: Validation figure that selects the best weights; `last` uses those of the last epoch.
        save_minutes: Longest time between two saved states.
    """

    epochs: Count = 100
    batch_size: Count = 8
    accumulate: Count = 1
    lr: Positive = 1e-4
    erosion_lr: Positive = 1.0
    lr_floor: Share = 0.01
    warmup: Share = 0.0
    schedule: Literal["step", "epoch"] = "epoch"
    weight_decay: NotNegative = 1e-2
    decay_all: bool = False
    clip_norm: NotNegative = 0.0
    ema: ShareBelowOne = 0.0
    patience: CountOrNone = 10
    frozen: Share = 0.0
    select: Literal["loss", "dsc", "auroc", "dsc_auroc", "last"] = "loss"
    save_minutes: NotNegative = 10.0


@dataclass(frozen=True)
class SegmentationConfig:
    """Segmentation losses and threshold.

    Attributes:
        raw_output: Apply Dice loss and the threshold .5 to raw outputs, without a sigmoid (the authors' code).
        squared: Use squared terms in the denominator of the Dice loss.
        dice: Weight of the Dice loss.
        bce: Weight of the binary cross-entropy.
        distance: Weight of the signed-distance loss (joint network).
        overlap: Weight of the Dice loss over the 14 overlap pairs.
        boundary: Final weight of the boundary loss, which grows linearly from 0.
        joint_contours: Additional weight, in Dice and cross-entropy, of pixels within 3 mm of the contours of the six
            joint surfaces (a thirtieth of the image side). 0 weighs all pixels the same.
        deep_supervision: Weight of the losses of masks at strides 8, 4 and 2; needs `options.deep_supervision` (joint
            network).
    """

    raw_output: bool = False
    squared: bool = False
    dice: NotNegative = 1.0
    bce: NotNegative = 1.0
    distance: NotNegative = 0.0
    overlap: NotNegative = 0.0
    boundary: NotNegative = 0.0
    joint_contours: NotNegative = 0.0
    deep_supervision: NotNegative = 0.0


@dataclass(frozen=True)
class ErosionConfig:
    """Erosion losses.

    Attributes:
        crop_size: Side of a joint crop in pixels (single-task classifiers).
        mirror_left: Mirror the crops of left hands (the authors' code intends to, but does not).
        positive_weight: Weight of eroded joints in the cross-entropy (single-task classifiers).
        positive_share: Share of eroded joints in training batches; 0 keeps the natural share.
        threshold: How the decision threshold is chosen: argmax (0.5), or on validation data by balanced accuracy or
            F1; a joint network's probabilities are then calibrated there too.
        logit_adjustment: Add the log prior of each level to the logit in training (joint network).
        pixel_truth: Train the heat map of a joint network, or of a classifier with the option `map_head`, on masks of
            eroded pixels, which phantoms and outlined datasets have and RAM-W600 does not. Without it, such masks are
            not read, and training uses only the scores.
        heat_map: Weight of the heat map loss, with `pixel_truth`.
        map_scores: Weight of the loss of the heat maps against the scores where the eroded pixels are not known (joint
            network): the mean over the highest pixels of a joint's map is to say whether the joint is eroded.
        shapes: Weight of the losses of the bone with and without its erosion (joint network with the erosion head
            `shapes`).
        weight: Weight of the whole erosion loss (joint network).
        further_scores: Weight of the loss of each further score of the anatomy, such as narrowing (joint network).
    """

    crop_size: Count = 224
    mirror_left: bool = False
    positive_weight: Positive = 6.0
    positive_share: Share = 0.0
    threshold: Literal["argmax", "balanced", "f1"] = "argmax"
    logit_adjustment: bool = True
    pixel_truth: bool = False
    heat_map: NotNegative = 1.0
    map_scores: NotNegative = 0.0
    shapes: NotNegative = 1.0
    weight: NotNegative = 1.0
    further_scores: NotNegative = 1.0


@dataclass(frozen=True)
class MetricConfig:
    """Aggregation of per-region metrics to per-case metrics.

    Attributes:
        missed_msd: MSD of a region that was missed completely, or predicted although there is none: left out (the
            authors' code, in which such a bone costs nothing), or the diagonal of the image.
        undefined: Effect of an undefined figure (no region in truth and prediction) on the mean of its case: it is
            left out, or makes the mean undefined (plain mean over bones, the authors' code).
    """

    missed_msd: Literal["left_out", "diagonal"] = "diagonal"
    undefined: Literal["left_out", "case_undefined"] = "left_out"


@dataclass(frozen=True)
class StreamConfig:
    """Phantoms made on the fly for training; no wrist is repeated.

    Attributes:
        wrists: Phantoms per epoch; 0 trains on the dataset instead.
        seed: Seed of the phantoms.
        options: Fields of the phantom's configuration (prevalence, look-alikes, ...).
    """

    wrists: CountOrNone = 0
    seed: Seed = 1
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PretrainingConfig:
    """Masked-image pretraining of an encoder.

    Attributes:
        patch: Side of the patches that are hidden, in pixels.
        hidden: Share of the patches that are hidden.
    """

    patch: Count = 32
    hidden: Share = 0.6


@dataclass(frozen=True)
class RunConfig:
    """Configuration of one training run.

    Attributes:
        model: Registry name.
        task: Training task; "foundation" models are tested without training, and "pretraining" trains only the encoder,
            without labels.
        protocol: Name of the protocol that the values come from.
        seed: Seed of weights, order and augmentation.
        anatomy: Bones and joints of the dataset: a name or a YAML file; empty takes the dataset's `anatomy.yaml`, or
            the wrist.
        start: Weights of the same model to start from: a file, a folder of a run, a name of shipped weights, or a hub
            repository; empty starts from random weights.
        image_size: Side of the image that is segmented, and at which masks are evaluated.
        detail_size: Side of the image from which the joint crops are cut; 0 takes `image_size`.
        mask_resize: How masks are resized. "coverage": a pixel belongs to the bones that cover more than half of it, so
            that mask and image stay aligned. "nearest": by the nearest pixel, as in the authors' code, which moves
            masks by up to half a pixel.
        options: Options of the model's builder.
        augment: Augmentation.
        optim: Optimisation.
        segmentation: Segmentation losses.
        erosion: Erosion losses.
        joint: Joint training.
        metrics: Aggregation of per-region metrics to per-case metrics.
        stream: Phantoms made on the fly instead of the training split.
        radiographs: Unlabelled radiographs with inserted erosions.
        pretraining: Masked-image pretraining (`jointwrist pretrain`).
        precision: Autocast type of the forward pass.
        autocast_evaluation: Whether evaluation runs in that type too, or in float32.
        workers: Processes that load images; 0 loads in the training process.
        cache: Keep decoded images in memory.
    """

    model: str
    task: Literal["segmentation", "erosion", "joint", "foundation", "pretraining"]
    protocol: str = "custom"
    seed: Seed = 3407
    anatomy: str = ""
    start: str = ""
    image_size: Count = 512
    detail_size: CountOrNone = 0
    mask_resize: Literal["coverage", "nearest"] = "coverage"
    options: dict[str, Any] = field(default_factory=dict)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    erosion: ErosionConfig = field(default_factory=ErosionConfig)
    joint: JointConfig = field(default_factory=JointConfig)
    metrics: MetricConfig = field(default_factory=MetricConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    radiographs: RadiographsConfig = field(default_factory=RadiographsConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    precision: Literal["no", "fp16", "bf16"] = "no"
    autocast_evaluation: bool = True
    workers: CountOrNone = 0
    cache: bool = True

    @staticmethod
    def current_keys(values: Mapping[str, Any]) -> dict[str, Any]:
        """Rename the old keys of stored values; `jointwrist.config.build` calls it."""
        return current_keys(values)


#: Values added by later versions, with defaults at which they are omitted from the hash, so that earlier runs keep
#: theirs; keys of a section come before the section, which is omitted if nothing else of it was set.
LATER_VALUES = {
    "anatomy": "",
    "start": "",
    "augment.uneven": 0.0,
    "erosion.map_scores": 0.0,
    "erosion.shapes": 1.0,
    "erosion.further_scores": 1.0,
    "joint.trained": "all",
    "optim.frozen": 0.0,
    "optim.erosion_lr": 1.0,
    "radiographs.own": False,
    "radiographs": {key: value for key, value in to_dict(RadiographsConfig()).items() if key != "own"},
    "joint.erosion_share": None,
    "joint.erosion_share_end": 1.0,
    "joint.project_conflicts": False,
    "segmentation.joint_contours": 0.0,
    "segmentation.deep_supervision": 0.0,
    "pretraining": to_dict(PretrainingConfig()),
}


def uses_pixel_truth(config: RunConfig) -> bool:
    """Whether a run is trained on eroded pixels where they are known."""
    mapped = config.task == "joint" or bool(config.options.get("map_head"))
    return mapped and config.erosion.pixel_truth and config.erosion.heat_map > 0


#: Settings of the execution, on which no result depends.
EXECUTION_KEYS = ("workers", "cache", "optim.save_minutes")


def config_hash(config: RunConfig | Mapping[str, Any]) -> str:
    """Return 12 hexadecimal digits that identify a run by the values that determine its result."""
    return digest(hashed_values(config))


def hashed_values(config: RunConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration values that determine the result of a run.

    Execution settings are left out: loader processes, cache, how often the state is saved. If these change, an
    interrupted run still continues and a finished one is still recognised.

    Args:
        config: Configuration, or the values of one as stored in `job.json`.
    """
    values = first_keys(to_dict(config) if isinstance(config, RunConfig) else current_keys(config))
    optim = {key: value for key, value in values.get("optim", {}).items() if f"optim.{key}" not in EXECUTION_KEYS}
    hashed = {key: value for key, value in values.items() if key not in EXECUTION_KEYS} | {"optim": optim}
    for name, default in LATER_VALUES.items():
        section, _, key = name.rpartition(".")
        part = hashed.get(section, {}) if section else hashed
        if key in part and part[key] == default:
            part = {other: value for other, value in part.items() if other != key}
            hashed = {**hashed, section: part} if section else part
    if "options" in hashed:
        unstated = unstated_versions(hashed.get("model", ""))
        options = {key: value for key, value in hashed["options"].items() if unstated.get(key) != value}
        hashed = {**hashed, "options": options}
    return hashed
