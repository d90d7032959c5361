"""What no sender expects: no descriptors, no memory, no folder, an event loop."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.collectors import collector
from pipeline.collectors.collector import Collector
from pipeline.errors import ConfigError
from tests.running import RunningIngester

Make = Callable[..., Collector]


@pytest.fixture
def make(ingester: RunningIngester, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes collectors whose source is the test's name."""
    made: list[Collector] = []

    def collect(**options: Any) -> Collector:
        options = {"acknowledge_endpoint": ingester.publish, "spool": "off"} | options
        made.append(Collector(ingester.ingest, request.node.name, **options))
        return made[-1]

    yield collect
    for log in made:
        log.close(0)


def test_a_thread_that_can_not_start_is_started_by_a_later_call(
    ingester: RunningIngester, make: Make
) -> None:
    """No call raises because the program has too many files open."""
    log = make()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        log.log("INFO", "first")
        log.log("INFO", "second")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert log.stats()["sender_errors"] == 2
    assert "Too many open files" in log.stats()["last_error"]
    log.log("INFO", "third")

    assert log.flush(20)
    messages = [row.message for row in ingester.entries(log.source)]
    assert messages == ["first", "second", "third"]


def test_an_unexpected_error_does_not_end_the_thread(
    ingester: RunningIngester, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, and what was to be sent is."""
    compress, left = collector.compress, 5

    def short_of_memory(payload: bytes) -> bytes:
        nonlocal left
        left -= 1
        if left > 0:
            raise MemoryError
        return compress(payload)

    monkeypatch.setattr(collector, "compress", short_of_memory)
    log = make(policy="block")
    for number in range(10):
        log.log("INFO", str(number))

    assert log.flush(20)
    assert [row.message for row in ingester.entries(log.source)] == [
        str(number) for number in range(10)
    ]
    assert log.stats()["sender_errors"] >= 1


def test_a_burst_in_an_event_loop_waits_for_the_sender(
    ingester: RunningIngester, make: Make
) -> None:
    """It is only slower than the calls; nothing is given up for that."""
    log = make(memory_bytes=1 << 20, block_ms=2000)

    async def burst() -> None:
        for number in range(20_000):
            log.log("INFO", "x" * 200, {"n": number})

    asyncio.run(burst())

    assert log.flush(20)
    assert log.stats()["dropped"] == {}
    assert len(ingester.entries(log.source)) == 20_000


def test_always_needs_a_folder_from_the_start(make: Make, tmp_path: Path) -> None:
    """It is a promise; who has none there is told at once."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"spool_dir.*Not a directory"):
        make(spool="always", spool_dir=tmp_path / "file")


def test_two_that_flush_are_both_told_of_a_drop(tmp_path: Path) -> None:
    """Not only the one that is the first to be answered."""
    away = RunningIngester(tmp_path)
    options = {"memory_bytes": 64 << 10, "block_ms": 0, "spool": "off"}
    with Collector(away.ingest, acknowledge_endpoint=away.publish, **options) as log:  # type: ignore[arg-type]
        while not log.stats()["dropped"]:
            log.log("INFO", "x" * 10_000)
        answers: list[bool] = []
        threads = [
            threading.Thread(target=lambda: answers.append(log.flush(20)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        away.start()
        for thread in threads:
            thread.join()
        assert answers == [False, False]
        assert log.flush(20)
    away.stop()


def test_what_was_closed_upon_does_not_wait_as_well(tmp_path: Path) -> None:
    """Each entry is in one place of the counters."""
    away = RunningIngester(tmp_path)
    log = Collector(away.ingest, acknowledge_endpoint=away.publish, spool="off")
    log.log("INFO", "never sent")
    assert not log.close(0.05)
    assert not log.close()

    stats = log.stats()
    assert stats["dropped"] == {"closed": {"INFO": 1}}
    assert (stats["logged"], stats["waiting"]) == (0, 0)
