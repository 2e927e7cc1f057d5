"""Radiographs without labels: their preparation, and pairs of them with and without inserted erosions for training."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, default_collate

from jointwrist.anatomy import JOINTS, NUM_JOINTS
from jointwrist.cli import main
from jointwrist.config import ConfigError, build
from jointwrist.data.batches.samplers import FreshBatches, ProcessBatches
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.sample import as_right_hand, unpack_masks
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.run_data.datasets import load_run_data, own_radiographs
from jointwrist.engine.run_data.radiograph_pairs import PairBatches, RadiographPairs, WithPairs
from jointwrist.engine.run_data.run_cases import choose_cases
from jointwrist.engine.tasks import build_task
from jointwrist.errors import DataError
from jointwrist.inference.prepare_radiographs import prepare_radiographs
from jointwrist.insertion.insert import TRAINING_FAMILIES
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph, list_prepared
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.find import find_weights


@pytest.fixture(scope="module")
def wrists():
    return [as_right_hand(make_wrist(23, index, PhantomConfig(size=320, prevalence=0.0))) for index in range(2)]


@pytest.fixture(scope="module")
def prepared(wrists, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    for number, wrist in enumerate(wrists):
        film = MaskedRadiograph.of(wrist.image[0], unpack_masks(wrist.bones), wrist.spacing_mm)
        PreparedRadiograph(f"film{number}.png", f"patient{number}", wrist.side, film).write(folder / f"{number}.npz")
    return list_prepared(folder)


@pytest.fixture(scope="module")
def pairs(prepared):
    return RadiographPairs(prepared, 320, TRAINING_FAMILIES, (1.5, 3.0), control=0.5, seed=4)


def test_a_prepared_film_is_read_as_it_was_written(prepared, wrists):
    found = PreparedRadiograph.read(prepared[0])
    assert (found.name, found.patient, found.side) == ("film0.png", "patient0", wrists[0].side)
    assert found.radiograph.pixel_mm == wrists[0].spacing_mm
    np.testing.assert_allclose(found.radiograph.pixels, wrists[0].image[0], atol=1e-4)
    np.testing.assert_array_equal(found.radiograph.masks, unpack_masks(wrists[0].bones))


def test_damaged_and_missing_prepared_radiographs_are_named(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"a\.npz"):
        PreparedRadiograph.read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", image=np.zeros((4, 4), np.uint16))
    with pytest.raises(DataError, match=r"b\.npz: not a prepared radiograph"):
        PreparedRadiograph.read(tmp_path / "b.npz")
    with pytest.raises(DataError, match="holds no prepared radiographs"):
        list_prepared(tmp_path / "nowhere")


def test_films_are_prepared_once_as_right_hands_with_their_bones(tmp_path, wrists, predictor):
    files = []
    for number, wrist in enumerate(wrists):
        pixels = np.uint8(wrist.image[0] * 255)
        files.append(tmp_path / f"01{number}_0001_{'LR'[number]}.png")
        Image.fromarray(pixels[:, ::-1] if number == 0 else pixels).save(files[-1])
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "empty_R.png")
    refused: list[DataError] = []
    given = [*files, tmp_path / "empty_R.png"], tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    found = prepare_radiographs(*given, refused=refused.append)
    assert len(found) == 2 and len(refused) == 1 and "empty_R.png" in str(refused[0])
    for path, wrist in zip(found, wrists, strict=True):
        film = PreparedRadiograph.read(path).radiograph
        assert film.pixels.shape == (640, 640) and film.pixel_mm == pytest.approx(wrist.spacing_mm / 2, rel=0.2)
        true = unpack_masks(wrist.bones)[:, ::4, ::4]
        seen = film.masks[:, ::8, ::8]
        dice = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(seen, true, strict=True)]
        assert np.mean(dice) > 0.85
    times = [path.stat().st_mtime_ns for path in found]
    assert prepare_radiographs(*given, refused=refused.append) == found and len(refused) == 2
    assert [path.stat().st_mtime_ns for path in found] == times
    assert {PreparedRadiograph.read(path).patient for path in found}.isdisjoint({"010", "011"})
    records = [json.loads(path.read_text()) for path in found[0].parent.glob("*.json")]
    assert sum("refused" in record for record in records) == 1


def test_the_films_of_a_pair_differ_by_the_inserted_erosions(pairs):
    for pair in range(4):
        eroded, plain = pairs[2 * pair], pairs[2 * pair + 1]
        assert eroded["pair"] == plain["pair"] == pair and eroded["identifier"] == plain["identifier"]
        assert eroded["inserted"].any() and not plain["inserted"].any() and not plain["eroded"].any()
        assert (eroded["scores"] == -1).all() and not eroded["has_bones"] and not eroded["has_eroded"]
        for joint in range(NUM_JOINTS):
            bitten = (eroded["eroded"].int() >> joint & 1).bool()
            assert bitten.any() == eroded["inserted"][joint]
            bone = JOINTS[joint].bone
            was, now = ((item["bones"].int() >> bone & 1).bool() for item in (plain, eroded))
            # open pixels are no bone any more, and nothing else changes
            assert not (now & ~was).any() and ((was & ~now) <= bitten).all()
            if bitten.any():
                assert (plain["image"][0][bitten] > eroded["image"][0][bitten]).float().mean() > 0.8


def test_pairs_repeat_exactly_and_differ_from_each_other(pairs, prepared):
    again = pickle.loads(pickle.dumps(pairs))
    assert torch.equal(again[6]["image"], pairs[6]["image"]) and torch.equal(again[7]["image"], pairs[7]["image"])
    assert not torch.equal(pairs[0]["eroded"], pairs[4]["eroded"])
    names = {pairs[2 * pair]["identifier"] for pair in range(len(prepared))}
    assert len(names) == len(prepared)


def test_controls_are_in_some_of_the_films_without_erosions(prepared):
    for control, least, most in ((0.0, 0, 0), (1.0, 2, 4)):
        made = RadiographPairs(prepared, 320, TRAINING_FAMILIES, control=control)
        originals = {
            PreparedRadiograph.read(path).name: PreparedRadiograph.read(path).radiograph.pixels for path in prepared
        }
        changed = 0
        for pair in range(4):
            _, plain, _ = made.samples(pair)
            changed += not np.array_equal(plain.image[0], originals[plain.identifier])
        assert least <= changed <= most


def test_films_without_a_visible_joint_are_refused(tmp_path, prepared):
    wrist = PreparedRadiograph.read(prepared[0])
    hidden = replace(wrist, radiograph=replace(wrist.radiograph, masks=np.ones_like(wrist.radiograph.masks)))
    hidden.write(tmp_path / "hidden.npz")
    with pytest.raises(DataError, match="no erosion can be inserted"):
        RadiographPairs([tmp_path / "hidden.npz"], 64, TRAINING_FAMILIES)[0]


def test_erosions_are_inserted_into_a_datasets_own_uneroded_joints(phantom_root):
    dataset = RamW600.open(phantom_root)
    config = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", "radiographs": {"own": True}})
    listed = choose_cases(config, dataset, ("train",))[0]["train"]
    hosts = own_radiographs(config, listed)
    assert hosts and {case.identifier for case in hosts} == {case.identifier for case in listed if case.mask}
    eroded = {case.identifier: [score > 0 for score in case.scores] for case in hosts}
    assert any(map(any, eroded.values()))  # else nothing could be inserted in a wrong place
    made = RadiographPairs(hosts, 128, TRAINING_FAMILIES, (1.5, 3.0), control=0.0, seed=1)
    for pair in range(2 * len(hosts)):
        with_erosions, plain, inserted = made.samples(pair)
        case = next(case for case in hosts if case.identifier == plain.identifier)
        original = load_sample(case)
        np.testing.assert_array_equal(plain.image, original.image)
        np.testing.assert_array_equal(plain.bones, original.bones)
        changed = with_erosions.image[0] != original.image[0]
        assert inserted.any() and changed.any() and not (inserted & eroded[case.identifier]).any()
        assert (plain.scores == -1).all() and plain.eroded is None


def test_a_radiograph_without_scale_takes_no_erosions(phantom_root, tmp_path):
    listed = [case for case in RamW600.open(phantom_root).cases if case.mask]
    blank = tmp_path / "blank.npy"
    np.save(blank, np.zeros_like(np.load(listed[0].mask)))
    unknown = replace(listed[0], mask=blank, spacing_mm=None)
    assert PreparedRadiograph.of_case(unknown) is None
    made = RadiographPairs([*[unknown] * 15, listed[1]], 64, TRAINING_FAMILIES, (1.5, 3.0), seed=1)
    assert {made.samples(pair)[1].identifier for pair in range(4)} == {listed[1].identifier}
    with pytest.raises(DataError, match=r"no erosion can be inserted; .* or of unknown scale"):
        RadiographPairs([unknown], 64, TRAINING_FAMILIES)[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"task": "segmentation", "model": "unet"},
            "unet is not a joint network; only these train on inserted erosions",
        ),
        (
            {"task": "joint", "model": "jointwrist_tiny", "stream": {"wrists": 8}},
            "radiographs.own: .* set one of the two",
        ),
    ],
)
def test_own_radiographs_that_cannot_serve_are_refused(phantom_root, values, message):
    config = build(RunConfig, {**values, "radiographs": {"own": True}})
    with pytest.raises(ConfigError, match=message):
        load_run_data(config, RamW600.open(phantom_root))


def test_a_dataset_without_masks_has_no_own_radiographs(phantom_root):
    config = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", "radiographs": {"own": True}})
    cases = [replace(case, mask=None) for case in choose_cases(config, RamW600.open(phantom_root), ())[0]["train"]]
    with pytest.raises(ConfigError, match="no training radiograph has bone masks"):
        own_radiographs(config, cases)


def test_no_pairs_are_made_where_own_radiographs_are_evaluated(phantom_root):
    """A batch of one, as memory may demand it, has no room for a pair."""
    values = {"model": "jointwrist_tiny", "task": "joint", "optim": {"batch_size": 1}, "radiographs": {"own": True}}
    config, dataset = build(RunConfig, values), RamW600.open(phantom_root)
    data = load_run_data(config, dataset, ("train",), augmented=False)
    assert len(data.train) and data.batches is None and not isinstance(data.train, WithPairs)
    with pytest.raises(ConfigError, match="give a larger"):
        load_run_data(config, dataset, ("train",))


def test_a_pair_is_not_the_other_hand_of_the_dataset(phantom_root):
    masked = [case for case in RamW600.open(phantom_root).cases if case.mask]
    left, right = (replace(case, identifier=f"0001_0001_{side}") for case, side in zip(masked, "LR", strict=False))
    values = {"model": "jointwrist_tiny", "task": "joint", "image_size": 32, "options": {"other_hand": True}}
    task = build_task(build(RunConfig, values))
    items = WithPairs(WristDataset([left, right], 32), RadiographPairs([right], 32, TRAINING_FAMILIES, seed=1))
    for indices, expected in (([0, 1, -1, -2], [1, 0, -1, -1]), ([0, -1, -2], [-1, -1, -1])):
        batch = default_collate([items[index] for index in indices])
        assert task.prepare(batch, training=True)["other"].tolist() == expected


def test_large_radiographs_are_kept_in_smaller_number(prepared, monkeypatch):
    hosts = [*prepared, *prepared]
    expected = [RadiographPairs(hosts, 64, TRAINING_FAMILIES, seed=1)[2 * pair]["image"] for pair in range(6)]
    monkeypatch.setattr("jointwrist.engine.run_data.radiograph_pairs._KEPT_PIXELS", 2 * 320**2)
    made = RadiographPairs(hosts, 64, TRAINING_FAMILIES, seed=1)
    for pair, image in enumerate(expected):
        assert torch.equal(made[2 * pair]["image"], image)
        assert 0 < len(made._kept) <= 2
    assert not pickle.loads(pickle.dumps(made))._kept


class Items(torch.utils.data.Dataset):
    def __init__(self, item: dict):
        self.item = {key: value for key, value in item.items() if key not in ("inserted", "pair")}

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict:
        return self.item


def test_batches_end_with_whole_pairs_on_every_process(pairs):
    batches = PairBatches(FreshBatches(6, 3), 2)
    assert batches.batch_size == 7 and len(batches) == 2
    batches.set_epoch(1)
    drawn = list(batches)
    assert [batch[3:] for batch in drawn] == [[-9, -10, -11, -12], [-13, -14, -15, -16]]
    for process in range(2):
        part = ProcessBatches(PairBatches(FreshBatches(6, 3), 2), process, 2)
        for batch in part:
            negative = [-1 - item for item in batch if item < 0]
            assert all(a % 2 == 0 and b == a + 1 for a, b in zip(negative[::2], negative[1::2], strict=True))
    loader = DataLoader(WithPairs(Items(pairs[0]), pairs), batch_sampler=PairBatches(FreshBatches(6, 1), 1))
    batch = next(iter(loader))
    assert batch["pair"].tolist() == [-1, 0, 0] and batch["inserted"].any(1).tolist() == [False, True, False]
    assert Path(batch["identifier"][1]).suffix == ".png"


def test_the_command_prepares_films_outside_of_the_folder_of_the_weights(tmp_path, prepared, phantom_root, monkeypatch):
    asked, trained = {}, {}

    def prepare(films, place, weights, side=None, exclude=None):
        asked.update(films=films, place=place, weights=weights, exclude=exclude)
        return prepared

    def train(model, data, out, config, **options):
        trained.update(config)
        return SimpleNamespace(weights=out / "best.safetensors")

    monkeypatch.setattr("jointwrist.commands.train.prepared_radiographs", prepare)
    monkeypatch.setattr("jointwrist.engine.train.train", train)
    monkeypatch.setattr("jointwrist.commands.train.is_main_process", lambda: False)  # prints nothing
    out = tmp_path / "run"
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "other.png").write_bytes(b"of somebody else")
    command = [
        "train",
        "jointwrist_tiny",
        "--data",
        str(phantom_root),
        "-o",
        str(out),
        "--radiographs",
        str(tmp_path / "films"),
    ]
    assert main([*command, "--set", "radiographs.share=0.5", "start=weights.safetensors"]) == 0
    assert asked["weights"] == "weights.safetensors" and asked["exclude"] == out
    assert out not in asked["place"].parents and asked["place"] != out
    assert trained["radiographs"] == {"share": 0.5, "folder": str(prepared[0].parent)}
