"""The notebooks run from the first cell to the last, draw pictures, and are kept without outputs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
from jupyter_client import AsyncKernelManager  # noqa: E402 - comes with nbclient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def test_there_are_notebooks():
    assert {"quickstart.ipynb", "own_data.ipynb", "benchmark.ipynb", "phantom.ipynb"} <= set(NOTEBOOKS)


@pytest.fixture(scope="module")
def kernel():
    """One kernel for all notebooks: each forgets the names of the one before, but not the modules, which are slow."""
    manager = AsyncKernelManager()
    yield manager
    asyncio.run(manager.shutdown_kernel(now=True))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name, kernel, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    notebook = nbformat.read(FOLDER / name, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    place = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(notebook, km=kernel, timeout=240, resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs), "a notebook shows pictures"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_kept_without_outputs(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
