"""Weights come from folders, names and repositories, and are published with a card that says what they are."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from test_predictor import radiograph

from jointwrist.errors import DataError, StorageError
from jointwrist.inference.predictor import Predictor
from jointwrist.models.joint import JointWrist
from jointwrist.registry import create_model, list_models, model_spec
from jointwrist.weights import find
from jointwrist.weights.checkpoint import load_weights, save_weights
from jointwrist.weights.find import find_checkpoint, find_weights
from jointwrist.weights.hub import Published
from jointwrist.weights.model_card import model_card

TRAINED = {
    "model": "jointwrist_tiny",
    "options": {"encoder": "conv", "encoder_version": 3, "head_version": 2},
    "image_size": 64,
    "detail_size": 96,
    "thresholds": {"mask": 0.45, "erosion": 0.3},
    "epochs": 7,
    "config": {"seed": 3},
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", encoder="conv").eval()
    torch.nn.init.zeros_(model.decoder.mask_head.bias)
    return model


def front_matter(card):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])


def test_a_saved_network_comes_back_as_it_was(network, tmp_path):
    network.save_pretrained(tmp_path / "wrist")
    loaded = JointWrist.from_pretrained(tmp_path / "wrist")
    assert loaded.info["options"] == {"encoder": "conv", "encoder_version": 3, "head_version": 2}
    assert not loaded.training
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image).mask_logits, network(image).mask_logits, rtol=0, atol=0)
    assert sorted(file.name for file in (tmp_path / "wrist").iterdir()) == ["README.md", "model.safetensors"]


def test_training_values_go_along(network, tmp_path):
    save_weights(tmp_path / "run" / "best.safetensors", network, TRAINED)
    JointWrist.from_pretrained(tmp_path / "run").save_pretrained(tmp_path / "again")
    assert load_weights(tmp_path / "again" / "model.safetensors")[1] == TRAINED
    first, second = (Predictor.from_pretrained(tmp_path / name, localise=False) for name in ("run", "again"))
    assert (second.image_size, second.detail_size, second.threshold) == (64, 96, 0.3)
    masks = (predictor(radiograph(70, 60), side="L").single().masks for predictor in (first, second))
    np.testing.assert_array_equal(*masks)


def test_the_card_says_what_the_weights_are():
    card = model_card(TRAINED, "someone/wrist")
    data = front_matter(card)
    assert (data["license"], data["library_name"], data["pipeline_tag"]) == (
        "apache-2.0",
        "jointwrist",
        "image-segmentation",
    )
    assert 'Predictor.from_pretrained("someone/wrist")' in card
    for fact in ("encoder=conv", "| Input | 64 px |", "96 px", "0.45", "0.3", "| Epochs | 7 |", "not a medical device"):
        assert fact in card


@pytest.mark.parametrize("task", ["joint", "segmentation", "erosion"])
def test_every_model_that_can_be_trained_has_a_valid_card(task):
    for name in list_models(task=task):
        card = model_card({"model": name, "options": {}}, "x/y")
        known = front_matter(card)["license"]
        assert known in ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "other")
        assert model_spec(name).licence in card
        huggingface_hub.ModelCard(card)


def test_a_baseline_is_published_as_well(tmp_path):
    model = create_model("mobilenet")
    Published(model, {"model": "mobilenet", "options": {}}).save_pretrained(tmp_path)
    again, info = load_weights(find_weights(tmp_path))
    assert info["image_size"] == 224
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    with pytest.raises(DataError, match="mobilenet is not a JointWrist"):
        JointWrist.from_pretrained(tmp_path)


def test_a_network_built_by_hand_is_not_saved_without_its_name(tmp_path):
    with pytest.raises(ValueError, match="create_model"):
        JointWrist(encoder="conv").save_pretrained(tmp_path / "x")
    assert not list((tmp_path / "x").iterdir())


def test_a_file_in_the_place_of_the_folder_is_named_and_stays(network, tmp_path):
    (tmp_path / "x").write_text("notes")
    with pytest.raises(StorageError, match="x: is a file; give the name of a folder"):
        network.save_pretrained(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "notes"


class Hub:
    """Stands for the hub: repositories are folders, and what was asked for is kept."""

    def __init__(self, root, monkeypatch):
        self.root, self.asked = root, []
        monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)

    def __call__(self, token=None):
        self.token = token
        return self

    def create_repo(self, repo_id, private, exist_ok):
        assert exist_ok
        self.asked.append((repo_id, private))
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(self, *, repo_id, folder_path, revision, **_):
        shutil.copytree(folder_path, self.root / repo_id)
        return f"https://hub/{repo_id}/commit/{revision}"

    def download(self, repository, file, **options):
        self.asked.append((repository, file, options))
        if not (self.root / repository / file).exists():
            raise huggingface_hub.utils.LocalEntryNotFoundError("offline")
        return str(self.root / repository / file)


@pytest.fixture
def remote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Hub(tmp_path / "hub", monkeypatch)


def test_a_published_network_is_found_by_its_repository(network, remote):
    address = network.push_to_hub("someone/wrist-1.0", private=True, token="t", branch="b")
    assert address == "https://hub/someone/wrist-1.0/commit/b"
    assert (remote.asked, remote.token) == ([("someone/wrist-1.0", True)], "t")
    loaded = JointWrist.from_pretrained("someone/wrist-1.0")
    assert torch.equal(loaded.erosion.joint_bias, network.erosion.joint_bias)
    folder = remote.root / "someone" / "wrist-1.0"
    assert '"someone/wrist-1.0"' in (folder / "README.md").read_text()
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "model.safetensors"]
    with pytest.raises(DataError, match="someone/else: neither a file nor a reachable hub repository"):
        find_weights("someone/else")


def test_the_hub_is_asked_as_its_own_mixin_asks_it(network, remote):
    assert isinstance(network, huggingface_hub.ModelHubMixin)
    network.save_pretrained(remote.root / "here", push_to_hub=True, repo_id="someone/wrist", create_pr=True)
    options = {"revision": "v1", "token": "t", "cache_dir": "cache", "local_files_only": True}
    remote.asked.clear()
    JointWrist.from_pretrained("someone/wrist", **options)
    Predictor.from_pretrained("someone/wrist", localise=False, **options)
    assert remote.asked == [("someone/wrist", "model.safetensors", options)] * 2
    JointWrist.from_pretrained(remote.root / "here", **options)
    JointWrist.from_pretrained("jointwrist_tiny", **options)
    assert len(remote.asked) == 2  # what lies on this machine is not asked for


def test_the_weights_of_others_are_files_repositories_or_files_of_these(remote):
    for name in ("timm/swin/model.safetensors", "lab/vmamba/imagenet/tiny.pth"):
        (remote.root / name).parent.mkdir(parents=True)
        (remote.root / name).write_bytes(b"")
    assert find_checkpoint("timm/swin") == remote.root / "timm/swin/model.safetensors"
    assert find_checkpoint("lab/vmamba/imagenet/tiny.pth") == remote.root / "lab/vmamba/imagenet/tiny.pth"
    assert find_checkpoint("hub/lab/vmamba/imagenet/tiny.pth").is_file()
    remote.asked.clear()
    assert not find_checkpoint("hub/lab/none.pth").exists()  # its folder is here: a file that is missing
    assert not remote.asked
    with pytest.raises(DataError, match=r"lab/vmamba: neither a file nor .* with small\.pth; check the name"):
        find_checkpoint("lab/vmamba/small.pth")


def test_shipped_weights_go_by_their_name(network, tmp_path, monkeypatch):
    monkeypatch.setattr(find, "SHIPPED", tmp_path)
    save_weights(tmp_path / "our_wrist.safetensors", network, TRAINED)
    assert find_weights("our_wrist") == tmp_path / "our_wrist.safetensors"
    with pytest.raises(DataError, match="comes with the package: our_wrist"):
        find_weights("their_wrist")


def test_a_pickle_is_never_opened(tmp_path, monkeypatch):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(DataError, match="no weights here"):
        find_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04")
    with pytest.raises(DataError, match="not a complete safetensors file"):
        JointWrist.from_pretrained(tmp_path)


def test_a_folder_of_weights_of_other_names_and_the_home_folder_are_named(tmp_path):
    (tmp_path / "mine.safetensors").touch()
    with pytest.raises(DataError, match=r"holds no model\.safetensors or best\.safetensors; give a file in it"):
        find_weights(tmp_path)
    with pytest.raises(DataError, match=r"~ is not the home folder here"):
        find_weights("~/runs/tiny")
