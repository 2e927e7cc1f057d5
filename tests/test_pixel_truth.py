"""Pixels of erosions are learned from only where a run asks for them, by joint networks and by crops alike."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from benchmarks.ablations import FILE
from jointwrist import create_model
from jointwrist.benchmark.ablations.plan import Ablations
from jointwrist.config import build, merge_trees
from jointwrist.data.batches.torch_datasets import CropDataset
from jointwrist.data.dataset.case import radiograph_boxes
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.mask_resize import resize_bits
from jointwrist.engine.config.run_config import RunConfig, uses_pixel_truth
from jointwrist.engine.loop.trainer import Trainer
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.errors import DataError
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.stream import PhantomCropStream, PhantomStream

JOINT = {
    "model": "jointwrist_tiny",
    "task": "joint",
    "image_size": 32,
    "options": {"encoder": "conv", "roi_crop": 16},
    "optim": {"epochs": 1, "batch_size": 4, "lr": 1e-3},
}
CROPS = {"model": "resnet", "task": "erosion", "erosion": {"crop_size": 32}, "optim": {"epochs": 1, "batch_size": 32}}
MAPPED = {**CROPS, "options": {"map_head": True}, "erosion": {"crop_size": 32, "pixel_truth": True}}


def config(values, **erosion) -> RunConfig:
    return build(RunConfig, {**values, "erosion": {**values.get("erosion", {}), **erosion}})


def trained(run: RunConfig, root, folder) -> torch.Tensor:
    data = load_run_data(run, RamW600.open(root))
    model = Trainer(Accelerator(cpu=True), run, data, build_task(run, data.prior), folder).fit()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_weights_are_those_of_a_folder_without_pixel_truth_unless_it_is_asked_for(phantom_root, tmp_path):
    bare = shutil.copytree(phantom_root, tmp_path / "bare", ignore=shutil.ignore_patterns("*.npz"))
    assert all(case.truth is None for case in RamW600.open(bare).cases)
    without, same = (trained(config(JOINT), root, tmp_path / root.name) for root in (bare, phantom_root))
    assert torch.equal(without, same)
    assert not torch.equal(without, trained(config(JOINT, pixel_truth=True), phantom_root, tmp_path / "asked"))


@pytest.mark.parametrize("stream", [0, 8])
def test_a_run_says_whether_it_had_pixel_truth(dataset, stream):
    def had(values, **erosion):
        return load_run_data(config({**values, "stream": {"wrists": stream}}, **erosion), dataset).pixel_truth

    assert not had(JOINT) and had(JOINT, pixel_truth=True)
    assert not had(JOINT, pixel_truth=True, map=0.0)
    assert not had(CROPS, pixel_truth=True) and had(MAPPED)


def test_a_crop_comes_with_the_eroded_pixels_that_its_box_cuts_out(dataset):
    cases = [case for case in dataset.erosion("train") if case.side == "L"]
    crops, eroded = CropDataset(cases, 48, mirror_left=True), 0
    for index, (case, joint) in enumerate(crops.index):
        item = crops[index]
        with np.load(case.truth) as truth:
            radiograph = truth["eroded"]
        x0, y0, x1, y1 = np.round(radiograph_boxes(case, radiograph.shape)[joint]).astype(int)
        expected = (radiograph[y0:y1, x0:x1] >> joint & 1)[:, ::-1].copy()
        assert item["has_eroded"] and torch.equal(item["eroded"], resize_bits(torch.from_numpy(expected)[None], 48)[0])
        eroded += bool(item["eroded"].any())
        assert not (item["score"] == 0 and item["eroded"].any())
    assert eroded > 3


def test_crops_of_the_stream_and_of_its_release_have_the_same_eroded_pixels(dataset, phantom_root):
    stream = PhantomCropStream(PhantomStream(28, 5, PhantomConfig(size=128, prevalence=0.3), pixel_truth=True), 40)
    made = {(item["identifier"], int(item["joint"])): item for item in (stream[index] for index in range(8 * 6))}
    crops, compared = CropDataset(dataset.cases, 40, mirror_left=True), 0
    for index, (case, joint) in enumerate(crops.index):
        item = made.get((case.identifier, joint))
        if item is not None:
            compared += bool(item["eroded"].any())
            assert torch.equal(crops[index]["eroded"], item["eroded"]) and item["has_eroded"]
    assert compared >= 3


def test_a_crop_of_another_size_than_its_box_is_named(dataset, phantom_root, tmp_path):
    from PIL import Image

    root = shutil.copytree(phantom_root, tmp_path / "data")
    case = RamW600.open(root).erosion("train")[0]
    joint, path = next(iter(case.crops.items()))
    with Image.open(path) as image:
        cut = image.crop((0, 0, 9, 9))
    cut.save(path)
    with pytest.raises(DataError, match=rf"{path.name}.*its box"):
        CropDataset([case], 32)[[j for _, j in CropDataset([case], 32).index].index(joint)]


def test_a_heat_map_learns_where_the_erosion_is_and_the_score_depends_on_it():
    torch.manual_seed(0)
    run = config(MAPPED)
    task, model = build_task(run), create_model("resnet", map_head=True)
    eroded = torch.zeros(16, 32, 32, dtype=torch.uint8)
    eroded[:8, 4:16, 18:30] = 1
    image = 0.1 * torch.rand(16, 1, 32, 32) + 0.8 * eroded[:, None]
    batch = {"image": image, "score": torch.tensor([2] * 8 + [0] * 8), "eroded": eroded}
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(25):
        losses = task.output_losses(
            model(image), batch | {"has_eroded": torch.ones(16, dtype=torch.bool)}, StepContext()
        )
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    output = model(image)
    found = output.heat_maps[:8, 0] > 0
    true = eroded[:8, ::2, ::2] > 0
    assert (found & true).sum() / (found | true).sum() > 0.8
    assert (output.logits[:8, 1] > output.logits[:8, 0]).all() and (output.logits[8:, 0] > output.logits[8:, 1]).all()
    peak = torch.autograd.grad(output.logits[:, 1].sum(), output.heat_maps if output.heat_maps.requires_grad else image)
    assert peak[0].abs().sum() > 0


def test_where_no_pixels_are_known_the_map_has_no_loss():
    task, model = build_task(config(MAPPED)), create_model("resnet", map_head=True)
    image, score = torch.rand(4, 1, 32, 32), torch.tensor([0, 1, 0, 2])
    nothing = {"eroded": torch.ones(4, 32, 32, dtype=torch.uint8), "has_eroded": torch.zeros(4, dtype=torch.bool)}
    parts = task.output_losses(model(image), {"image": image, "score": score, **nothing}, StepContext())
    assert parts["map"] == 0 and parts["loss"] == parts["erosion"] > 0


def test_no_arm_of_the_scarce_regime_has_pixel_truth_and_the_pairs_differ_in_it_alone(tmp_path):
    plan = Ablations.load(FILE)
    runs = plan.runs(list(plan.regimes), list(plan.arms), list(plan.seeds))
    had = {run: uses_pixel_truth(plan.config(*run, tmp_path)) for run in runs}
    assert not any(value for (regime, _, _), value in had.items() if regime == "scarce")
    seed = plan.seeds[0]
    assert had["free", "S1", seed] and not had["free", "S1-scores", seed]
    assert had["free", "C0-resnet-pixels", seed] and not had["free", "C0-resnet", seed]
    for regime, count in (("free", 5), ("scarce", 3)):
        assert {sum(r == regime and a == arm for r, a, _ in runs) for arm in ("S0", "S1", "C2", "C3", "S5")} >= {count}
    order = [arm in plan.required for _, arm, _ in runs]
    assert order == sorted(order, reverse=True)
    assert [seed for _, arm, seed in runs if arm == "S1"][:2] == [plan.seeds[0]] * 2


def test_the_placebo_pair_learns_the_same_masks_bit_by_bit(dataset, tmp_path):
    plan, small = Ablations.load(FILE), {**JOINT, "detail_size": 32, "optim": {"epochs": 2, "batch_size": 4}}
    networks = []
    for arm in ("S0", "S5"):
        free = merge_trees(plan.defaults, plan.regimes["free"].set, plan.tasks["joint"], plan.arms[arm].set)
        run = build(RunConfig, merge_trees(free, small, {"stream": {"wrists": 0}}))
        data = load_run_data(run, dataset, ("train", "val"))
        model = Trainer(Accelerator(cpu=True), run, data, build_task(run, data.prior), tmp_path / arm).fit()
        networks.append(model.state_dict())
    first, second = networks
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert {name for name in first if name.startswith(("encoder.", "decoder."))} <= same
    assert "erosion.score.weight" not in same
