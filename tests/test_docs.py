"""The documentation site: every page in its navigation, no dead link, no key unexplained, no warning when built."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import runpy
import typing
from html import unescape

import numpy as np
import pytest
import yaml
from docs_pages import DOCS, PAGES, ROOT, blocks, page_text, without_code

from jointwrist.data.radiograph import Radiograph
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.inference.placement import Placement
from jointwrist.inference.result import WristResult
from jointwrist.inference.test_time_augmentation import Uncertainty


@pytest.fixture(scope="module")
def hooks():
    return runpy.run_path(str(DOCS / "hooks.py"))


@pytest.fixture(scope="module")
def nav():
    def pages(entries):
        for entry in entries:
            for target in entry.values():
                yield from pages(target) if isinstance(target, list) else [target]

    # mkdocs.yml may hold tags of plugins that plain YAML does not know; the navigation does not
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return list(pages(yaml.safe_load(text[text.index("\nnav:") :])["nav"]))


def test_every_page_is_in_the_navigation_once(nav):
    assert len(nav) == len(set(nav))
    assert set(PAGES) <= set(nav)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere(page):
    text = without_code(page_text(page))
    targets = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text)
    for target in targets:
        file, _, _ = target.partition("#")
        path = (DOCS / page).parent / file if file else DOCS / page
        assert path.is_file(), f"{page}: {target}"
        assert path.resolve().is_relative_to(DOCS.resolve()), f"{page}: {target} is no part of the site"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_its_title(page):
    assert page_text(page).startswith("# ")


def test_figures_of_the_shipped_weights_are_those_of_their_card():
    card = (ROOT / "jointwrist" / "weights" / "README.md").read_text(encoding="utf-8")
    network, ablations = page_text("explanation/network.md"), page_text("ablations.md")
    measured_there = re.search(r"^The \[ablations\].*?\n\n", network, re.DOTALL | re.MULTILINE)[0]
    of_ablations = re.findall(r"0\.\d{3}", measured_there)
    assert len(of_ablations) == 6 and all(figure in ablations for figure in of_ablations)
    figures = re.findall(r"0\.\d{3}", network.replace(measured_there, ""))
    figures += re.findall(r"\d+,\d{3} wrists", page_text("explanation/phantom.md"))
    assert len(figures) == 3
    assert all(figure.replace(" wrists", " phantom wrists") in card for figure in figures)


def section(page, heading):
    """Code words of a section of a page."""
    text = page_text(page)
    body = text[text.index(f"\n## {heading}\n") + 4 + len(heading) :].partition("\n## ")[0]
    return set(re.findall(r"`([^`\n]+)`", body))


def test_rows_and_jobs_have_the_columns_that_the_page_describes():
    rows, jobs = section("reference/files.md", "Per-case results"), section("reference/files.md", "`job.json`")
    for path in (DOCS / "demo" / "jobs").glob("*/*"):
        if path.suffix == ".csv":
            assert set(path.read_text(encoding="utf-8").partition("\n")[0].split(",")) <= rows, path
        else:
            assert set(json.loads(path.read_text(encoding="utf-8"))) <= jobs, path


def test_a_prediction_has_the_keys_that_the_page_describes():
    uncertainty = Uncertainty(5, np.ones(14, np.float32), np.zeros(6, np.float32))
    result = WristResult(
        Placement(Radiograph(np.zeros((9, 9), np.float32), spacing_mm=0.1, side="L")), np.ones((14, 9, 9), bool),
        np.ones(6, np.float32), np.ones(6, np.int64), np.ones((6, 4), np.float32), uncertainty=uncertainty,
    )  # fmt: skip
    record = result.to_dict()
    described = section("reference/files.md", "Predictions")
    assert {*record, *record["bones"][0], *record["joints"][0]} <= described


def test_the_configuration_page_names_every_key(hooks):
    def keys(cls, prefix=""):
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if dataclasses.is_dataclass(hints[field.name]):
                yield from keys(hints[field.name], f"{prefix}{field.name}.")
            else:
                yield f"{prefix}{field.name}"

    rows = re.findall(r"^\| `([\w.]+)` \| .+ \| .+ \| (.+) \|$", hooks["configuration"](), re.MULTILINE)
    texts = dict(rows)
    assert set(keys(RunConfig)) <= set(texts)
    assert all(text[0].isupper() and text.endswith((".", "`")) for text in texts.values()), texts


def test_the_command_page_names_every_argument(hooks):
    text = hooks["command_line"]()
    for words, parser, _ in hooks["commands"](hooks["build_parser"]()):
        section = text[text.index(f"## {' '.join(words)}\n") :]
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # not: renamed options
        for action in shown:
            assert all(f"`{option}`" in section for option in action.option_strings if option not in ("-h", "--help"))


def test_pages_that_do_not_exist_leave_the_navigation(hooks, tmp_path):
    (tmp_path / "a.md").touch()
    assert hooks["existing"]([{"A": "a.md"}, {"B": [{"C": "c.md"}, {"D": "a.md"}]}], tmp_path) == [
        {"A": "a.md"},
        {"B": [{"D": "a.md"}]},
    ]


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path / "site")))
    for page in PAGES:
        html = (tmp_path / "site" / page).with_suffix(".html").read_text(encoding="utf-8")
        assert "<!-- generated" not in html
        copied = [unescape(text) for text in re.findall(r'data-copy="([^"]*)"', html)]
        shown = [block for block in blocks(page_text(page)) if block.kind == "console"]
        assert copied == ["\n".join(command for command, _ in block.commands) for block in shown], page
    assert 'id="jointwrist.inference.predictor.Predictor"' in (tmp_path / "site/reference/python.html").read_text()


def test_files_that_reading_the_code_names_exist():
    text = (ROOT / "docs" / "explanation" / "reading-the-code.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+(?:\.\w+|/))`", text)
    assert len(named) > 40
    missing = [name for name in named if not any((folder / name).exists() for folder in (ROOT, ROOT / "jointwrist"))]
    assert missing == []
