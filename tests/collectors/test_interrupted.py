"""Calls of many threads and of signals' handlers: each is stored once, or counted."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pipeline.collectors.collector import Collector
from tests.interrupting import TimeLimitError, at_point, interrupted
from tests.running import RunningIngester
from tests.wire.messages import entry

Make = Callable[..., Collector]


@pytest.fixture
def away(tmp_path: Path) -> Iterator[RunningIngester]:
    """An ingester that a test starts."""
    running = RunningIngester(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def make(away: RunningIngester, tmp_path: Path) -> Iterator[Make]:
    """Makes collectors, which are closed after the test."""
    made: list[Collector] = []

    def collect(**options: Any) -> Collector:
        options = {
            "acknowledge_endpoint": away.publish,
            "spool_dir": tmp_path / "spool",
        } | options
        made.append(Collector(away.ingest, "app", **options))
        return made[-1]

    yield collect
    for collector in made:
        collector.close(0)


@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_each_call_that_returned_is_on_disk_or_counted(make: Make, policy: str) -> None:
    """Threads that come while one of them waits for room wait, too."""
    small = {"memory_bytes": 1 << 20, "spool_bytes": 1 << 20, "block_ms": 5}
    log = make(spool="always", policy=policy, **small)
    returned: list[int] = []

    def work(calls: int) -> None:
        for _ in range(calls):
            log.log("INFO", "x" * 200)
            returned.append(1)

    threads = [threading.Thread(target=work, args=(2000,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while not log._outbox.pressed and time.monotonic() < end:
        time.sleep(0.01)
    late = threading.Thread(target=work, args=(1,))
    late.start()
    late.join(0.2)
    known = len(returned)
    before = log.stats()
    counted = sum(sum(levels.values()) for levels in before["dropped"].values())
    assert known <= before["logged"] + counted
    if policy == "drop_oldest":
        for thread in threads:
            thread.join()
    log.close(0)
    for thread in (*threads, late):
        thread.join()

    stats = log.stats()
    dropped, lost = (
        sum(sum(levels.values()) for levels in stats[name].values())
        for name in ("dropped", "lost")
    )
    assert stats["logged"] + dropped == len(returned) == 8001
    assert stats["spooled"] == stats["logged"] - lost > 0


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_a_signal_s_handler_may_log(
    away: RunningIngester, make: Make, mode: str
) -> None:
    """In the middle of any call: of `log`, of `submit`."""
    log = make(spool=mode, batch_rows=50)
    away.start()
    called = logged = submitted = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal logged
        log.log("WARN", "from a handler")
        logged += 1
        # Not at an interval: a handler within a handler would miscount.
        if logged < 200:
            signal.setitimer(signal.ITIMER_REAL, 0.0007)

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        while logged < 200:
            log.log("INFO", "called")
            called += 1
            if logged % 10:
                continue
            submitted += log.submit([entry("submitted", source="app")])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert log.flush(60), log.stats()

    found = Counter(row.message for row in away.entries("app"))
    assert found["called"] == called
    assert found["from a handler"] == logged
    assert found["submitted"] == submitted
    assert found.total() == log.stats()["logged"]


@pytest.mark.parametrize("raises", [False, True])
def test_one_thread_sends_wherever_the_first_call_is_interrupted(
    away: RunningIngester, make: Make, raises: bool
) -> None:
    """By a handler that logs, or by one that also raises."""
    away.start()
    before = set(threading.enumerate())
    number, passed = 0, [""]
    while len(passed) >= number:
        number += 1
        log = make()

        def handle(log: Collector = log, number: int = number) -> None:
            log.log("WARN", f"handler {number}")
            if raises:
                raise TimeLimitError

        with at_point(number, handle) as passed, suppress(TimeLimitError):
            log.log("INFO", f"called {number}")
        log.log("INFO", f"later {number}")
        assert len(set(threading.enumerate()) - before) == 1, passed[-1]
        assert log.close(20), log.stats()
        assert log.stats()["sender_errors"] == 0, passed[-1]

    found = Counter(row.message for row in away.entries("app"))
    expected = {f"later {each}" for each in range(1, number + 1)}
    expected |= {f"handler {each}" for each in range(1, number)}
    assert number > 20
    assert set(found.values()) == {1}
    assert expected <= set(found)
    assert raises or len(found) == 3 * number - 1


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_a_handler_s_exception_ends_one_call_only(
    away: RunningIngester, make: Make, mode: str
) -> None:
    """Wherever it comes: what returned is stored once, and later calls go on."""
    log = make(spool=mode, batch_rows=20, policy="block")
    log.log("INFO", "warm")
    away.start()
    assert log.flush(60), log.stats()
    limits = number = 0
    returned: set[str] = set()
    with interrupted():
        while limits < 500:
            number += 1
            try:
                log.log("INFO", str(number))
                returned.add(str(number))
            except TimeLimitError:
                limits += 1
    log.log("INFO", "last")
    assert log.flush(60), log.stats()
    assert log.close(20)

    found = Counter(row.message for row in away.entries("app"))
    assert set(found.values()) == {1}
    assert returned <= set(found)
    assert log.stats()["waiting"] == 0
