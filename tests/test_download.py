"""Download from the hub, with the hub's functions replaced: no test touches the network."""

from __future__ import annotations

from types import SimpleNamespace

import huggingface_hub
import pytest

from jointwrist.data.dataset.download import REPOSITORY, download_dataset
from jointwrist.errors import DataError


def test_the_commit_that_the_hub_names_is_downloaded(monkeypatch, tmp_path):
    calls = []

    def dataset_info(self, repo_id, *, revision, timeout):
        assert (repo_id, revision) == (REPOSITORY, "main")
        return SimpleNamespace(sha="c0ffee")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *args, **kwargs: calls.append((args, kwargs)))
    assert download_dataset(tmp_path, revision="main") == tmp_path
    assert calls == [((REPOSITORY,), {"repo_type": "dataset", "revision": "c0ffee", "local_dir": tmp_path})]


def test_without_a_network_a_folder_that_is_there_is_not_taken_for_the_release(monkeypatch, tmp_path):
    (tmp_path / "README.md").write_text("half a download")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="check the network"):
        download_dataset(tmp_path)
