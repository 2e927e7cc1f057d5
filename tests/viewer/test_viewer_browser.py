"""The viewer's page in a browser: what it draws, what its controls do, and how it takes radiographs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from viewer_client import LIMIT, dicom
from viewer_page import PATIENCE, READY, canvas, settle, slide

from jointwrist.anatomy import BONES, JOINTS
from jointwrist.data.images import read_image


def test_the_radiograph_is_shown_as_it_was_taken_with_what_was_found(page, predictor, wrists):
    result = predictor(wrists[0]).single()
    assert page.locator("#radiographs .open").all_text_contents() == [path.name for path in wrists]
    seen = canvas(page, ".stage canvas")
    np.testing.assert_allclose(seen[..., 0], np.round(read_image(wrists[0]) * 255), atol=1)
    assert (seen[..., 3] == 255).all()
    assert page.locator(".stage path.bone").count() == result.found.sum()
    assert page.locator(".stage .letter").text_content() == "L"
    texts = page.locator(".joint").all_text_contents()
    assert len(texts) == len(JOINTS)
    for joint, text in zip(JOINTS, texts, strict=True):
        assert joint.display in text
        if result.scored[joint.index]:
            assert f"{result.probabilities[joint.index]:.2f}" in text


def test_the_browser_is_led_to_the_page(browser, server):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.single_use_url())
    page.wait_for_url(server.url)
    page.close()


def test_warnings_are_seen_first(page, predictor):
    assert page.get_by_text("not a medical device").is_visible()
    assert page.get_by_text(predictor.history.warning).is_visible()


def test_bones_under_the_pointer_are_named(page, predictor, wrists):
    masks = predictor(wrists[0]).single().masks
    box = page.locator(".stage svg").bounding_box()
    scale = box["width"] / masks.shape[2]
    inner = masks[:, 2:-2, 2:-2].sum(0)
    for count in (1, 2):
        for y, x in np.argwhere(inner == count) + 2:
            window = masks[:, y - 2 : y + 3, x - 2 : x + 3].reshape(len(BONES), -1)
            if (window.all(1) == window.any(1)).all():  # far from every outline
                break
        else:
            pytest.fail("no place far from the outlines")
        page.mouse.move(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale)
        named = set(page.locator("#tip").text_content().split("\n"))
        # joint numbers may lie over it, but they are no bones
        assert named == {bone.display for bone in BONES if masks[bone.index, y, x]}
    page.mouse.move(5, 5)
    assert not page.locator("#tip").is_visible()


def test_bones_are_switched_one_by_one_and_all(page):
    scaphoid, lunate = (page.locator(f'path.bone[data-bone="{index}"]') for index in (6, 4))
    page.get_by_label("Scaphoid").and_(page.locator("input")).uncheck()
    assert not scaphoid.is_visible()
    assert lunate.is_visible()
    page.locator("#radiographs .open").nth(1).click()
    page.wait_for_selector(READY.format("baseline"))
    assert not scaphoid.is_visible()  # another radiograph keeps what was switched off
    assert page.eval_on_selector("#all", "e => e.indeterminate")
    page.locator("#all").check()
    assert scaphoid.is_visible()
    page.locator("#all").uncheck()
    assert page.locator("path.bone:visible").count() == 0
    page.locator("#all").check()
    page.locator('[data-toggle-layer="boxes"]').uncheck()
    assert page.locator(".number:visible").count() == 0
    assert lunate.is_visible()


def test_fill_and_outline_follow_their_sliders(page):
    slide(page, "fill", 70)
    slide(page, "outline", 30)
    style = page.eval_on_selector(
        "path.bone", "e => [getComputedStyle(e).fillOpacity, getComputedStyle(e).strokeOpacity]"
    )
    assert [float(value) for value in style] == [0.7, 0.3]


def test_window_and_level_are_linear(page, wrists):
    image = read_image(wrists[0])
    slide(page, "width", 40)
    slide(page, "level", 60)
    expected = np.clip((image - 0.4) / 0.4, 0, 1) * 255
    np.testing.assert_allclose(canvas(page, ".stage canvas")[..., 0], expected, atol=1)
    page.locator("#invert").check()
    settle(page)
    np.testing.assert_allclose(canvas(page, ".stage canvas")[..., 0], 255 - expected, atol=1)
    page.locator("#grey-reset").click()
    settle(page)
    np.testing.assert_allclose(canvas(page, ".stage canvas")[..., 0], image * 255, atol=1)


def test_wheel_zooms_about_the_pointer_and_dragging_moves(page):
    before = page.locator(".stage canvas").bounding_box()
    x, y = before["x"] + 0.3 * before["width"], before["y"] + 0.6 * before["height"]
    page.mouse.move(x, y)
    page.mouse.wheel(0, -500)
    page.wait_for_function(f"document.querySelector('.stage canvas').getBoundingClientRect().width > {before['width']}")
    after = page.locator(".stage canvas").bounding_box()
    assert after["width"] == pytest.approx(math.e * before["width"], rel=0.01)
    assert (x - after["x"]) / after["width"] == pytest.approx(0.3, abs=0.005)
    assert (y - after["y"]) / after["height"] == pytest.approx(0.6, abs=0.005)
    assert page.locator(".stage svg").bounding_box() == after
    page.mouse.down()
    page.mouse.move(x + 40, y - 25, steps=4)
    page.mouse.up()
    moved = page.locator(".stage canvas").bounding_box()
    assert (moved["x"] - after["x"], moved["y"] - after["y"]) == pytest.approx((40, -25), abs=1)
    page.locator("#fit").click()
    assert page.locator(".stage canvas").bounding_box() == pytest.approx(before, abs=1)


def test_numbers_stand_off_the_bones_with_lines_to_their_joints(page, predictor, wrists):
    result = predictor(wrists[0]).single()
    radiograph = page.locator(".stage canvas").bounding_box()
    scale = radiograph["width"] / result.masks.shape[2]
    for number in page.locator(".number").all():
        box = number.bounding_box()
        x, y = (
            (box[start] + box[side] / 2 - radiograph[start]) / scale
            for start, side in (("x", "width"), ("y", "height"))
        )
        assert not result.masks[:, int(y), int(x)].any()
    assert page.locator(".leader").count() == page.locator(".number").count() == (result.scored | result.withheld).sum()


def test_a_number_stays_in_sight_while_its_joint_is(page):
    page.locator(".joint").nth(3).click()
    for _ in range(4):
        page.locator("#closer").click()
    stage, number = (page.locator(name).bounding_box() for name in (".stage", '.number[data-joint="3"]'))
    tip = page.eval_on_selector(
        '.leader[data-joint="3"]',
        """e => { const [x, y] = e.getAttribute("d").split("L")[1].split(" ").map(Number);
                  const at = new DOMPoint(x, y).matrixTransform(e.getScreenCTM()); return [at.x, at.y] }""",
    )
    seen = all(
        stage[k] <= value <= stage[k] + stage[s] for k, s, value in zip("xy", ("width", "height"), tip, strict=True)
    )
    if seen:
        for start, side in (("x", "width"), ("y", "height")):
            assert stage[start] <= number[start] and number[start] + number[side] <= stage[start] + stage[side]


def test_the_map_of_a_joint_is_shown_large_on_the_radiograph_until_it_is_left(page):
    joint = page.locator(".joint .title").nth(2)
    joint.press("Enter")
    image, box = (page.locator(name).bounding_box() for name in (".stage image.map", '.box[data-joint="2"]'))
    assert image["width"] == pytest.approx(box["width"], abs=3)
    assert image["x"] == pytest.approx(box["x"], abs=3)
    page.locator("#heat").select_option("none")
    settle(page)
    assert not page.locator(".stage image.map").is_visible()
    page.locator("#heat").select_option("eroded")
    settle(page)
    assert page.locator(".stage image.map").is_visible()
    page.locator(".joint .title").nth(2).press("Enter")
    assert not page.locator(".stage image.map").is_visible()


def test_keys_move_and_zoom_the_film(page):
    page.locator(".stage").focus()
    before = page.locator(".stage canvas").bounding_box()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    after, stage = page.locator(".stage canvas").bounding_box(), page.locator(".stage").bounding_box()
    assert after["width"] == pytest.approx(1.25 * before["width"], rel=0.01)
    assert after["x"] + after["width"] / 2 == pytest.approx(stage["x"] + 0.6 * stage["width"], abs=2)
    page.keyboard.press("0")
    assert page.locator(".stage canvas").bounding_box() == pytest.approx(before, abs=1)


def test_two_fingers_zoom_the_film(page):
    before = page.locator(".stage canvas").bounding_box()
    page.evaluate(
        """() => {
          const stage = document.querySelector(".stage");
          const corner = stage.getBoundingClientRect();
          stage.setPointerCapture = () => {};  // these pointers are not the browser's own
          const send = (kind, id, x) => stage.dispatchEvent(new PointerEvent(kind,
            { pointerId: id, clientX: corner.x + x, clientY: corner.y + 100, bubbles: true }));
          send("pointerdown", 1, 100);
          send("pointerdown", 2, 200);
          send("pointermove", 1, 50);
          send("pointermove", 2, 250);
          send("pointerup", 1, 50);
          send("pointerup", 2, 250);
        }"""
    )
    after, stage = page.locator(".stage canvas").bounding_box(), page.locator(".stage").bounding_box()
    assert after["width"] == pytest.approx(2 * before["width"], rel=0.01)
    # what lay between the fingers lies there still
    shares = [(stage["x"] + 150 - box["x"]) / box["width"] for box in (before, after)]
    assert shares[0] == pytest.approx(shares[1], abs=0.005)


def test_a_joint_is_looked_at_from_its_card(page):
    page.locator(".joint").nth(3).click()
    stage, box = (page.locator(name).bounding_box() for name in (".stage", '.box[data-joint="3"]'))
    for start, length in (("x", "width"), ("y", "height")):
        assert box[start] + box[length] / 2 == pytest.approx(stage[start] + stage[length] / 2, abs=3)
    assert "lit" in page.locator(".joint").nth(3).get_attribute("class")


def test_crops_show_radiograph_and_map(page, predictor, wrists):
    result = predictor(wrists[0]).single()
    logits = result.heat_maps[2].ravel().astype(float).tolist()
    for kind, expected in (
        ("attention", np.exp(logits) / np.exp(logits).sum()),
        ("eroded", 1 / (1 + np.exp(-np.array(logits)))),
    ):
        script = f"async () => (await import('./joints.js')).weights({json.dumps(logits)}, '{kind}')"
        weights = np.array(page.evaluate(script))
        if kind == "attention":
            weights = weights / weights.sum()
        np.testing.assert_allclose(weights, expected, rtol=1e-6)
    looked = canvas(page, ".joint:nth-child(3) canvas").astype(float)
    page.locator("#heat").select_option("none")
    settle(page)
    alone = canvas(page, ".joint:nth-child(3) canvas").astype(float)
    assert (alone[..., 0] == alone[..., 2]).all()  # grey
    # the strongest colour lies where the map is highest
    colour = looked[..., 0] - looked[..., 2]
    place = np.unravel_index(colour.argmax(), colour.shape)
    side = result.heat_maps.shape[-1]
    highest = np.unravel_index(result.heat_maps[2].argmax(), (side, side))
    np.testing.assert_allclose(np.array(place) / len(colour), (np.array(highest) + 0.5) / side, atol=2 / side)


def drop(page, name, data):
    script = """([name, data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(data)], name));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(script, [name, list(data)])


