"""Protocols: every quirk of the authors' code is a named flag, `official` sets it, and the flag does what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from jointwrist.benchmark.protocol import expand_models, load_protocol, protocol_names
from jointwrist.benchmark.run_jobs import runnable_precision
from jointwrist.config import ConfigError, build
from jointwrist.data.batches.torch_datasets import CropDataset
from jointwrist.data.dataset.case import load_crop
from jointwrist.data.preprocess import prepare_image
from jointwrist.engine.config.run_config import AugmentConfig, RunConfig
from jointwrist.engine.loop.calibration import calibrate
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.trainer import Trainer
from jointwrist.engine.results.case_results import selection_figure
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import ErosionTask, SegmentationTask, build_task
from jointwrist.engine.tasks.augment import Augment
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.registry import list_models, model_spec

OFFICIAL, CLEAN = load_protocol("official"), load_protocol("clean")
PAPER = [name for name in list_models() if model_spec(name).published_name and model_spec(name).task != "foundation"]
BEYOND_THE_PAPER = {"deeplabv3", "pan", "dpt", "repvit"}


def run(protocol, model: str, **overrides) -> RunConfig:
    return protocol.run_config(model, 3407, overrides)


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_resolves_for_every_trainable_model(name):
    protocol = load_protocol(name)
    for model in expand_models(["*"]):
        config = protocol.run_config(model, 1)
        assert (config.model, config.task, config.protocol) == (model, model_spec(model).task, name)


@pytest.mark.parametrize("protocol", [OFFICIAL, CLEAN], ids=lambda p: p.name)
def test_the_models_and_seeds_of_the_paper(protocol):
    assert set(PAPER) - BEYOND_THE_PAPER <= set(expand_models(protocol.models))
    assert protocol.seeds == (3407, 4096, 1024, 5214, 2026)


def test_official_has_the_numbers_of_the_authors_code():
    for model in expand_models(OFFICIAL.models):
        config = run(OFFICIAL, model)
        if config.task in ("joint", "foundation"):
            continue
        optim = config.optim
        segmentation = config.task == "segmentation"
        rates = {"swin_unet": (1e-5, 400)}.get(model, (1e-4 if segmentation else 1e-6, 100))
        assert (optim.lr, optim.epochs) == rates
        assert (optim.batch_size, optim.patience, optim.select) == (4 if segmentation else 16, 10, "loss")
        assert (optim.lr_floor, optim.schedule, optim.warmup, optim.clip_norm) == (0.01, "epoch", 0.0, 0.0)
        assert (optim.weight_decay, optim.decay_all, optim.ema, optim.accumulate) == (0.01, True, 0.0, 1)
        assert (config.precision, config.autocast_evaluation) == ("fp16", False)
        assert (config.image_size, config.erosion.crop_size) == (512, 224)
        zoom = (0.5, (2.0, 2.1)) if segmentation else (0.0, (1.0, 1.0))
        assert (config.augment.zoom_probability, config.augment.zoom) == zoom


@pytest.mark.parametrize("protocol", [OFFICIAL, CLEAN], ids=lambda p: p.name)
def test_the_mask_that_a_foundation_model_chooses_is_named(protocol):
    chosen = {model: run(protocol, model).options["mask_choice"] for model in ("sam_box", "sam_point", "medsam_box")}
    assert chosen == {"sam_box": "first", "sam_point": "first", "medsam_box": "single"}


def test_metrics_are_the_same_for_every_model_of_a_protocol():
    for protocol in (OFFICIAL, CLEAN):
        assert len({run(protocol, model).metrics for model in expand_models(protocol.models)}) == 1


def test_joint_networks_train_alike_in_both_protocols():
    for model in ("jointwrist_tiny", "jointwrist_base"):
        official, clean = run(OFFICIAL, model), run(CLEAN, model)
        assert official.optim == clean.optim and official.augment == clean.augment
        assert official.joint == clean.joint and official.segmentation == clean.segmentation
        assert official.erosion == clean.erosion and official.detail_size == clean.detail_size


def masks_and_outputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(3, 14, 16, 16, generator=generator) < 0.4).float()
    return masks, torch.randn(3, 14, 16, 16, generator=generator)


def test_official_dice_is_on_raw_outputs_with_squares_and_without_cross_entropy():
    masks, raw = masks_and_outputs()
    parts = SegmentationTask(run(OFFICIAL, "unetpp")).output_losses(raw, {"masks": masks}, StepContext())
    g, p = masks.numpy().astype(float), raw.numpy().astype(float)
    by_hand = [
        1 - (2 * (p[i, b] * g[i, b]).sum() + 1e-5) / ((p[i, b] ** 2).sum() + (g[i, b] ** 2).sum() + 1e-5)
        for i in range(3)
        for b in range(14)
    ]
    assert set(parts) == {"loss", "dice"}
    assert float(parts["loss"]) == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_clean_dice_is_on_probabilities_with_cross_entropy():
    masks, raw = masks_and_outputs()
    parts = SegmentationTask(run(CLEAN, "unetpp")).output_losses(raw, {"masks": masks}, StepContext())
    g, p = masks.numpy().astype(float), 1 / (1 + np.exp(-raw.numpy().astype(float)))
    dice = 1 - (2 * (p * g).sum((2, 3)) + 1e-5) / (p.sum((2, 3)) + g.sum((2, 3)) + 1e-5)
    entropy = -(g * np.log(p) + (1 - g) * np.log(1 - p)).mean()
    assert float(parts["loss"]) == pytest.approx(dice.mean() + entropy, rel=1e-5)


@pytest.mark.parametrize(("protocol", "threshold"), [(OFFICIAL, 0.5), (CLEAN, 0.0)], ids=["official", "clean"])
def test_masks_are_raw_outputs_above_one_half_or_probabilities_above_one_half(protocol, threshold):
    _, raw = masks_and_outputs()
    batch = {
        "masks": (raw > threshold).float(),
        "scores": torch.full((3, 6), -1),
        "identifier": ["a", "b", "c"],
        "patient": ["a", "b", "c"],
        "side": ["R"] * 3,
    }
    rows = SegmentationTask(run(protocol, "unetpp")).case_results(raw, batch)["segmentation"]
    assert rows and all(row["dsc"] == 1.0 for row in rows if row["kind"] == "bone")


def test_official_zoom_doubles_what_is_seen():
    config = AugmentConfig(
        **{**vars(run(OFFICIAL, "unetpp").augment), "affine_probability": 0.0, "intensity_probability": 0.0}
    )
    torch.manual_seed(0)
    image = torch.zeros(64, 1, 128, 128)
    image[..., 48:80, 48:80] = 1.0
    seen, bits = Augment(config)(image, (image > 0.5).to(torch.int32))
    side = bits.sum((1, 2, 3)).double().sqrt().numpy()
    zoomed = side > 40
    assert 0.3 < zoomed.mean() < 0.7
    assert side[~zoomed] == pytest.approx(32) and (side[zoomed] > 62).all() and (side[zoomed] < 69).all()
    assert seen[zoomed][..., 63:65, 63:65].numpy() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("protocol", "mirrored"), [(OFFICIAL, False), (CLEAN, True)], ids=["official", "clean"])
def test_crops_of_left_hands_are_mirrored_in_clean_alone(protocol, mirrored, dataset):
    config = run(protocol, "mobilenet").erosion
    assert config.mirror_left == mirrored
    case = next(c for c in dataset.erosion("train") if c.side == "L")
    item = CropDataset([case], config.crop_size, config.mirror_left)[0]["image"]
    stored = torch.from_numpy(load_crop(case, 0, mirrored=False).copy())[None, None]
    expected = prepare_image(stored.flip(-1) if mirrored else stored, config.crop_size)[0]
    assert torch.allclose(item, expected, atol=1e-6)


def test_cross_entropy_weighs_eroded_joints_six_times_in_official():
    score = torch.tensor([0, 0, 2, 0])
    logits = torch.tensor([[1.0, -1.0], [0.2, 0.1], [0.5, 0.3], [-1.0, 1.0]])
    batch = {"score": score, "image": logits}
    log_p = torch.log_softmax(logits, 1)[torch.arange(4), (score > 0).long()]
    for protocol, weight in ((OFFICIAL, 6.0), (CLEAN, 1.0)):
        weights = torch.where(score > 0, weight, 1.0)
        loss = ErosionTask(run(protocol, "mobilenet")).output_losses(logits, batch, StepContext())["loss"]
        assert float(loss) == pytest.approx(float(-(weights * log_p).sum() / weights.sum()), rel=1e-5)


def test_selection_by_loss_or_by_the_figure_that_counts():
    losses = {"val_loss": 0.7}
    rows = {
        "segmentation": [
            {"kind": kind, "dsc": dsc, "nsd": 0.5} for kind, dsc in (("bone", 0.8), ("bone", 0.6), ("overlap", 0.1))
        ],
        "erosion": [{"score": s, "probability": p} for s, p in ((0, 0.1), (0, 0.4), (2, 0.3), (1, 0.9))],
    }
    assert selection_figure(run(OFFICIAL, "unetpp").optim.select, losses, rows) == 0.7
    assert selection_figure(run(CLEAN, "unetpp").optim.select, losses, rows) == pytest.approx(-0.7)
    assert selection_figure(run(CLEAN, "mobilenet").optim.select, losses, rows) == pytest.approx(-0.75)
    assert selection_figure(run(CLEAN, "jointwrist_tiny").optim.select, losses, rows) == pytest.approx(-0.7 - 0.75)


@pytest.fixture(autouse=True)
def no_precision_left_behind():
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


TINY = {"image_size": 64, "erosion": {"crop_size": 32}, "optim": {"epochs": 4, "patience": 2, "batch_size": 4}}


def trainer(protocol, model: str, dataset, folder: Path, precision: str = "no", **overrides) -> Trainer:
    AcceleratorState._reset_state(reset_partial_state=True)
    config = run(protocol, model, **{**TINY, **overrides, "precision": precision})
    data = load_run_data(config, dataset)
    return Trainer(Accelerator(cpu=True, mixed_precision=precision), config, data, build_task(config), folder)


def test_patience_ends_a_run_that_does_not_improve(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("jointwrist.engine.loop.build.create_model", lambda *_, **__: Probe())
    stuck = trainer(OFFICIAL, "mobilenet", dataset, tmp_path, optim={"epochs": 6, "patience": 2})
    stuck.best = -1.0
    stuck.fit()
    assert stuck.epoch == 2


@pytest.mark.parametrize(("protocol", "share"), [(OFFICIAL, 0.0), (CLEAN, 1.0)], ids=["official", "clean"])
def test_weight_decay_spares_biases_and_norms_in_clean_alone(protocol, share, dataset, tmp_path):
    made = trainer(protocol, "mobilenet", dataset, tmp_path)
    decays = {id(p): group["weight_decay"] for group in made.optimizer.param_groups for p in group["params"]}
    thin = [p for p in made.unwrapped.parameters() if p.ndim <= 1]
    assert len(decays) == len(list(made.unwrapped.parameters()))
    assert all(decays[id(p)] == (0.01 if share == 0.0 else 0.0) for p in thin)
    assert all(decays[id(p)] == 0.01 for p in made.unwrapped.parameters() if p.ndim > 1)


class Probe(nn.Module):
    """Notes the type that a linear layer computes in."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.seen: list[torch.dtype] = []

    def forward(self, image):
        output = self.layer(image.flatten(1)[:, :4])
        self.seen.append(output.dtype)
        return output


