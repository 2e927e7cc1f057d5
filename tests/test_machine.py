"""What every record says of where it was made."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from accelerate import Accelerator

from jointwrist.benchmark.machine import environment, machine, revision
from jointwrist.ops.scan.dispatch import available_backends


def test_a_record_names_machine_versions_and_scan():
    found = environment(Accelerator(cpu=True))
    assert found["machine"] == machine() and "cores" in found["machine"]
    assert {"torch", "torchvision", "timm", "kornia", "accelerate", "numpy"} <= set(found["versions"])
    assert all(found["versions"].values()) and found["scan"] in available_backends("cpu")


def test_packages_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr("jointwrist.benchmark.machine.PACKAGES", ("numpy", "no-such-package"))
    assert set(environment(Accelerator(cpu=True))["versions"]) == {"numpy"}


def test_without_git_the_revision_is_unknown(monkeypatch, tmp_path):
    assert revision(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision() == "unknown"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_tree_that_differs_from_its_commit_says_so(tmp_path):
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True).stdout.strip()

    file = tmp_path / "file"
    file.write_text("one")
    git("init")
    git("add", "file")
    git("commit", "-m", "one")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "file").write_text("not tracked")
    assert revision(tmp_path / "installed") == "unknown"
    assert len(commit) == 40 and revision(tmp_path) == commit
    file.write_text("two")
    assert revision(tmp_path) == f"{commit}-dirty"
