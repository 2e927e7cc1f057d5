"""What the tests of the viewer's page in a browser do with it."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
from PIL import Image

#: Milliseconds for what a busy machine takes longer for.
PATIENCE = 120_000
READY = ".stage.{}:not(.busy)"


def canvas(page, selector):
    """Pixels of a canvas as (H, W, 4)."""
    address = page.eval_on_selector(selector, "canvas => canvas.toDataURL()")
    return np.asarray(Image.open(BytesIO(b64decode(address.split(",")[1]))).convert("RGBA"))


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def width_of(page, role):
    return page.locator(f".stage.{role} canvas").bounding_box()["width"]


def slide(page, name, value):
    page.eval_on_selector(f"#{name}", "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')) }", value)
    settle(page)


def open_pair(page, first, second):
    rows = page.locator("#radiographs li")
    rows.nth(first).locator(".open").click()
    page.wait_for_selector(READY.format("baseline"))
    rows.nth(second).hover()
    rows.nth(second).locator(".compare").click()
    page.wait_for_selector(READY.format("followup"))
