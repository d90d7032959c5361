"""What a session leaves when it ends: each entry is stored once, or counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.collectors.collector import Collector
from pipeline.entry import LEVEL_NAMES
from pipeline.store.producers import Account, Question, read_ledger
from tests.running import RunningIngester

Make = Callable[..., Collector]
LEVELS = ("DEBUG", "INFO", "INFO", "WARN", "ERROR")


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

    def collect(source: str = "app", **options: Any) -> Collector:
        options = {
            "acknowledge_endpoint": away.publish,
            "spool_dir": tmp_path / "spool",
        } | options
        made.append(Collector(away.ingest, source, **options))
        return made[-1]

    yield collect
    for collector in made:
        collector.close(0)


def numbered(log: Collector, first: int, end: int) -> None:
    """Log entries of several levels that can be told apart."""
    for number in range(first, end):
        log.log(LEVELS[number % 5], f"{number} " + "x" * 150, {"n": number})


def stored(running: RunningIngester) -> list[int]:
    """Their numbers, as they are stored."""
    return [(row.metadata or {})["n"] for row in running.entries("app")]


def adopt(make: Make, spools: int = 1) -> dict[str, Any]:
    """Start a session that sends what was left; its counters when it has."""
    log = make("next")
    log.log("INFO", "next")
    assert log.flush(20)
    end = time.monotonic() + 20
    while log.stats()["adopted_spools"] < spools:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert log.close(20)
    return log.stats()


def account(running: RunningIngester) -> Account:
    """Of the session that has left."""
    accounts = read_ledger(running.database, Question(10)).producers
    (found,) = (each for each in accounts if each.source == "app")
    return found


def finished(running: RunningIngester) -> Account:
    """The same, once its FIN is there."""
    end = time.monotonic() + 10
    while not (found := account(running)).finished:
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def counted(*reasons: dict[str, dict[str, int]]) -> Counter[str]:
    """Entries by level."""
    found: Counter[str] = Counter()
    for levels in (levels for reason in reasons for levels in reason.values()):
        found.update(levels)
    return found


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
@pytest.mark.parametrize("mode", ["overflow", "always"])
@pytest.mark.parametrize("meets", [False, True])
def test_what_is_left_is_stored_or_counted(
    away: RunningIngester, make: Make, mode: str, policy: str, meets: bool
) -> None:
    """Memory and spool are full as it ends; by level, to the entry."""
    logged, wait = 8000, 200 if policy == "drop_oldest" else 0
    small = {"memory_bytes": 1 << 20, "spool_bytes": 1 << 19, "compression": "none"}
    log = make(spool=mode, policy=policy, block_ms=wait, **small)
    if meets:
        away.start()
        numbered(log, 0, 50)
        assert log.flush(20)
        away.stop()
    numbered(log, 50 if meets else 0, logged)
    assert not log.close(0.3)
    stats = log.stats()
    durable = 50 if meets else 0

    away.start()
    adopted = adopt(make)["adopted_rows"]

    numbers = stored(away)
    gone = counted(stats["dropped"], stats["lost"])
    assert len(numbers) == len(set(numbers)) == durable + stats["spooled"]
    assert adopted == stats["spooled"] > 0
    levels = Counter(LEVELS[number % 5] for number in range(logged))
    levels.subtract(LEVELS[number % 5] for number in numbers)
    assert gone == +levels
    assert stats["waiting"] == stats["spooled"]
    lost = counted(stats["lost"]).total()
    assert stats["settled"] == durable + lost
    found = finished(away)
    assert (found.stored, found.lost) == (len(numbers), lost)
    assert found.dropped == counted(stats["dropped"]).total()
    assert set(gone) <= set(LEVEL_NAMES.values())


def test_who_leaves_something_has_not_finished(
    away: RunningIngester, make: Make, tmp_path: Path
) -> None:
    """Not even where all of it came: its files are still there, and are sent again."""
    away.start()
    log = make(spool="always")
    numbered(log, 0, 10)
    assert log.flush(20)
    away.pause()
    numbered(log, 10, 300)
    assert not log.close(0.5)
    assert log.stats()["spooled"] == 290
    away.resume()
    end = time.monotonic() + 20
    while len(stored(away)) < 300:
        assert time.monotonic() < end
        time.sleep(0.05)

    assert not account(away).finished
    adopt(make)

    assert Counter(stored(away)) == Counter(range(300))
    finished(away)
    assert not list((tmp_path / "spool").rglob("*.*"))


def test_what_was_acknowledged_is_not_sent_to_who_has_forgotten_it(
    away: RunningIngester, make: Make
) -> None:
    """The lock file says where to go on."""
    away.start()
    log = make(spool="always")
    numbered(log, 0, 100)
    assert log.flush(20)
    away.stop()
    numbered(log, 100, 300)
    assert not log.close(0.1)
    assert log.stats()["spooled"] == 200

    for path in away.database.parent.glob(f"{away.database.name}*"):
        path.unlink()
    away.start()
    assert adopt(make)["adopted_rows"] == 200

    assert stored(away) == list(range(100, 300))
    assert account(away).lost == 100
