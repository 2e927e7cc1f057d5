"""A viewer with three radiographs, and one who asks it."""

from __future__ import annotations

import pytest
from viewer_client import Client, serving


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
