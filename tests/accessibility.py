"""Faults of a page that axe-core finds; the package `axe-playwright-python` brings axe-core along."""

from __future__ import annotations

from importlib.resources import files

import pytest

#: Sizes of the window: a notebook, a tablet, a telephone.
WINDOWS = ((1280, 720), (768, 1024), (390, 844))
ASK = """axe.run({ resultTypes: ["violations"] }).then(found => found.violations.flatMap(rule => rule.nodes.map(
  node => [rule.impact, rule.id, node.target.join(" ")])))"""


def serious_faults(page):
    """Faults of the impact "serious" or "critical" in any of the windows, as width, impact, rule and place."""
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = []
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        rows = page.evaluate(ASK)
        found += [(width, *row) for row in rows if row[0] in ("serious", "critical")]
    return found


def overflow(page):
    """Pixels by which the page is wider than each window."""
    spilled = []
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        spilled.append(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
    return spilled
