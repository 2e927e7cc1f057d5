"""What is published: metadata that agree, data files, a wheel and a source archive that work elsewhere, a container."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml
from PIL import Image

from jointwrist import __version__

pytestmark = pytest.mark.trust

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
#: What the image's first stage copies, and thus all that a build needs.
SOURCES = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.M) for name in line.split()]


def test_authors_addresses_and_dates_are_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    deposit = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    authors = [author["name"] for author in PROJECT["authors"]]
    assert authors == [author["name"] for author in citation["authors"]]
    assert f"author = {{{{{' and '.join(authors)}}}}}" in readme
    (reference,) = citation["references"]
    paper = reference["identifiers"][0]["value"].removeprefix("arXiv:")
    addresses = {f"https://doi.org/{reference['doi']}", f"https://arxiv.org/abs/{paper}"}
    assert set(PROJECT["urls"].values()) >= addresses and f"https://arxiv.org/abs/{paper}" in readme
    assert f"title = {{{citation['title']}}}" in readme and f"version = {{{__version__}}}" in readme
    assert f"year = {{{citation['date-released'].year}}}" in readme
    assert deposit["publication_date"] == citation["date-released"].isoformat()


def test_every_version_in_the_changelog_has_a_date_and_the_newest_is_this_one():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == "[Unreleased]"
    versions = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading).groups() for heading in headings[1:]]
    dates = [date.fromisoformat(day) for _, day in versions]
    assert dates == sorted(dates, reverse=True)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert versions[0] == (__version__, citation["date-released"].isoformat())


def test_the_python_versions_are_those_that_are_served():
    stated = {text.rpartition(" :: ")[2] for text in PROJECT["classifiers"] if ":: Python :: 3." in text}
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    tested = set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"])
    assert tested <= stated and min(stated) == PROJECT["requires-python"].removeprefix(">=")
    assert len(set(PROJECT["classifiers"])) == len(PROJECT["classifiers"])


def test_every_data_file_is_in_the_wheel():
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["*"]
    files = [path for path in (ROOT / "jointwrist").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        if path.suffix != ".py":
            package = next(folder for folder in path.parents if (folder / "__init__.py").is_file())
            assert any(path in package.glob(pattern) for pattern in patterns), path


def test_the_image_is_built_from_files_that_are_there_and_names_no_registry():
    assert len(SOURCES) == 7
    kept = {line.removeprefix("!") for line in (ROOT / ".containerignore").read_text().splitlines() if line[:1] == "!"}
    assert kept == set(SOURCES) and all((ROOT / name).exists() for name in SOURCES)
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", CONTAINERFILE, re.M))
    assert fnmatch.fnmatch(arguments["BASE"], "python:3.*-slim") and "/" not in arguments["BASE"]
    assert set(arguments["EXTRAS"].split(",")) <= set(PROJECT["optional-dependencies"])
    assert arguments["TORCH_INDEX"] == ""
    page = (ROOT / "docs" / "how-to" / "container.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`|empty) \|", page, re.M))
    assert rows == arguments


@pytest.fixture
def radiograph(dataset, tmp_path):
    case = next(case for case in dataset.cases if case.side == "L")
    Image.open(case.image).save(tmp_path / "wrist_L.png")
    return tmp_path / "wrist_L.png"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_wheel_predicts_outside_the_tree(radiograph, tmp_path):
    tree, home = tmp_path / "tree", tmp_path / "home"
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree)

    def call(*command: str | Path) -> str:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # the wheel is built from the source archive
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, tree)
    (wheel,) = tmp_path.glob("jointwrist-*.whl")
    (archive,) = tmp_path.glob("jointwrist-*.tar.gz")
    shutil.rmtree(tree)
    with zipfile.ZipFile(wheel) as packed:
        held = {name for name in packed.namelist() if ".dist-info" not in name}
    assert {name.partition("/")[0] for name in held} == {"jointwrist", "jointwrist_baselines"}
    with tarfile.open(archive) as packed:
        assert {
            name.partition("/")[2].replace("baselines/", "jointwrist_baselines/") for name in packed.getnames()
        } > held
    call(sys.executable, "-m", "venv", "--without-pip", home)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    call(*pip, "--python", home / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    # the dependencies come from here, after the wheel's own packages
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(str(Path(pytest.__file__).parent.parent))
    code = "import jointwrist as a, jointwrist_baselines as b; print(a.__file__, b.__file__)"
    where = call(home / "bin" / "python", "-c", code)
    assert all(Path(file).is_relative_to(packages) for file in where.split())
    program = home / "bin" / "jointwrist"
    assert "of 14 bones" in call(program, "predict", radiograph, "-o", tmp_path / "out")
    assert any((tmp_path / "out").iterdir())
    assert "unetpp" in call(program, "models", "list")
    protocols = "from jointwrist.benchmark.protocol import load_protocol; print(load_protocol('demo').summary)"
    assert "phantom" in call(home / "bin" / "python", "-c", protocols)
    # compiles the kernel from its source; the other checks would compile all of numba's functions anew, for minutes
    assert "PASS: 1 checks" in call(program, "selftest", "--device", "cpu", "--only", "scan cpu")
