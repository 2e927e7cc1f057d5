"""Measure which tools read which outputs, and write docs/reference/what-opens-where.md: `make interop`.

Pinned versions of what the extra `dev` does not bring along are installed into a temporary folder, from PyPI and npm.
dcmtk, Orthanc and Node are used where they are installed. A tool that is not here is written down as not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

from interop import programs
from interop.outputs import write_outputs
from interop.probes import PROBES, run
from interop.reading import OUTPUTS, Cell
from orthanc import PLUGIN, Orthanc

from jointwrist.files import write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs" / "reference" / "what-opens-where.md"
START, END = "<!-- interop: written by `make interop` -->\n", "<!-- interop: end -->"
COLUMNS = ("tool", "version", "opens", "content", "place", "overlap", "note")
#: Tools that are programs, by the outputs that they are tried on.
PROGRAMS = {
    "dcmtk dcmj2pnm": ("seg.dcm", "sc.dcm"),
    "dcmtk dsr2html": ("sr.dcm",),
    "dcmtk dcmp2pgm": ("pr.dcm",),
    "Orthanc, rendered": ("seg.dcm", "seg_odd.dcm", "sr.dcm", "pr.dcm", "sc.dcm"),
    "dcmqi (3D Slicer)": ("seg.dcm", "sr.dcm"),
    "dcm2niix": ("seg.dcm",),
    "dcmjs": ("seg.dcm", "sr.dcm", "pr.dcm", "sc.dcm"),
    "Cornerstone adapters (OHIF)": ("seg.dcm", "sr.dcm"),
}


def measure_here(folder: Path, with_orthanc: bool = True) -> list[Cell]:
    """Measure what the extra `dev` and Debian's packages bring along; `folder` holds the outputs."""
    cells = run(folder)
    if shutil.which("dcmj2pnm"):
        cells += programs.dcmtk(folder)
    if with_orthanc and shutil.which("Orthanc") and Path(PLUGIN).exists():
        archive = Orthanc(folder)
        try:
            cells += programs.orthanc(folder, archive)
        finally:
            archive.stop()
    return cells


def measure_installed(folder: Path, work: Path) -> list[Cell]:
    """Install the pinned tools and measure them."""
    venv.create(work / "env", with_pip=True)
    binaries = work / "env" / "bin"
    install = [binaries / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt"]
    subprocess.run(install, check=True)
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(HERE.parent)}
    command = [binaries / "python", "-m", "interop.probes", folder]
    printed = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
    cells = [Cell(**values) for values in json.loads(printed.splitlines()[-1])]
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", (HERE / "requirements.txt").read_text(), re.M))
    cells += programs.dcmqi(folder, binaries, pinned["dcmqi"])
    cells += programs.dcm2niix(folder, binaries / "dcm2niix", pinned["dcm2niix"])
    if shutil.which("npm"):
        modules = work / "node"
        modules.mkdir()
        shutil.copyfile(HERE / "package.json", modules / "package.json")
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=modules, check=True)
        cells += programs.node(folder, modules)
    return cells


def complete(cells: list[Cell]) -> list[Cell]:
    """Put one line per output and tool in order; what was not measured is said to be not run."""
    wanted = [*PROBES, *((output, tool) for tool, outputs in PROGRAMS.items() for output in outputs)]
    found = {(cell.output, cell.tool): cell for cell in cells}
    lines = [found.get(pair) or Cell(*pair, "-", "not run") for pair in wanted]
    return sorted(lines, key=lambda cell: (list(OUTPUTS).index(cell.output), cell.opens != "yes", cell.tool.lower()))


def to_markdown(cells: list[Cell]) -> str:
    """Return a table per output."""
    parts = []
    for output, title in OUTPUTS.items():
        parts += [f"## {title}", "", f"| {' | '.join(COLUMNS)} |", "| --- | --- | --- | --- | --- | --- | --- |"]
        for cell in cells:
            if cell.output == output:
                parts.append(f"| {' | '.join(str(getattr(cell, name)) for name in COLUMNS)} |")
        parts.append("")
    return "\n".join(parts)


def read_page(page: Path = PAGE) -> list[Cell]:
    """Return the lines that a page holds."""
    titles = {title: output for output, title in OUTPUTS.items()}
    cells, output = [], ""
    for line in page.read_text(encoding="utf-8").partition(START)[2].partition(END)[0].splitlines():
        if line.startswith("## "):
            output = titles[line[3:]]
        elif line.startswith("| ") and not line.startswith(("| tool ", "| --- ")):
            cells.append(Cell(output, *(part.strip() for part in line.strip("|").split("|"))))
    return cells


def write_page(cells: list[Cell], page: Path = PAGE) -> None:
    """Put the tables between the marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page}: the marks of the tables are missing")
    write_text(page, before + START + "\n" + to_markdown(cells) + END + after)


def measure_all() -> list[Cell]:
    """Measure every tool that can be had."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "outputs"
        folder.mkdir()
        write_outputs(folder)
        return complete([*measure_here(folder), *measure_installed(folder, Path(work))])


if __name__ == "__main__":
    write_page(measure_all())
    print(f"written: {PAGE.relative_to(ROOT)}")
