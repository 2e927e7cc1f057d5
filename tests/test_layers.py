"""The layers of the package: imports go downwards only, and no two modules import each other.

All imports are read, those within functions and those for type checkers too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

#: Packages by layer, from the lowest to the highest. A package imports from itself and from the layers below, not from
#: other packages of its own layer.
LAYERS = (
    ("errors", "files", "openmp", "readable", "renamed_modules", "renamed_names", "text"),
    ("config",),
    ("anatomy",),
    ("ops", "registry", "hub_mixin"),
    ("models", "metrics", "losses"),
    ("data",),
    ("insertion",),
    ("weights",),
    ("phantom",),
    ("engine",),
    ("inference",),
    ("outputs",),
    ("benchmark",),
    ("studies",),
    ("node", "viewer", "selftest", "bundle"),
    ("commands",),
    ("cli",),
    ("__main__",),
)
#: Packages of one layer of which the first may import from the second.
SAME_LAYER = {("files", "errors")}
#: Packages that may import from some of the layers below only.
ONLY = {
    "models": {"errors", "anatomy", "ops", "registry", "hub_mixin"},
    "metrics": {"errors", "anatomy", "ops"},
    "insertion": {"errors", "files", "renamed_names", "config", "anatomy", "ops", "data"},
    "weights": {"errors", "files", "readable", "text", "config", "anatomy", "registry", "hub_mixin", "renamed_names"},
}
#: Thin methods that import from above when they are called.
THIN = {
    # from_pretrained and save_pretrained of a network
    ("jointwrist.hub_mixin", "jointwrist.weights.hub"),
    # plot and save of a comparison
    ("jointwrist.inference.comparison", "jointwrist.outputs.comparison_picture"),
    # to_dict, plot, save, save_seg and save_sr of a result
    ("jointwrist.inference.result", "jointwrist.outputs.dicom_seg"),
    ("jointwrist.inference.result", "jointwrist.outputs.dicom_instance"),
    ("jointwrist.inference.result", "jointwrist.outputs.dicom_sr"),
    ("jointwrist.inference.result", "jointwrist.outputs.overlay"),
    ("jointwrist.inference.result", "jointwrist.outputs.result_files"),
    ("jointwrist.inference.result", "jointwrist.outputs.result_json"),
}


class Import(NamedTuple):
    """One module that imports another."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} imports {self.target}"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path, root: Path) -> Iterator[str]:
    """Yield the names that a file imports, `a.b.c` both for `import a.b.c` and for `from a.b import c`."""
    package = module_name(path, root).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *((node.module or "").split(".") if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def imports(root: Path, package: str) -> list[Import]:
    """Return the imports of a package's modules, the targets being modules where they are of this repository."""
    files = {module_name(path, root): path for path in sorted((root / package).rglob("*.py"))}
    found = set()
    for source, path in files.items():
        for name in imported_names(path, root):
            parent = name.rpartition(".")[0]
            target = name if name in files else parent if parent in files else name
            if target != source:
                found.add(Import(source, target))
    return sorted(found)


def package_of(module: str) -> str | None:
    """Return the package below jointwrist that holds a module; None of jointwrist itself, whose names load on use."""
    parts = module.split(".")
    return parts[1] if parts[0] == "jointwrist" and len(parts) > 1 else None


def faults(found: Iterable[Import]) -> list[str]:
    """Return what is wrong with the imports of jointwrist, a sentence each."""
    height = {name: layer for layer, names in enumerate(LAYERS) for name in names}
    wrong = []
    for link in found:
        source, target = package_of(link.source), package_of(link.target)
        if link.target.split(".")[0] in ("baselines", "jointwrist_baselines", "benchmarks"):
            wrong.append(f"{link}, which is no part of the core")
        if source is None or target is None or source == target or link in THIN:
            continue
        missing = [name for name in (source, target) if name not in height]
        if missing:
            wrong.append(f"{link}: {missing[0]} is in no layer")
        elif height[source] < height[target]:
            wrong.append(f"{link}, which lies above it")
        elif height[source] == height[target] and (source, target) not in SAME_LAYER:
            wrong.append(f"{link}, which lies beside it")
        elif target not in ONLY.get(source, {target}):
            wrong.append(f"{link}; {source} may import only from {', '.join(sorted(ONLY[source]))}")
    return wrong


def cycles(found: Iterable[Import]) -> list[str]:
    """Return the cycles of modules that import each other, directly or through others."""
    targets: dict[str, list[str]] = {}
    for link in found:
        if link not in THIN:
            targets.setdefault(link.source, []).append(link.target)
    done: set[str] = set()
    found_cycles = []

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found_cycles.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for target in targets.get(module, []):
                visit(target, [*path, module])
            done.add(module)

    for module in targets:
        visit(module, [])
    return found_cycles


#: The package itself names its public objects for type checkers, and is imported by all for its version.
CORE = [link for link in imports(ROOT, "jointwrist") if link.source != "jointwrist"]


def test_imports_go_downwards():
    assert len(CORE) > 300
    assert faults(CORE) == []


def test_no_two_modules_import_each_other():
    assert cycles(CORE) == []


@pytest.mark.parametrize(("package", "least"), [("data", 6), ("engine", 8)])
def test_the_parts_of_a_package_import_each_other_one_way(package, least):
    def part(module: str) -> str | None:
        parts = module.split(".")
        return ".".join(parts[:3]) if parts[:2] == ["jointwrist", package] and len(parts) > 3 else None

    between = {Import(part(link.source), part(link.target)) for link in CORE}
    between = {link for link in between if None not in link and link.source != link.target}
    assert len(between) >= least
    assert cycles(between) == []


def test_every_thin_method_that_is_listed_exists():
    assert set(CORE) >= THIN


def test_the_baselines_use_no_command_of_the_benchmark():
    assert not [link for link in imports(ROOT, "baselines") if link.target.startswith("benchmarks")]


@pytest.fixture
def made_up(tmp_path):
    """Write a package of some files and return its imports."""

    def write(**files: str) -> list[Import]:
        for name, text in files.items():
            path = tmp_path / "jointwrist" / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return imports(tmp_path, "jointwrist")

    return write


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ops__roi": "", "models__joint": "from jointwrist.ops import roi"}, None),
        ({"ops__roi": "from jointwrist.models import joint", "models__joint": ""}, "which lies above it"),
        ({"ops__roi": "from ..models.joint import Net", "models__joint": ""}, "imports jointwrist.models.joint, which"),
        ({"ops__roi": "def f():\n    import jointwrist.models.joint", "models__joint": ""}, "which lies above it"),
        ({"models__joint": "", "metrics__dice": "from jointwrist.models import joint"}, "which lies beside it"),
        ({"data__ram": "", "weights__hub": "from jointwrist.data.ram import x"}, "may import only from"),
        ({"models__joint": "", "other__module": "from jointwrist.models import joint"}, "other is in no layer"),
        ({"models__joint": "import jointwrist_baselines.layers"}, "no part of the core"),
        ({"cli": "from benchmarks.run_all import main"}, "no part of the core"),
    ],
)
def test_the_check_finds_faults(made_up, files, message):
    wrong = faults(made_up(**files))
    assert (message is None and wrong == []) or (len(wrong) == 1 and message in wrong[0]), wrong


def test_the_check_finds_cycles(made_up):
    found = made_up(
        models__a="from jointwrist.models.b import x",
        models__b="def f():\n    from jointwrist.models import c",
        models__c="from .a import y",
        models__d="from .a import y",
    )
    assert cycles(found) == [" -> ".join(f"jointwrist.models.{name}" for name in "abca")]
