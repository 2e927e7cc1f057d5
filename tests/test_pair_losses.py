"""Training on pairs of radiographs with and without inserted erosions: batches, losses, and what a run records."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.data import default_collate

from jointwrist.anatomy import JOINTS, NUM_JOINTS
from jointwrist.config import ConfigError, build, to_dict
from jointwrist.data.sample import as_right_hand, unpack_masks
from jointwrist.engine.batch_schema import JointBatch, WristBatch
from jointwrist.engine.config.run_config import RunConfig, config_hash
from jointwrist.engine.loop.build import build_model, weight_info
from jointwrist.engine.run_data.datasets import load_run_data, pairs_per_batch
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.phantom import PhantomConfig, make_wrist
from tests.test_batch_schema import check

SMALL = {"encoder": "conv", "widths": [8, 8, 8, 8, 8], "roi_dim": 16, "roi_channels": 8, "roi_crop": 32}
HEADS = {"shapes": {**SMALL, "erosion_head": "shapes"}, "pooled": SMALL}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("prepared")
    wrist = as_right_hand(make_wrist(31, 0, PhantomConfig(size=192, prevalence=0.0)))
    film = MaskedRadiograph.of(wrist.image[0], unpack_masks(wrist.bones), wrist.spacing_mm)
    PreparedRadiograph("a.png", "p", wrist.side, film).write(place / "a.npz")
    return place


@pytest.fixture(scope="module")
def config(folder):
    return run(folder)


def run(folder, **radiographs) -> RunConfig:
    return build(
        RunConfig,
        {
            "model": "jointwrist_tiny", "task": "joint", "image_size": 64, "detail_size": 128,
            "options": HEADS["shapes"], "optim": {"batch_size": 4},
            "augment": {"affine_probability": 1.0, "noise": 0.02},
            "radiographs": {"folder": str(folder), "radii": [2.5, 3.5], "control": 0.0, **radiographs},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def loaded(config, dataset):
    data = load_run_data(config, dataset, ("train", "val"))
    return default_collate([data.train[index] for index in next(iter(data.batches))]), data


@pytest.fixture(scope="module")
def batch(config, loaded):
    torch.manual_seed(0)
    return build_task(config).prepare(loaded[0], training=True)


def test_a_batch_ends_with_its_pairs_and_matches_the_schema(config, loaded, batch):
    raw, data = loaded
    check(raw, WristBatch, exact=True)
    check(batch, JointBatch, exact=False)
    assert raw["pair"].tolist() == [-1, -1, 0, 0] and pairs_per_batch(config) == 1
    assert not raw["inserted"][[0, 1, 3]].any() and raw["inserted"][2].any()
    assert any("inserted into 1 radiograph" in note for note in data.notes)
    described = str(data.history(1))
    assert "erosions" in described and "inserted into 1 real radiograph." in described


def test_both_films_of_a_pair_are_augmented_alike(batch):
    eroded, plain = batch["detail"][2, 0], batch["detail"][3, 0]
    taken = batch["eroded"][2] > 0
    assert taken.any()
    apart = torch.nn.functional.max_pool2d(taken[None].float(), 21, 1, 10)[0] == 0
    assert (eroded - plain)[apart].abs().median() < 1e-5 < (plain - eroded)[taken].mean()
    own = [JOINTS[joint].bone for joint in batch["inserted"][2].nonzero().flatten()]
    others = sum(1 << bone for bone in range(14) if bone not in own)
    assert torch.equal(batch["bones"][2] & others, batch["bones"][3] & others)


@pytest.mark.parametrize("head", HEADS)
def test_the_losses_ask_for_the_inserted_erosion_and_nothing_else(config, batch, head):
    torch.manual_seed(1)
    values = build(RunConfig, {**copy.deepcopy(vars(config)), "options": HEADS[head]})
    task, model = build_task(values), build_model(values).train()
    output = model(batch["image"], batch["detail"], batch["masks"])
    context = StepContext(1.0)
    logits = output.erosion_logits.detach().requires_grad_()
    output = output._replace(erosion_logits=logits, roi_valid=torch.ones_like(output.roi_valid))
    parts = task.output_losses(output, batch, context)
    names = {"pair_order", "pair_agree", "pair_level", "pair_map"} | ({"pair_shapes"} if head == "shapes" else set())
    assert names <= parts.keys() and parts["pair_map"] > 0
    inserted = batch["inserted"][2]
    order = torch.autograd.grad(parts["pair_order"], logits, retain_graph=True)[0][..., 0]
    assert (order[2, inserted] < 0).all() and (order[3, inserted] > 0).all()
    order[2:, inserted] = 0
    assert not order.any()
    agree = torch.autograd.grad(parts["pair_agree"], logits, retain_graph=True)[0][..., 0]
    assert not agree[:2].any() and not agree[:, inserted].any()
    torch.testing.assert_close(agree[2], -agree[3])


def test_what_a_film_shows_by_itself_is_restrained_on_average_only(config, batch):
    task, model = build_task(config), build_model(config).eval()
    output = model(batch["image"], batch["detail"], batch["masks"])
    found = []
    for value in (-5.0, 3.0):
        logits = torch.full_like(output.erosion_logits, value)
        found.append(task.output_losses(output._replace(erosion_logits=logits), batch, StepContext(1.0)))
    assert found[0]["pair_level"] == 0 < found[1]["pair_level"]


def test_the_map_and_shapes_are_least_for_the_truth(config, batch):
    task, model = build_task(config), build_model(config).eval()
    output = model(batch["image"], batch["detail"], batch["masks"])
    from jointwrist.engine.tasks.erosion_losses import crops_of

    def logit(mask):
        return (mask - 0.5) * 20

    eroded = crops_of(batch["eroded"], list(range(NUM_JOINTS)), output, batch)
    bone = crops_of(batch["bones"], [joint.bone for joint in JOINTS], output, batch)
    right = output._replace(
        erosion_heat_maps=logit(eroded), bone_shapes=torch.stack([logit(bone), logit(torch.maximum(bone, eroded))], 2)
    )
    wrong = right._replace(erosion_heat_maps=-right.erosion_heat_maps, bone_shapes=-right.bone_shapes)
    best, worst = (task.output_losses(o, batch, StepContext(1.0)) for o in (right, wrong))
    assert best["pair_map"] < 0.5 < worst["pair_map"] and best["pair_shapes"] < 0.5 < worst["pair_shapes"]


def test_one_step_trains_and_the_weights_do_not_name_the_folder(config, batch, folder):
    task, model = build_task(config), build_model(config).train()
    losses = task.losses(model, batch, StepContext(1.0))
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"]) and model.erosion.extent_gain.grad is not None
    assert str(folder) not in str(weight_info(config, 1))


def test_the_hash_of_runs_without_radiographs_is_that_of_earlier_versions(config):
    plain = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint"})
    assert "radiographs" in vars(plain) and config_hash(plain) != config_hash(config)
    earlier = {key: value for key, value in vars(plain).items() if key != "radiographs"}
    assert config_hash(build(RunConfig, earlier)) == config_hash(plain)


@pytest.mark.parametrize(
    ("values", "expected"), [({}, "e8d903760190"), ({"folder": "x"}, "b3c610f4b84d")], ids=["without", "folder"]
)
def test_the_hash_of_runs_before_own_radiographs_is_theirs(values, expected):
    """Else a training begun before could not continue, and the jobs of a benchmark would be run again."""
    config = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", "radiographs": values})
    stored = to_dict(config)
    del stored["radiographs"]["own"]
    assert config_hash(config) == config_hash(stored) == expected
    own = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", "radiographs": {**values, "own": True}})
    assert config_hash(own) != expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"families": ["undermined"]}, "undermined; choose among ragged"),
        ({"radii": [3.0, 1.0]}, "3.0 is larger than 1.0"),
        ({"share": 1.0}, "share"),
    ],
)
def test_values_that_cannot_be_used_are_named(folder, values, message):
    with pytest.raises(ConfigError, match=message):
        run(folder, **values)


def test_a_batch_needs_room_for_other_images(folder, dataset):
    with pytest.raises(ConfigError, match="no room"):
        load_run_data(build(RunConfig, {**vars(run(folder)), "optim": {"batch_size": 2}}), dataset, ("train",))
