"""The Collector against a real ingester: what `flush` promised is stored, once."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.collectors.collector import Collector
from pipeline.entry import entry_from_map
from pipeline.errors import EntryError, PipelineError
from pipeline.limits import BATCH_ROWS, MESSAGE_BYTES
from tests.running import RunningIngester
from tests.wire.messages import entry

Make = Callable[..., Collector]


@pytest.fixture(scope="module")
def ingester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One for all tests of this file; each has a source of its own."""
    running = RunningIngester(tmp_path_factory.mktemp("i"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that a test starts, or never does."""
    running = RunningIngester(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes collectors, which are closed after the test."""
    made: list[Collector] = []

    def collect(running: RunningIngester, **options: Any) -> Collector:
        options = {"acknowledge_endpoint": running.publish, **options}
        made.append(Collector(running.ingest, request.node.name, **options))
        return made[-1]

    yield collect
    for collector in made:
        collector.close(0)


def test_what_flush_promised_is_stored(ingester: RunningIngester, make: Make) -> None:
    """All fields, as they were logged."""
    log = make(ingester)
    now = 1_700_000_000_123_456_789
    log.log("warning", "message", {"a": 1, "b": [None]}, ["t"], "id", now, "other")
    log.log("INFO", "plain")

    assert log.flush()

    first, second = ingester.entries("other") + ingester.entries(log.source)
    assert first == (now, "other", 13, "message", {"a": 1, "b": [None]}, ["t"], "id")
    assert second[1:] == (log.source, 9, "plain", {}, [], None)


def test_flush_is_false_while_the_ingester_is_away(
    away: RunningIngester, make: Make
) -> None:
    """And true after it came: nothing was given up."""
    log = make(away)
    log.log("INFO", "early")
    assert not log.flush(0.05)
    assert log.stats()["waiting"] == 1

    away.start()

    assert log.flush(10)
    assert [row.message for row in away.entries()] == ["early"]


def test_entries_survive_a_restart_of_the_ingester(
    away: RunningIngester, make: Make
) -> None:
    """Numbers go on where they were; each entry is there once."""
    log = make(away)
    away.start()
    for part in range(3):
        for number in range(500):
            log.log("INFO", f"{part}.{number}")
        assert log.flush(10)
        away.stop()
        log.log("INFO", f"{part}.between")
        away.start()
    assert log.flush(10)

    found = Counter(row.message for row in away.entries())
    assert len(found) == 1503
    assert set(found.values()) == {1}


def test_memory_is_bounded_and_drops_are_counted(
    away: RunningIngester, make: Make
) -> None:
    """By reason and level; what was kept is delivered, and flush says so."""
    options = {"block_ms": 0, "policy": "drop_newest", "spool": "off"}
    log = make(away, memory_bytes=64 << 10, **options)
    for number in range(2000):
        log.log("ERROR" if number % 2 else "INFO", "x" * 100, {"number": number})
    stats = log.stats()
    dropped = stats["dropped"]["full"]
    assert stats["logged"] + sum(dropped.values()) == 2000
    assert dropped["ERROR"] > 200 < dropped["INFO"]
    assert stats["held_bytes"] <= 2 * (64 << 10)

    away.start()

    assert not log.flush(10)
    assert log.flush(10)
    assert len(away.entries()) == stats["logged"]


def test_blocking_loses_nothing(ingester: RunningIngester, make: Make) -> None:
    """A call waits as long as it takes."""
    log = make(ingester, memory_bytes=64 << 10, policy="block", spool="off")
    for number in range(5000):
        log.log("INFO", "x" * 100, {"number": number})

    assert log.flush(10)

    found = [row.metadata for row in ingester.entries(log.source)]
    assert found == [{"number": number} for number in range(5000)]
    assert log.stats()["dropped"] == {}


def test_a_call_that_waits_is_released_by_close(
    away: RunningIngester, make: Make
) -> None:
    """What it could not hand over is counted."""
    log = make(away, memory_bytes=64 << 10, policy="block", spool="off")

    def fill() -> None:
        while not log.stats()["dropped"]:
            log.log("INFO", "x" * 10_000)

    thread = threading.Thread(target=fill)
    thread.start()
    assert not log.close(0.2)
    thread.join(10)

    assert log.stats()["dropped"]["closed"]["INFO"] > 1


def test_threads_share_one_collector(ingester: RunningIngester, make: Make) -> None:
    """Each entry once, each thread's in its order."""
    log = make(ingester)

    def work(name: int) -> None:
        for number in range(1000):
            log.log("INFO", str(number), {"thread": name})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush(10)

    found = ingester.entries(log.source)
    assert len(found) == 8000
    for name in range(8):
        mine = [row.message for row in found if row.metadata == {"thread": name}]
        assert mine == [str(number) for number in range(1000)]


class Odd:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_what_can_not_be_stored_costs_only_itself(
    ingester: RunningIngester, make: Make
) -> None:
    """Refused with its reason; the neighbours in the same batch are kept."""
    errors: list[str] = []
    log = make(ingester, on_error=errors.append, memory_bytes=64 << 20)
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    log.log("INFO", "first")
    log.log("INFO", "x" * (MESSAGE_BYTES + 1))
    log.log("INFO", "odd", {"x": Odd()})
    log.log("INFO", "deep", {"x": deep})
    log.log("INFO", "tag", tags=["t" * 257])
    log.log("INFO", "much", {f"k{key}": "x" * 200_000 for key in range(100)})
    log.log("INFO", "last")

    assert not log.flush(10)

    stats = log.stats()
    assert stats["rejected"] == {"message": 1, "entry": 1, "metadata": 2, "tags": 1}
    assert [row.message for row in ingester.entries(log.source)] == ["first", "last"]
    assert "1,048,577 bytes" in errors[0]
    assert stats["last_error"] == errors[-1]
    assert log.flush(10)


def test_text_and_objects_that_nothing_holds_are_kept_as_text(
    ingester: RunningIngester, make: Make
) -> None:
    """A lone surrogate as its escape, an object as its `str`, a huge number too."""
    log = make(ingester)
    identity = uuid.uuid4()
    values = {"id": identity, "path": Path("/x"), "set": {1}, "huge": 2**70, 5: "key"}
    log.log("INFO", "a\ud800b\udcff", {**values, "s": "\udc80"}, tags=("\ud800",))  # type: ignore[dict-item]

    assert log.flush()

    (found,) = ingester.entries(log.source)
    assert (found.message, found.tags) == ("a\\ud800b\\udcff", ["\\ud800"])
    assert found.metadata == {
        "id": str(identity),
        "path": "/x",
        "set": "{1}",
        "huge": str(2**70),
        "5": "key",
        "s": "\\udc80",
    }


def test_an_unknown_level_is_kept_as_text(
    ingester: RunningIngester, make: Make
) -> None:
    """Stored as INFO and counted."""
    log = make(ingester)
    log.log("chatty", "m", {"a": 1})
    assert log.flush()

    (found,) = ingester.entries(log.source)
    assert (found.level, found.metadata) == (9, {"level_text": "chatty", "a": 1})
    assert log.stats()["unknown_levels"] == 1


def test_unknown_levels_of_checked_entries_are_counted(
    ingester: RunningIngester, make: Make
) -> None:
    """Calls of the gateway and lines of `pipeline send` come this way."""
    log = make(ingester)
    maps = [{"message": "m", "level": level} for level in ("chatty", "INFO", 99)]

    assert log.submit([entry_from_map(fields, 0, "checked") for fields in maps])
    assert log.flush()
    assert log.stats()["unknown_levels"] == 2


def test_batches_too_large_for_a_frame_are_split(
    ingester: RunningIngester, make: Make
) -> None:
    """Metadata is not counted before it is encoded: 24 MiB came as one batch."""
    log = make(ingester, memory_bytes=64 << 20, linger_ms=1000)
    for number in range(120):
        log.log("INFO", str(number), {"x": "y" * 200_000})

    assert log.flush(20)

    messages = [row.message for row in ingester.entries(log.source)]
    assert messages == [str(number) for number in range(120)]


def test_zstd_arrives_as_well(ingester: RunningIngester, make: Make) -> None:
    """As for an ingester that is far away."""
    log = make(ingester, compression="zstd")
    for number in range(100):
        log.log("INFO", str(number))
    assert log.flush()

    assert len(ingester.entries(log.source)) == 100


def test_submit_calls_back_with_the_numbers(
    ingester: RunningIngester, make: Make
) -> None:
    """When they are durable; what the callback raises ends nothing."""
    log = make(ingester)
    calls: list[tuple[bytes, int, int]] = []

    def done(producer: bytes, first: int, count: int) -> None:
        calls.append((producer, first, count))
        raise RuntimeError("not ours")

    for _ in range(2):
        log.log("INFO", "between")
        assert log.submit([entry(source=log.source)] * 3, done)
        assert log.flush()

    (one, first, count), (other, second, _) = calls
    assert (one, count, first < second) == (other, 3, True)
    assert "not ours" in log.stats()["last_error"]
    assert len(ingester.entries(log.source)) == 8


def test_a_batch_that_no_frame_holds_is_refused_at_once(
    away: RunningIngester, make: Make
) -> None:
    """It would be sent again for ever, and stop everything behind it."""
    log = make(away, memory_bytes=1 << 30)
    with pytest.raises(EntryError, match="at most 65,536 rows"):
        log.submit([entry()] * (BATCH_ROWS + 1))
    with pytest.raises(EntryError, match="at most 65,536 rows"):
        log.submit([entry("x" * (1 << 20))] * 5)


def test_submit_says_when_memory_is_full(away: RunningIngester, make: Make) -> None:
    """The caller then says so to its own."""
    log = make(away, memory_bytes=64 << 10, spool="off")

    found = [log.submit([entry(os.urandom(28_000).hex())]) for _ in range(4)]

    assert found == [True, True, False, False]


def test_descriptors_are_given_back(ingester: RunningIngester, make: Make) -> None:
    """A program may make and close many."""

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(10):
        log = make(ingester)
        log.log("INFO", "m")
        assert log.close()
        log.log("INFO", "after the end")
        assert log.stats()["dropped"] == {"closed": {"INFO": 1}}

    # sockets are closed by a thread of ZeroMQ's, a moment later
    end = time.monotonic() + 10
    while descriptors() > before + 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert descriptors() <= before + 5


def test_an_endpoint_that_is_none_is_told_of() -> None:
    """At once where it can be seen, else in the stats; a call never fails of it."""
    with pytest.raises(PipelineError, match="can't guess"):
        Collector("localhost:5555")

    log = Collector("nonsense", acknowledge_endpoint="tcp://127.0.0.1:1")
    log.log("INFO", "m")
    assert not log.flush(0.2)
    assert "can't connect to nonsense" in log.stats()["last_error"]
    log.close(0)
