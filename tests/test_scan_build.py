"""The compiled scan: built once, by several at a time, and missed without an exception where it cannot be built."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys

import pytest
import torch

from jointwrist.ops.scan import available_backends, build, selective_scan

pytestmark = pytest.mark.trust
COMPILER = next(filter(None, map(shutil.which, build.COMPILERS)), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")

# only the standard library: a process that builds need not wait for torch
BUILDER = f"""
import importlib.util, ctypes
spec = importlib.util.spec_from_file_location("build", {build.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
library = module.build()
print(library, ctypes.CDLL(str(library)).jointwrist_lanes())
"""


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A user without a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    build.load.cache_clear()
    yield tmp_path / "cache" / "jointwrist"
    build.load.cache_clear()


def problem():
    torch.manual_seed(0)
    values = {"u": torch.randn(1, 4, 70), "delta": torch.rand(1, 4, 70), "A": -torch.rand(4, 2)}
    return values | {"B": torch.randn(1, 2, 70), "C": torch.randn(1, 2, 70)}


def assert_it_works_without(caplog, why):
    with caplog.at_level(logging.WARNING, logger="jointwrist"):
        expected = selective_scan(**problem(), backend="reference")
        for _ in range(2):
            torch.testing.assert_close(selective_scan(**problem()), expected)
        assert "cpu" not in available_backends()
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert why in message and "\n" not in message
    with pytest.raises(ValueError, match=why):
        selective_scan(**problem(), backend="cpu")


def test_no_compiler_means_pytorch_said_once(fresh, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    assert_it_works_without(caplog, "compiler found")
    assert not fresh.exists()


def test_a_failed_build_means_pytorch_said_once(fresh, monkeypatch, caplog, tmp_path):
    broken = tmp_path / "broken compiler"
    broken.write_text("#!/bin/sh\necho 'this compiler is broken' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert_it_works_without(caplog, "this compiler is broken")


@needs_compiler
def test_a_home_that_cannot_be_written_to_does_not_matter(fresh, monkeypatch, caplog, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    expected = selective_scan(**problem(), backend="reference")
    torch.testing.assert_close(selective_scan(**problem(), backend="cpu"), expected)
    assert not caplog.records


@needs_compiler
def test_processes_that_build_at_once_share_one_whole_library(fresh):
    environment = {**os.environ, "XDG_CACHE_HOME": str(fresh.parent)}
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDER], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = {builder.communicate(timeout=280)[0] for builder in builders}
    assert len(told) == 1 and [builder.returncode for builder in builders] == [0, 0]
    (library,) = os.listdir(fresh)
    assert library.endswith(".so") and not library.startswith("tmp")


@needs_compiler
def test_a_built_library_is_found_again_without_a_build(fresh, monkeypatch):
    library = build.build()
    written = library.stat().st_mtime_ns
    assert build.build() == library and library.stat().st_mtime_ns == written
