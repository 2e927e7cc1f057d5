"""The rooms of the package: imports go downwards only, and no two modules import each other.

All imports are read, those within functions and those for type checkers too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

#: Rooms from the bottom to the top. A room imports from itself and from the rows below, never from its own row.
ROWS = (
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
#: Rooms of one row that one may import from another of the same row.
SAME_ROW = {("files", "errors")}
#: Rooms that may import from less than all the rows below.
ONLY = {
    "models": {"errors", "anatomy", "ops", "registry", "hub_mixin"},
    "metrics": {"errors", "anatomy", "ops"},
    "insertion": {"errors", "files", "renamed_names", "config", "anatomy", "ops", "data"},
    "weights": {"errors", "files", "readable", "text", "config", "anatomy", "registry", "hub_mixin"},
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


class Arrow(NamedTuple):
    """One module that imports another."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} imports {self.target}"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path) -> Iterator[str]:
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


def arrows(root: Path, package: str) -> list[Arrow]:
    """Return the imports of a package's modules, the targets being modules where they are of this repository."""
    files = {module_name(path, root): path for path in sorted((root / package).rglob("*.py"))}
    found = set()
    for source, path in files.items():
        for name in imports(path, root):
            parent = name.rpartition(".")[0]
            target = name if name in files else parent if parent in files else name
            if target != source:
                found.add(Arrow(source, target))
    return sorted(found)


def room(module: str) -> str | None:
    """Return the room of a module of jointwrist; None of the package itself, whose names are loaded when used."""
    parts = module.split(".")
    return parts[1] if parts[0] == "jointwrist" and len(parts) > 1 else None


def faults(found: Iterable[Arrow]) -> list[str]:
    """Return what is wrong with the imports of jointwrist, a sentence each."""
    height = {name: row for row, names in enumerate(ROWS) for name in names}
    wrong = []
    for arrow in found:
        source, target = room(arrow.source), room(arrow.target)
        if arrow.target.split(".")[0] in ("baselines", "jointwrist_baselines", "benchmarks"):
            wrong.append(f"{arrow}, which is no part of the core")
        if source is None or target is None or source == target or arrow in THIN:
            continue
        missing = [name for name in (source, target) if name not in height]
        if missing:
            wrong.append(f"{arrow}: the room {missing[0]} is in no row")
        elif height[source] < height[target]:
            wrong.append(f"{arrow}, which lies above it")
        elif height[source] == height[target] and (source, target) not in SAME_ROW:
            wrong.append(f"{arrow}, which lies beside it")
        elif target not in ONLY.get(source, {target}):
            wrong.append(f"{arrow}; {source} may import from {', '.join(sorted(ONLY[source]))} alone")
    return wrong


def circles(found: Iterable[Arrow]) -> list[str]:
    """Return the modules that import each other, directly or by way of others, a circle each."""
    targets: dict[str, list[str]] = {}
    for arrow in found:
        if arrow not in THIN:
            targets.setdefault(arrow.source, []).append(arrow.target)
    done: set[str] = set()
    found_circles = []

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found_circles.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for target in targets.get(module, []):
                visit(target, [*path, module])
            done.add(module)

    for module in targets:
        visit(module, [])
    return found_circles


#: The package itself names its public objects for type checkers, and is imported by all for its version.
CORE = [arrow for arrow in arrows(ROOT, "jointwrist") if arrow.source != "jointwrist"]


def test_imports_go_downwards():
    assert len(CORE) > 300
    assert faults(CORE) == []


def test_no_two_modules_import_each_other():
    assert circles(CORE) == []


def test_the_packages_within_data_import_each_other_one_way():
    def package(module: str) -> str | None:
        parts = module.split(".")
        return ".".join(parts[:3]) if parts[:2] == ["jointwrist", "data"] and len(parts) > 3 else None

    between = {Arrow(package(arrow.source), package(arrow.target)) for arrow in CORE}
    between = {arrow for arrow in between if None not in arrow and arrow.source != arrow.target}
    assert len(between) > 5
    assert circles(between) == []


def test_every_thin_method_that_is_listed_exists():
    assert set(CORE) >= THIN


def test_the_baselines_use_no_command_of_the_benchmark():
    assert not [arrow for arrow in arrows(ROOT, "baselines") if arrow.target.startswith("benchmarks")]


@pytest.fixture
def made_up(tmp_path):
    """Write a package of some files and return its arrows."""

    def write(**files: str) -> list[Arrow]:
        for name, text in files.items():
            path = tmp_path / "jointwrist" / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return arrows(tmp_path, "jointwrist")

    return write


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ops__roi": "", "models__joint": "from jointwrist.ops import roi"}, None),
        ({"ops__roi": "from jointwrist.models import joint", "models__joint": ""}, "which lies above it"),
        ({"ops__roi": "from ..models.joint import Net", "models__joint": ""}, "imports jointwrist.models.joint, which"),
        ({"ops__roi": "def f():\n    import jointwrist.models.joint", "models__joint": ""}, "which lies above it"),
        ({"models__joint": "", "metrics__dice": "from jointwrist.models import joint"}, "which lies beside it"),
        ({"data__ram": "", "weights__hub": "from jointwrist.data.ram import x"}, "may import from"),
        ({"models__joint": "", "cellar__wine": "from jointwrist.models import joint"}, "cellar is in no row"),
        ({"models__joint": "import jointwrist_baselines.layers"}, "no part of the core"),
        ({"cli": "from benchmarks.run_all import main"}, "no part of the core"),
    ],
)
def test_the_check_finds_faults(made_up, files, message):
    wrong = faults(made_up(**files))
    assert (message is None and wrong == []) or (len(wrong) == 1 and message in wrong[0]), wrong


def test_the_check_finds_circles(made_up):
    found = made_up(
        models__a="from jointwrist.models.b import x",
        models__b="def f():\n    from jointwrist.models import c",
        models__c="from .a import y",
        models__d="from .a import y",
    )
    assert circles(found) == [" -> ".join(f"jointwrist.models.{name}" for name in "abca")]
