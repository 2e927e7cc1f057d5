"""The package's dependencies: licences, lower bounds, no network unless asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

pytestmark = pytest.mark.trust

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Extras of those who work on the package; nobody else installs them.
OWN = {"docs", "dev", "fuzz"}
#: SPDX names, and what older metadata says in their place.
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-CMU",
    "LLVM-exception", "PSF-2.0", "Zlib",
    "3-Clause BSD License", "Apache 2.0 License", "Apache License 2.0", "Apache Software License", "BSD",
    "BSD License", "DFSG approved", "FreeBSD", "ISC License (ISCL)", "MIT License",
    "Python Software Foundation License",
}  # fmt: skip
#: Copyleft of single files, of a library that is used as it is.
WEAK = {"certifi": {"Mozilla Public License 2.0 (MPL 2.0)"}, "tqdm": {"MPL-2.0"}}
#: What NVIDIA's own packages say of one licence, by their age.
NVIDIA = {"LicenseRef-NVIDIA-Proprietary", "NVIDIA Proprietary Software", "Other/Proprietary License"}
#: Extras that `dev` leaves out: one needs a GPU to be built, one is under the GPL.
APART = {"cuda", "gpl-codecs"}


def declared(*extras: str) -> list[Requirement]:
    """Requirements of the package and of some extras."""
    optional = PROJECT["optional-dependencies"]
    return [Requirement(text) for text in sum((optional[extra] for extra in extras), PROJECT["dependencies"])]


def licences(package: Distribution) -> set[str]:
    """Licences that a package states, each by its name."""
    stated = package.metadata.get("License-Expression")
    if not stated:
        classifiers = [text for text in package.metadata.get_all("Classifier", []) if text.startswith("License ::")]
        if found := {text.split(" :: ")[-1] for text in classifiers} - {"OSI Approved"}:
            return found
        stated = package.metadata.get("License", "").partition("\n")[0]
    return set(re.split(r" AND | OR | WITH ", re.sub(r"[()]", "", stated)))


def closure(requirements: list[Requirement]) -> tuple[dict[str, Distribution], set[str]]:
    """All packages that some requirements bring along, by name, and the names of those that are not installed."""
    found: dict[str, Distribution] = {}
    missing: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        for text in found[name].requires or []:
            further = Requirement(text)
            extras = {"", *requirement.extras}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return found, missing


def unwelcome(name: str, package: Distribution) -> set[str]:
    """Licences of a package that nobody has agreed to."""
    if name.startswith(("nvidia-", "cuda-")):
        # the collection itself states nothing; its parts do
        return licences(package) - PERMISSIVE - NVIDIA - ({""} if name == "cuda-toolkit" else set())
    return licences(package) - PERMISSIVE - WEAK.get(name, set())


def test_everything_that_is_brought_along_is_permissive():
    found, missing = closure(declared(*set(PROJECT["optional-dependencies"]) - OWN - APART))
    assert {"torch", "numpy", "jinja2"} <= set(found)
    assert missing == set(), "their licences were not read"
    assert {name: bad for name, package in found.items() if (bad := unwelcome(name, package))} == {}


def test_a_copyleft_package_would_be_noticed(tmp_path):
    (tmp_path / "METADATA").write_text("Name: x\nVersion: 1\nClassifier: License :: OSI Approved :: GNU GPLv3\n")
    assert unwelcome("x", Distribution.at(tmp_path)) == {"GNU GPLv3"}
    (tmp_path / "METADATA").write_text("Name: x\nVersion: 1\nLicense-Expression: MIT AND GPL-3.0-only\n")
    assert unwelcome("x", Distribution.at(tmp_path)) == {"GPL-3.0-only"}
    (tmp_path / "METADATA").write_text("Name: x\nVersion: 1\n")
    assert unwelcome("x", Distribution.at(tmp_path)) == {""}


def test_third_party_names_every_dependency_its_extra_its_licence_and_its_reason():
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8").partition("| package | extra")[2]
    rows = re.findall(r"^\| ([\w-]+) \| ([\w-]*) +\| (\S.*?) \| \S.*? \|$", text, re.M)
    told = {canonicalize_name(name): extra for name, extra, _ in rows}
    wanted = {canonicalize_name(requirement.name): "" for requirement in declared()}
    for extra, texts in PROJECT["optional-dependencies"].items():
        if extra not in OWN:
            wanted |= {canonicalize_name(Requirement(text).name): extra for text in texts}
    assert told == wanted
    for name, _, licence in rows:
        if package := closure([Requirement(name)])[0].get(canonicalize_name(name)):
            family = licence.partition("-")[0].replace("PSF", "Python Software")
            assert any(family in stated for stated in licences(package)), name


def test_every_dependency_has_a_lower_bound():
    everything = declared(*PROJECT["optional-dependencies"])
    unbound = {r.name for r in everything if not any(part.operator == ">=" for part in r.specifier)}
    assert unbound == {"jointwrist"}


#: Refuses the network to a whole process: name look-ups and connections, other than those within the machine.
OFFLINE = """
import sys
def refuse(event, arguments):
    if event == "socket.getaddrinfo" or event == "socket.connect" and not isinstance(arguments[1], (str, bytes)):
        sys.stderr.write(f"NETWORK: {event} {arguments[1:]}\\n")
        raise SystemExit(3)
sys.addaudithook(refuse)
"""


def run_offline(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", OFFLINE + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT, env=offline_home(folder))


def offline_home(folder: Path) -> dict[str, str]:
    """An environment whose caches are empty: nothing that was downloaded before is found."""
    return {**os.environ, "HF_HOME": str(folder / "hf"), "TORCH_HOME": str(folder / "torch")}


def test_the_refusal_of_the_network_works(tmp_path):
    done = run_offline("import socket; socket.create_connection(('127.0.0.1', 9))", folder=tmp_path)
    assert done.returncode == 3 and "NETWORK" in done.stderr


def test_no_module_uses_the_network_when_imported(tmp_path):
    code = """
import importlib, pkgutil, jointwrist, jointwrist_baselines
for package in (jointwrist, jointwrist_baselines):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(("__main__", "triton_kernels")):
            importlib.import_module(module.name)
            print(module.name)
"""
    done = run_offline(code, folder=tmp_path)
    assert done.returncode == 0 and "NETWORK" not in done.stderr, done.stderr
    assert len(done.stdout.split()) > 80


@pytest.fixture
def radiograph(dataset, tmp_path):
    case = next(case for case in dataset.cases if case.side == "L")
    Image.open(case.image).save(tmp_path / "wrist_L.png")
    return tmp_path / "wrist_L.png"


def test_prediction_uses_no_network(radiograph, tmp_path):
    code = "from jointwrist.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run_offline(code, "predict", str(radiograph), "-o", str(tmp_path / "out"), folder=tmp_path)
    assert done.returncode == 0 and "NETWORK" not in done.stderr, done.stderr
    assert "of 14 bones" in done.stdout
