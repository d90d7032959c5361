"""One pipeline for all tests that don't stop or overload it."""

from __future__ import annotations

import itertools

import pytest

from tests.end_to_end.running import running


@pytest.fixture(scope="session")
def pipeline():
    """A running pipeline; tests keep apart by the sources that they use."""
    with running() as started:
        yield started


_numbers = itertools.count(1)


@pytest.fixture
def source():
    """A source that no other test uses."""
    return f"source-{next(_numbers)}"
