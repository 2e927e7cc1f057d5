"""A viewer with three radiographs, and one who asks it."""

from __future__ import annotations

import pytest
from viewer_client import Client, serving
from viewer_page import PATIENCE, READY


@pytest.fixture(scope="session")
def wrists(dataset):
    """A left hand, and two radiographs of one patient's other hand."""
    left = [case.image for case in dataset.cases if case.side == "L"][:1]
    right = [case.image for case in dataset.cases if case.side == "R"][:2]
    return [*left, *right]


@pytest.fixture
def server(predictor, wrists):
    with serving(predictor, wrists) as server:
        yield server


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture(scope="module")
def page_server(browser, predictor, wrists):
    with serving(predictor, wrists) as server:
        yield server


@pytest.fixture
def page(browser, page_server):
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(PATIENCE)
    page.faults, page.asked = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: page.faults.append(message.text))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(page_server.url)
    page.wait_for_selector(READY.format("baseline"))
    yield page
    # Chromium itself reports refused requests
    faults = [fault for fault in page.faults if "Failed to load resource" not in fault]
    assert faults == []
    assert all(url.startswith((page_server.url, "data:")) for url in page.asked)
    page.close()
