"""What a collector can't hold in memory waits on disk, and is stored once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.collectors.collector import Collector
from tests.running import RunningIngester

Make = Callable[..., Collector]
SMALL = 64 << 10


@pytest.fixture
def away(tmp_path: Path) -> Iterator[RunningIngester]:
    """An ingester that a test starts."""
    running = RunningIngester(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def make(away: RunningIngester, tmp_path: Path) -> Iterator[Make]:
    """Makes collectors with little memory, which are closed after the test."""
    made: list[Collector] = []

    def collect(**options: Any) -> Collector:
        options = {
            "acknowledge_endpoint": away.publish,
            "memory_bytes": SMALL,
            "policy": "block",
            "spool_dir": tmp_path / "spool",
        } | options
        made.append(Collector(away.ingest, "app", **options))
        return made[-1]

    yield collect
    for collector in made:
        collector.close(0)


def numbered(log: Collector, first: int, end: int) -> None:
    """Log entries that can be told apart."""
    for number in range(first, end):
        log.log("INFO", f"message {number} of many", {"n": number, "k": "v" * 50})


def stored(running: RunningIngester) -> list[int]:
    """Their numbers, as they are stored."""
    return [(row.metadata or {})["n"] for row in running.entries("app")]


def files(folder: Path) -> list[Path]:
    """Of all spools."""
    return [path for path in (folder / "spool").rglob("*") if path.is_file()]


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_what_memory_can_not_hold_is_spooled(
    away: RunningIngester, make: Make, tmp_path: Path, mode: str
) -> None:
    """All of it is stored, once and in order; then the files are gone."""
    log = make(spool=mode)
    numbered(log, 0, 5000)
    assert not log.flush(0.2)
    stats = log.stats()
    assert stats["spool_bytes"] > SMALL // 2
    assert stats["held_bytes"] <= SMALL
    assert stats["dropped"] == stats["lost"] == {}

    away.start()
    assert log.flush(20)
    numbered(log, 5000, 6000)
    assert log.close(20)

    assert stored(away) == list(range(6000))
    assert files(tmp_path) == []


@pytest.mark.parametrize("mode", ["overflow", "always"])
@pytest.mark.parametrize("seconds", [0, 0.1])
def test_what_close_could_not_send_the_next_session_does(
    away: RunningIngester, make: Make, tmp_path: Path, mode: str, seconds: float
) -> None:
    """Under the first one's producer id, beside its own."""
    first = make(spool=mode)
    numbered(first, 0, 3000)
    assert not first.close(seconds)
    assert first.stats()["spooled"] == 3000
    assert first.stats()["dropped"] == {}

    away.start()
    second = make(spool=mode)
    numbered(second, 3000, 3010)
    assert second.flush(20)
    wait_until(lambda: second.stats()["adopted_spools"] == 1)

    assert second.stats()["adopted_rows"] == 3000
    assert Counter(stored(away)) == Counter(range(3010))
    assert second.close(20)
    assert files(tmp_path) == []


def test_what_is_left_can_be_sent_before_anything_is_logged(
    away: RunningIngester, make: Make, tmp_path: Path
) -> None:
    """A thread begins with the first entry, or when it is told to."""
    first = make(spool="always")
    numbered(first, 0, 10)
    assert not first.close(0)

    away.start()
    second = make(spool="always")
    second.adopt()
    wait_until(lambda: second.stats()["adopted_rows"] == 10)

    assert stored(away) == list(range(10))
    assert files(tmp_path) == []


def test_an_unfinished_write_of_who_died_is_counted(
    away: RunningIngester, make: Make, tmp_path: Path
) -> None:
    """What stands behind the last whole record, in bytes."""
    first = make(spool="overflow")
    numbered(first, 0, 10)
    assert not first.close(0)
    segment = max((tmp_path / "spool").rglob("*.spool"))
    with segment.open("ab") as file:
        file.write(b"torn")

    away.start()
    second = make()
    numbered(second, 10, 11)
    wait_until(lambda: second.stats()["adopted_spools"] == 1)

    assert second.stats()["adopted_rows"] == 10
    assert second.stats()["adopted_torn_bytes"] == 4