def test_a_dropped_radiograph_is_opened(page, wrists):
    drop(page, "dropped.dcm", dicom(read_image(wrists[1]), ImageLaterality="R", PixelSpacing=[0.5, 0.5]))
    page.wait_for_selector(".stage figcaption:has-text('dropped.dcm')")
    assert page.locator("#radiographs .open").last.text_content() == "dropped.dcm"
    assert "mm" in page.locator(".ruler").text_content()
    assert page.get_by_role("button", name="left").is_disabled()
    row = page.locator("#radiographs li").last
    row.hover()
    row.locator(".remove").click()
    page.wait_for_selector(".stage", state="detached")
    assert page.locator("#radiographs li").count() == 3


def test_another_hand_can_be_chosen_than_the_bones_tell(page, wrists):
    name = "<img src=x onerror=alert(1)>.png"
    page.locator("#files").set_input_files({"name": name, "mimeType": "image/png", "buffer": wrists[0].read_bytes()})
    page.wait_for_selector(".stage figcaption:has-text('onerror')")
    assert page.locator("#radiographs .open").last.text_content() == name
    assert page.locator("img").count() == 0
    assert page.locator(".stage .letter").text_content() == "L"
    page.get_by_role("button", name="right").click()
    page.wait_for_selector(".stage .letter:text-is('R')")


def test_bad_and_large_files_are_named_and_the_page_goes_on(page, wrists):
    drop(page, "torn.png", wrists[0].read_bytes()[:900])
    page.wait_for_selector("#message:not(.hidden)")
    assert page.locator("#message").text_content().startswith("torn.png: ")
    drop(page, "large.png", bytes(LIMIT + 1))
    page.wait_for_selector("#message:has-text('large.png')")
    assert "--max-upload" in page.locator("#message").text_content()
    assert not any("large.png" in url for url in page.asked)
    page.locator("#radiographs .open").nth(1).click()
    page.wait_for_selector(f".stage figcaption:has-text('{Path(wrists[1]).name}')")
    assert not page.locator("#message").is_visible()
