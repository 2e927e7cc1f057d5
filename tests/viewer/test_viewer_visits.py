"""Two visits on the viewer's page in a browser, and the page at any width."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from accessibility import overflow, serious_faults
from viewer_page import READY, open_pair, settle, width_of

from jointwrist.anatomy import JOINTS
from jointwrist.inference.comparison import compare


def test_two_visits_stand_side_by_side_with_the_change(page, predictor, wrists):
    open_pair(page, 1, 2)
    page.wait_for_selector("#change:not(.hidden)")
    expected = compare(predictor(wrists[1]).single(), predictor(wrists[2]).single())
    rows = page.locator("#change table").first.locator("tbody tr")
    assert rows.count() == len(JOINTS)
    for index, row in enumerate(expected.joints()):
        cells = rows.nth(index).locator("td").all_text_contents()
        assert cells[1:3] == [row["baseline_score"] or "–", row["followup_score"] or "–"]
    assert page.locator(".stage.baseline .other path").count() == predictor(wrists[2]).single().found.sum()
    page.locator(".stage.baseline").hover()
    page.mouse.wheel(0, -300)
    settle(page)
    pixels = [predictor(path).single().radiograph.pixels.shape[1] for path in wrists[1:]]
    zooms = [width_of(page, role) / size for role, size in zip(("baseline", "followup"), pixels, strict=True)]
    assert zooms[1] / zooms[0] == pytest.approx(expected.registration.scale, rel=0.01)
    # the middle of one radiograph lies where the registration says that it does
    middles = []
    for role, size in zip(("baseline", "followup"), pixels, strict=True):
        stage, radiograph = (page.locator(f".stage.{role}{part}").bounding_box() for part in ("", " canvas"))
        middle = [stage[k] + stage[side] / 2 - radiograph[k] for k, side in (("x", "width"), ("y", "height"))]
        middles.append(np.array(middle) / radiograph["width"] * size - 0.5)
    np.testing.assert_allclose(expected.registration(middles[1][None])[0], middles[0], atol=0.5)
    page.locator("#linked").uncheck()
    alone = width_of(page, "followup")
    page.mouse.wheel(0, -300)
    settle(page)
    assert width_of(page, "followup") == alone
    page.locator("#radiographs .open").first.click()
    page.wait_for_selector(READY.format("baseline"))
    assert page.locator(".stage").count() == 1
    assert not page.locator("#change").is_visible()


def test_two_hands_are_no_two_visits(page):
    open_pair(page, 0, 1)
    page.wait_for_selector("#message:not(.hidden)")
    assert "left" in page.locator("#message").text_content()
    assert not page.locator("#change").is_visible()
    assert page.locator(".stage").count() == 2
    # two radiographs beside each other, but no change from one to the other
    assert all("→" not in text and "|" in text for text in page.locator(".joint .said").all_text_contents())


def test_two_visits_have_no_serious_faults_of_accessibility_at_any_width(page):
    open_pair(page, 1, 2)
    page.wait_for_selector("#change:not(.hidden)")
    assert overflow(page) == [0, 0, 0]
    assert serious_faults(page) == []


def test_numbers_do_not_overlap_in_a_narrow_window_with_two_visits(page):
    open_pair(page, 1, 2)
    page.wait_for_selector("#change:not(.hidden)")
    page.set_viewport_size({"width": 390, "height": 844})
    for _ in range(2):
        settle(page)
        for stage in page.locator(".stage").all():
            boxes = [number.bounding_box() for number in stage.locator(".number").all()]
            middles = [complex(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
            distances = [abs(one - other) for one, other in combinations(middles, 2)]
            assert len(boxes) > 2 and min(distances) >= 0.98 * boxes[0]["width"]
        page.locator("#farther").click()


def test_a_narrow_window_shows_the_film_and_its_warnings_without_scrolling(page):
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    for part in (".notice", ".stage"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844
    assert page.locator("#radiographs .compare").first.is_visible()