def test_a_killed_process_has_lost_nothing_that_it_had_logged(
    away: RunningIngester, make: Make, tmp_path: Path
) -> None:
    """spool="always": each call has written its entry when it returns."""
    program = f"""
import os
from pipeline import Collector
log = Collector({away.ingest!r}, "app", acknowledge_endpoint={away.publish!r},
                spool="always", spool_dir={str(tmp_path / "spool")!r})
for number in range(2000):
    log.log("INFO", f"message {{number}}", {{"n": number}})
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL

    away.start()
    log = make()
    numbered(log, 2000, 2001)
    assert log.flush(20)
    wait_until(lambda: log.stats()["adopted_spools"] == 1)

    assert Counter(stored(away)) == Counter(range(2001))


@pytest.mark.parametrize("mode", ["off", "overflow", "always"])
def test_the_oldest_is_given_up_when_all_is_full(
    away: RunningIngester, make: Make, mode: str
) -> None:
    """It has its numbers, so the ingester knows of the hole; each is accounted for."""
    log = make(spool=mode, spool_bytes=80_000, policy="drop_oldest", block_ms=1000)
    numbered(log, 0, 12_000)
    away.start()
    log.flush(20)
    log.close(20)

    stats = log.stats()
    found = stored(away)
    lost = stats["lost"]["full"]["INFO"]
    assert stats["lost"] == {"full": {"INFO": lost}}
    assert len(found) + lost == 12_000
    assert found == sorted(set(found))
    assert found[-1] == 11_999


@pytest.mark.parametrize("mode", ["off", "overflow"])
def test_the_lowest_level_is_dropped_first(
    away: RunningIngester, make: Make, mode: str
) -> None:
    """Among the entries that have no number yet."""
    log = make(spool=mode, spool_bytes=100_000, policy="drop_newest", block_ms=0)
    numbered(log, 0, 6000)
    waiting = log.stats()["logged"]
    for _ in range(20):
        log.log("ERROR", "important", {"n": -1})
    away.start()
    log.flush(20)
    log.close(20)

    assert waiting < 6000
    assert stored(away).count(-1) == 20
    assert set(log.stats()["dropped"]["full"]) == {"INFO"}


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_refused_entries_keep_their_numbers(
    away: RunningIngester, make: Make, mode: str
) -> None:
    """The ingester counts them as rejected by the sender."""
    log = make(spool=mode, memory_bytes=16 << 20)
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    away.start()
    for number in range(5):
        log.log("INFO", "good", {"n": number})
        log.log("INFO", "deep", {"x": deep})
        log.log("INFO", "odd", {"x": Odd()})

    assert not log.flush(20)
    assert log.stats()["rejected"] == {"metadata": 5, "entry": 5}
    assert stored(away) == list(range(5))


def test_refused_entries_keep_their_numbers_when_others_send_them(
    away: RunningIngester, make: Make
) -> None:
    """Those behind them are not taken for others."""
    first = make(spool="always")
    for number in range(500):
        first.log("INFO", "good", {"n": number})
        first.log("INFO", "odd", {"x": Odd()})
    assert not first.close(0.1)
    assert first.stats()["rejected"] == {"entry": 500}

    away.start()
    second = make()
    numbered(second, 500, 501)
    assert second.flush(20)
    wait_until(lambda: second.stats()["adopted_rows"] == 500)
    assert Counter(stored(away)) == Counter(range(501))


class Odd:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_folder_that_can_not_be_written_costs_only_the_spool(
    away: RunningIngester, make: Make, tmp_path: Path
) -> None:
    """Entries wait in memory; it is counted and told."""
    (tmp_path / "file").touch()
    log = make(spool_dir=tmp_path / "file", policy="drop_newest", block_ms=0)
    numbered(log, 0, 1)
    while not log.stats()["spool_errors"]:
        numbered(log, 0, 100)
    assert "Not a directory" in log.stats()["last_error"]

    away.start()
    log.flush(20)

    assert len(stored(away)) == log.stats()["logged"] > 0


def test_without_a_spool_what_is_left_is_dropped(
    away: RunningIngester, make: Make
) -> None:
    """And counted, with its levels."""
    log = make(spool="off")
    log.log("ERROR", "lost")
    log.log("INFO", "lost")

    assert not log.close(0.05)
    assert log.stats()["dropped"] == {"closed": {"INFO": 1, "ERROR": 1}}
    assert log.stats()["spooled"] == 0


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_a_child_has_a_spool_of_its_own(
    away: RunningIngester, make: Make, mode: str
) -> None:
    """What both log is stored once."""
    log = make(spool=mode)
    numbered(log, 0, 2000)
    if not (child := os.fork()):
        numbered(log, 2000, 3000)
        log.close(0.1)
        os._exit(0)
    os.waitpid(child, 0)
    assert not log.close(0.1)

    away.start()
    after = make()
    numbered(after, 3000, 3001)
    assert after.flush(20)
    wait_until(lambda: after.stats()["adopted_spools"] == 2)
    assert Counter(stored(away)) == Counter(range(3001))


def test_a_spool_is_synced_while_nobody_was_ever_there(make: Make) -> None:
    """`interval` is a promise to a service whose pipeline is away."""
    log = make(spool="always", fsync="interval")
    numbered(log, 0, 10)
    assert log._sender is not None
    spool = log._sender.session.spool
    assert spool is not None

    wait_until(lambda: not any(segment.dirty for segment in spool._segments))
