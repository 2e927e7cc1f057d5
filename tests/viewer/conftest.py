"""A viewer with three radiographs, and one who asks it."""

from __future__ import annotations

import pytest
from viewer_client import Client, serving
from viewer_page import READY


@pytest.fixture(scope="session")
def wrists(dataset):
    """A left hand, and two radiographs of one patient's other hand."""
    left = [case.image for case in dataset.cases if case.side == "L"][:1]
    right = [case.image for case in dataset.cases if case.side == "R"][:2]
    return [*left, *right]


@pytest.fixture(autouse=True, scope="module")
def look_once(segmented_once):
    """Most tests open the same radiographs."""


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
def page(tab, page_server):
    """The viewer's page, loaded anew."""
    tab.set_viewport_size({"width": 1300, "height": 900})
    tab.goto(page_server.url)
    tab.wait_for_selector(READY.format("baseline"))
    yield tab
    # Chromium itself reports refused requests
    faults = [fault for fault in tab.faults if "Failed to load resource" not in fault]
    assert faults == []
    assert all(url.startswith((page_server.url, "data:")) for url in tab.asked)