@pytest.mark.parametrize("everywhere", [False, True])
def test_autocast_in_training_only_or_in_evaluation_too(everywhere, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("jointwrist.engine.loop.build.create_model", lambda *_, **__: Probe())
    made = trainer(OFFICIAL, "mobilenet", dataset, tmp_path, "bf16", autocast_evaluation=everywhere)
    made._step(next(iter(made.loader)), 0)
    assert made.unwrapped.seen == [torch.bfloat16]
    made.unwrapped.seen.clear()
    evaluate_model(made.accelerator, made.unwrapped, made.data.val, made.task)
    assert set(made.unwrapped.seen) == {torch.bfloat16 if everywhere else torch.float32}


def test_threshold_from_validation_in_clean_alone(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("jointwrist.engine.loop.build.create_model", lambda *_, **__: Probe())
    for protocol, decided in ((OFFICIAL, False), (CLEAN, True)):
        made = trainer(protocol, "mobilenet", dataset, tmp_path / protocol.name)
        thresholds = calibrate(made.accelerator, made.unwrapped, made.data.train, made.task)
        assert ("erosion_balanced" in thresholds) == decided
        assert (thresholds["erosion"] == 0.5) == (not decided)


def test_fp16_without_a_gpu_becomes_no_and_the_rest_stays(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [runnable_precision(name) for name in ("fp16", "bf16", "no")] == ["no", "bf16", "no"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert runnable_precision("fp16") == "fp16"


def test_a_protocol_at_its_former_path_is_found_with_a_warning(caplog):
    assert load_protocol("benchmarks/protocols/smoke.yaml") == load_protocol("smoke")
    assert "give the name smoke" in caplog.text
    with pytest.raises(ConfigError, match="no protocol"):
        load_protocol("elsewhere/smoke.yaml")


def test_unknown_lines_are_refused():
    with pytest.raises(ValueError, match="missed_msd"):
        build(RunConfig, {"model": "unet", "task": "segmentation", "metrics": {"missed_msd": "zero"}})
