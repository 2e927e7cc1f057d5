"""The core imports with PyTorch alone."""

from __future__ import annotations

import subprocess
import sys

OPTIONAL = (
    "monai", "segmentation_models_pytorch", "transformers", "pydicom", "highdicom", "matplotlib", "mamba_ssm",
    "triton", "pandas", "openpyxl", "onnx",
)  # fmt: skip


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_import_is_light():
    done = run("import sys, jointwrist; assert 'torch' not in sys.modules; print(jointwrist.__version__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".") == 2


def test_unknown_attribute_is_an_attribute_error():
    done = run("import jointwrist; jointwrist.nothing")
    assert "AttributeError" in done.stderr
