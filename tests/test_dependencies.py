"""What is imported against what pyproject.toml declares: nothing undeclared, nothing declared in vain."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Modules whose distribution has another name.
DISTRIBUTIONS = {"PIL": "pillow", "nrrd": "pynrrd", "selective_scan_cuda": "mamba-ssm", "yaml": "pyyaml"}
#: Extras of those who work on the repository.
OWN = {"dev", "docs", "fuzz"}
#: Packages that others load, and who does.
LOADED_BY_OTHERS = {
    "fire": "monai.bundle",
    "jsonschema": "monai.bundle",
    "onnxscript": "torch.onnx",
    "pyjpegls": "pydicom",
    "pylibjpeg": "pydicom",
    "pylibjpeg-libjpeg": "pylibjpeg",
    "pylibjpeg-openjpeg": "pylibjpeg",
    "pytorch-ignite": "monai.bundle",
    "tensorboard": "accelerate, as a tracker",
}
#: Modules that come with another package and cannot be had alone.
PARTS = {"triton": "torch on Linux with CUDA"}


def declared(*extras: str) -> set[str]:
    texts = sum((PROJECT["optional-dependencies"][extra] for extra in extras), PROJECT["dependencies"])
    return {canonicalize_name(Requirement(text).name) for text in texts} - {"jointwrist"}


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every distribution that the Python files of a folder import, or ask `require` or importlib for."""
    own = {"jointwrist", "jointwrist_baselines", "benchmarks"} | {path.stem for path in folder.glob("*.py")}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("require", "import_module")):
                names = [word.value for word in node.args[:1] if isinstance(word, ast.Constant)]
            for module in {name.partition(".")[0] for name in names} - own - set(sys.stdlib_module_names) - {""}:
                yield canonicalize_name(DISTRIBUTIONS.get(module, module)), path.name


def test_what_is_imported_is_declared():
    known = declared(*set(PROJECT["optional-dependencies"]) - OWN) | set(PARTS)
    found = [pair for folder in ("jointwrist", "baselines") for pair in imported(ROOT / folder)]
    assert len(found) > 200
    assert sorted({pair for pair in found if pair[0] not in known}) == []


def test_what_is_declared_is_used():
    found = {name for folder in ("jointwrist", "baselines", "benchmarks") for name, _ in imported(ROOT / folder)}
    wanted = declared(*set(PROJECT["optional-dependencies"]) - OWN)
    assert wanted - found == set(LOADED_BY_OTHERS)


@pytest.mark.parametrize(
    "text", ["import made_up.part", "def f():\n    from made_up import x", "tool = errors.require('made_up', 'extra')"]
)
def test_every_kind_of_import_is_seen(tmp_path, text):
    (tmp_path / "module.py").write_text(f"import os, module\nfrom . import module\n{text}\n")
    assert list(imported(tmp_path)) == [("made-up", "module.py")]
