"""Models of other packages: found by their entry points, the baselines of this repository among them."""

from __future__ import annotations

from pathlib import Path

import apart
import pytest

PLUGIN = """
from torch import nn
from jointwrist.registry import ModelSpec, register_model

@register_model(ModelSpec(name="{model}", task="segmentation", published_name=None, paper="made up", licence="MIT",
                          code="{model}_package", parameters=140, input_size=64))
def build(in_channels=1, classes=14):
    return nn.Conv2d(in_channels, classes, 3, padding=1, bias=True)
"""


def write_distribution(folder: Path, name: str, code: str) -> None:
    """Write what an installer leaves: a module, and the record that names its entry point."""
    (folder / f"{name}_package.py").write_text(code)
    record = folder / f"{name}-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (record / "entry_points.txt").write_text(f"[jointwrist.models]\nanything = {name}_package\n")


@pytest.fixture
def run(processes, tmp_path):
    """Run code to which the package is new, in a process that finds further packages in some folders."""
    return lambda code, *folders: apart.fresh(processes, tmp_path, code, folders)


def test_a_model_of_another_package_is_listed_and_built(run, tmp_path):
    write_distribution(tmp_path, "mine", PLUGIN.format(model="mine"))
    code = """
import jointwrist
names = jointwrist.list_models()
model = jointwrist.create_model("mine")
print("mine" in names, "unetpp" in names, sum(p.numel() for p in model.parameters()))
"""
    done = run(code, tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.split() == ["True", "True", "140"]


def test_faulty_packages_are_named_and_stop_nobody_else(run, tmp_path):
    write_distribution(tmp_path, "broken", "raise OSError('no such library')")
    write_distribution(tmp_path, "greedy", PLUGIN.format(model="unetpp"))
    write_distribution(tmp_path, "mine", PLUGIN.format(model="mine"))
    done = run("import jointwrist; print({'jointwrist_tiny', 'mine'} <= set(jointwrist.list_models()))", tmp_path)
    assert done.returncode == 0 and done.stdout.split() == ["True"]
    assert "models of broken_package are missing: OSError: no such library" in done.stderr
    assert "models of greedy_package are missing" in done.stderr and "'unetpp' is registered twice" in done.stderr


def test_the_baselines_have_one_name_alone(run):
    done = run("import baselines")
    assert done.returncode == 1 and "import jointwrist_baselines" in done.stderr


def test_the_core_works_without_the_baselines(run):
    code = """
from importlib import metadata
import jointwrist.registry
jointwrist.registry.entry_points = lambda group: ()
print(*jointwrist.list_models())
print(*(name for name in sys.modules if name.startswith(("baselines", "jointwrist_baselines"))))
"""
    done = run(code)
    assert done.stdout.split() == ["jointwrist_base", "jointwrist_tiny"], done.stderr
