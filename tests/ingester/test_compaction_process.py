"""A compaction worker's process, among as many connections as an ingester may hold."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pipeline.ingester.compaction.process import WorkerProcess

SELECTED = 1024
"""Descriptors from this one on are none for select(2)."""


@pytest.fixture
def crowd() -> Iterator[None]:
    """So many descriptors that the next ones have larger numbers."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * SELECTED, before[1]))
    held = [os.open(os.devnull, os.O_RDONLY)]
    while held[-1] < SELECTED:
        held.append(os.dup(held[0]))
    yield
    for descriptor in held:
        with suppress(OSError):
            os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("crowd")
def test_a_worker_ends_among_a_thousand_connections() -> None:
    """Its pipes have numbers that no connection left free."""
    worker = WorkerProcess(os.environ)
    assert worker.fileno() >= SELECTED

    worker.kill()

    assert worker.end() < 0
