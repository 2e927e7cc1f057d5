"""The compiled scan: built once, also by concurrent processes; if it cannot be built, PyTorch takes over."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from jointwrist.ops.scan import available_backends, build, selective_scan

pytestmark = pytest.mark.trust
COMPILER = next(filter(None, map(shutil.which, build.COMPILERS)), None)
ROOT = Path(__file__).parents[1]
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
    """A user without a cache, a folder for temporary files, and a compiler that is done sooner."""
    monkeypatch.setattr(build, "FLAGS", ("-O0", *build.FLAGS[1:]))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
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


def test_without_a_compiler_pytorch_is_used_with_one_warning(fresh, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    assert_it_works_without(caplog, "compiler found")
    assert not fresh.exists()


def test_a_failed_build_falls_back_to_pytorch_with_one_warning(fresh, monkeypatch, caplog, tmp_path):
    broken = tmp_path / "broken compiler"
    broken.write_text("#!/bin/sh\necho 'this compiler is broken' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert_it_works_without(caplog, "this compiler is broken")


@pytest.fixture
def unwritable(fresh, tmp_path, monkeypatch):
    """The same user, whose cache cannot be made, under whatever account the tests run; yields the spare folder."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    return build.spare_folder()


@needs_compiler
def test_a_home_that_cannot_be_written_to_does_not_matter(unwritable, caplog):
    expected = selective_scan(**problem(), backend="reference")
    torch.testing.assert_close(selective_scan(**problem(), backend="cpu"), expected)
    assert not caplog.records


@needs_compiler
def test_without_a_cache_the_temporary_folder_keeps_the_library(unwritable, monkeypatch):
    library = build.build()
    assert library.parent == unwritable and os.listdir(unwritable.parent) == [unwritable.name]
    assert os.listdir(unwritable) == [library.name] and unwritable.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(build, "_run", lambda command: pytest.fail("built again"))
    assert build.build() == library


@needs_compiler
def test_a_user_without_a_home_gets_one_too(fresh, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(build.Path, "home", no_home)
    assert "cpu" in available_backends("cpu") and build.build().parent == build.spare_folder()


@needs_compiler
@pytest.mark.parametrize("trap", ["writable", "link"])
def test_a_temporary_folder_that_others_can_write_to_is_not_trusted(unwritable, trap, tmp_path, caplog):
    folder = tmp_path / "trap" if trap == "link" else unwritable
    folder.mkdir()
    folder.chmod(0o700 if trap == "link" else 0o777)
    (folder / build.name()).write_bytes(b"not to be loaded")
    if trap == "link":
        unwritable.symlink_to(folder)
    assert_it_works_without(caplog, "by this user alone")
    assert os.listdir(folder) == [build.name()]


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
def test_a_built_library_is_found_again_without_a_compiler(fresh, monkeypatch):
    library = build.build()
    written = library.stat().st_mtime_ns
    monkeypatch.setenv("PATH", "")
    assert build.build() == library and library.stat().st_mtime_ns == written


def test_another_processor_source_or_compiler_gets_a_library_of_its_own(monkeypatch, tmp_path):
    names = {build.name()}
    with monkeypatch.context() as patch:
        patch.setattr(build, "processor", lambda: "another")
        names.add(build.name())
    with monkeypatch.context() as patch:
        patch.setenv("CXX", "another")
        names.add(build.name())
    (tmp_path / "scan_cpu.cpp").write_bytes(build.SOURCE.read_bytes() + b"\n")
    monkeypatch.setattr(build, "SOURCE", tmp_path / "scan_cpu.cpp")
    assert len(names | {build.name()}) == 4


def test_the_processor_is_known_by_its_instructions():
    if not sys.platform.startswith("linux"):
        pytest.skip("read from /proc/cpuinfo")
    words = build.processor().split()
    assert len(words) > 5 and words[0] != build.platform.node()


@pytest.mark.parametrize(
    ("text", "amd"),
    [
        ("vendor_id\t: AuthenticAMD\n", True),
        ("vendor_id\t: GenuineIntel\n", False),
        ("CPU implementer\t: 0x41\n", False),
    ],
)
def test_the_maker_of_the_processor_is_read(text, amd, monkeypatch):
    monkeypatch.setattr(build, "_processor_information", lambda: f"processor\t: 0\n{text}flags\t\t: fpu\n")
    assert build.made_by_amd() is amd


@pytest.mark.slow  # the tests of the scan and of what is built on it, twice again
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("lacking", ["compiler", "home"])
def test_all_that_scans_works_without(lacking, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "CXX")}
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    environment |= {"HOME": str(tmp_path / "file" / "home"), "TMPDIR": str(tmp_path / "tmp")}
    if lacking == "compiler":
        environment["PATH"] = str(tmp_path)
    tests = [f"tests/test_{part}.py" for part in ("scan", "mamba", "encoder", "encoder_export")]
    command = [sys.executable, "-m", "pytest", "-q", *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stdout[-3000:]
    built = list((tmp_path / "tmp").glob("jointwrist-*/*.so"))
    assert len(built) == (lacking == "home")
