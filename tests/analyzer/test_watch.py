"""What the analyzer sees of the streams, and what of them it has to ask for."""

from __future__ import annotations

from collections.abc import Sequence

import msgpack

from pipeline.analyzer.findings import Counts, Event, Finding
from pipeline.analyzer.follower import Hole
from pipeline.analyzer.watch import LATE_SECONDS, Missing, Watch
from pipeline.entry import Entry
from pipeline.level import Level
from pipeline.store.block import Part, seal_block
from pipeline.wire.codec import batch_of
from tests.wire.messages import entry

NOW = 1_795_341_600
BOOT = b"b" * 16


class Seer:
    """A detector that keeps what it sees."""

    name = "seer"

    def __init__(self) -> None:
        self.counts: list[Sequence[int | str]] = []
        self.events: list[Event] = []

    def observe_counts(self, counts: Counts, now: int) -> None:
        self.counts += counts

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        self.events += events

    def evaluate(self, now: int) -> list[Finding]:
        return []


def _watch() -> tuple[Watch, Seer]:
    seer = Seer()
    watch = Watch([seer])
    watch.begin(0, 0)
    return watch, seer


def _summary(block: int, *counts: tuple[int, str, int, int]) -> bytes:
    body: bytes = msgpack.packb({"boot": BOOT, "block": block, "counts": counts})
    return body


def _batch(block: int, *rows: Entry) -> bytes:
    batch = batch_of(list(rows)).batch
    assert batch is not None
    data = seal_block([Part(batch, b"p" * 16, 1, None)]).data
    body: bytes = msgpack.packb({"boot": BOOT, "block": block, "data": data})
    return body


def test_detectors_see_what_comes() -> None:
    """Counts of summaries, patterns of batches."""
    watch, seer = _watch()
    watch.take_summary(_summary(1, (NOW, "api", 17, 2)), NOW)
    watch.take_batch(_batch(1, entry("failed", level=Level.ERROR)), NOW)

    assert seer.counts == [[NOW, "api", 17, 2]]
    assert [one.template for one in seer.events] == ["failed"]
    assert watch.missing == []


def test_sources_of_the_pipeline_are_not_seen() -> None:
    """Events of alerts are counted: others write them, too."""
    watch, seer = _watch()
    rows = [(NOW, name, 17, 1) for name in ("alerts", "audit", "pipeline")]
    watch.take_summary(_summary(1, *rows), NOW)

    assert seer.counts == []
    assert watch.alert_events == 1


def test_each_stream_misses_for_itself() -> None:
    """A batch that is dropped costs no summary."""
    watch, _ = _watch()
    watch.take_summary(_summary(1), NOW)
    watch.take_summary(_summary(2), NOW)
    watch.take_summary(_summary(3), NOW)
    watch.take_batch(_batch(3, entry()), NOW)

    assert watch.missing == [Missing("events", Hole(0, 2))]
    assert watch.counters["batches_missed"] == 2
    assert watch.counters["summaries_missed"] == 0


def test_batches_that_never_come_are_given_up() -> None:
    """The ingester publishes none that is too large; the summary tells of it."""
    watch, seer = _watch()
    watch.evaluate(NOW)
    watch.take_summary(_summary(1), NOW)
    watch.evaluate(NOW + LATE_SECONDS)
    assert watch.missing == []
    watch.evaluate(NOW + 2 * LATE_SECONDS)

    assert watch.missing == [Missing("events", Hole(0, 1))]
    watch.take_batch(_batch(1, entry("late", level=Level.ERROR)), NOW)
    assert seer.events == []


def test_patterns_may_be_known_less_far_than_counts() -> None:
    """They are asked for earlier: batches go on from there."""
    watch = Watch([])
    watch.take_batch(_batch(6, entry()), NOW)
    watch.begin(7, 4)

    assert watch.missing == [Missing("events", Hole(4, 6))]
    watch.take_summary(_summary(8), NOW)
    watch.take_batch(_batch(7, entry()), NOW)
    assert len(watch.missing) == 1


class Broken(Seer):
    """A detector that fails."""

    name = "broken"

    def observe_counts(self, counts: Counts, now: int) -> None:
        raise ZeroDivisionError("by zero")


def test_a_detector_that_fails_is_set_aside() -> None:
    """It is said once; the others see everything."""
    seer = Seer()
    watch = Watch([Broken(), seer])
    watch.begin(0, 0)
    watch.take_summary(_summary(1, (NOW, "api", 17, 2)), NOW)
    watch.take_summary(_summary(2, (NOW, "api", 17, 3)), NOW)

    assert len(seer.counts) == 2
    assert watch.notes == ["detector broken is set aside: ZeroDivisionError: by zero"]


def test_bad_messages_are_counted() -> None:
    """A good frame of a bad batch too; both streams go on."""
    watch, seer = _watch()
    watch.take_summary(b"\xc1", NOW)
    watch.take_batch(b"\xc1", NOW)
    broken = msgpack.packb({"boot": BOOT, "block": 1, "data": b"\x09"})
    watch.take_batch(broken, NOW)
    watch.take_batch(_batch(2, entry("failed", level=Level.ERROR)), NOW)

    assert watch.counters["summaries_malformed"] == 1
    assert watch.counters["batches_malformed"] == 2
    assert len(watch.notes) == 3
    assert len(seer.events) == 1
