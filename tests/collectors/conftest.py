"""A real ingester for each file, and a Collector for each test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.collectors.collector import Collector
from pipeline.collectors.tail import followed, streams, tailer
from pipeline.entry import Entry
from tests.collectors.following import Following
from tests.running import RunningIngester


@pytest.fixture(scope="module")
def ingester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One for all tests of a file; each has a source of its own."""
    running = RunningIngester(tmp_path_factory.mktemp("i"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def collector(
    ingester: RunningIngester, request: pytest.FixtureRequest
) -> Iterator[Collector]:
    """One whose source is the test's name."""
    endpoints = {"acknowledge_endpoint": ingester.publish}
    with Collector(ingester.ingest, request.node.name, **endpoints) as log:
        yield log


@pytest.fixture
def logged(
    ingester: RunningIngester, collector: Collector
) -> Callable[[], list[Entry]]:
    """What the test has logged through it, in order, as it is stored."""

    def entries() -> list[Entry]:
        assert collector.flush()
        return ingester.entries(collector.source)

    return entries


@pytest.fixture
def follow(
    ingester: RunningIngester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Following]:
    """A file with a name of its own, and a pace that tests can wait for."""
    monkeypatch.setattr(tailer, "SCAN_SECONDS", 0.05)
    monkeypatch.setattr(tailer, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(tailer, "OPEN_SECONDS", 0.1)
    monkeypatch.setattr(followed, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(streams, "REST_SECONDS", 0.3)
    following = Following(ingester, tmp_path / f"{tmp_path.name}.log")
    yield following
    following.stop()
