"""A lane delivers in order, tries again, and says what it could not deliver."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipeline import clock
from pipeline.alerts import Kind
from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.lane import QUEUE, Lane
from pipeline.entry import Entry
from tests.analyzer.channels.peers import notice, wait_for


class Scripted:
    """A channel that fails as it is told to, then delivers."""

    def __init__(self, *failures: Exception) -> None:
        self.repeat_seconds: float | None = None
        self.failures = list(failures)
        self.told: list[str] = []
        self.repeated: list[list[str]] = []
        self.times: list[float] = []
        self.hold = threading.Event()
        self.hold.set()

    def deliver(self, notice: Notice, now: float) -> None:
        """Wait while held, then fail or take it."""
        self.times.append(clock.monotonic())
        self.hold.wait(30)
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(notice.alert.sources[0])

    def repeat(self, notices: list[Notice], now: float) -> None:
        """Take them."""
        self.repeated.append([one.alert.sources[0] for one in notices])
        if self.failures:
            raise self.failures.pop(0)


class Run:
    """A lane over a scripted channel."""

    def __init__(self, channel: Scripted, give_up: float = 600.0) -> None:
        self.channel = channel
        self.entries: list[Entry] = []
        self.lane = Lane("ops", channel, give_up, self.entries.append)

    def close(self, seconds: float = 10.0) -> None:
        """End it."""
        self.channel.hold.set()
        self.lane.close(clock.monotonic() + seconds)

    def problems(self) -> list[tuple[str, str]]:
        """Of which alert nothing was told, and why."""
        found = [entry.metadata or {} for entry in self.entries]
        return [(one["fingerprint"], one["problem"]) for one in found]


@pytest.fixture
def run() -> Iterator[Run]:
    """One whose channel never fails."""
    made = Run(Scripted())
    yield made
    made.close()


def numbered(count: int) -> list[Notice]:
    """Notices of as many alerts."""
    return [notice(source=f"s{n}", fingerprint=f"f{n}") for n in range(count)]


def test_notices_are_delivered_in_order(run: Run) -> None:
    """Each once."""
    for one in numbered(50):
        run.lane.put(one)
    wait_for(lambda: len(run.channel.told) == 50)

    assert run.channel.told == [f"s{n}" for n in range(50)]
    wait_for(lambda: run.lane.counters.sent == 50)
    assert (run.lane.queued, run.entries) == (0, [])


def test_a_failure_that_may_pass_is_tried_again() -> None:
    """After a while, before those behind it."""
    run = Run(Scripted(Undelivered("a"), Undelivered("b")))
    for one in numbered(2):
        run.lane.put(one)
    wait_for(lambda: len(run.channel.told) == 2)
    run.close()
    first, second, third, _ = run.channel.times

    assert run.channel.told == ["s0", "s1"]
    assert (run.lane.counters.sent, run.lane.counters.retried) == (2, 2)
    assert second - first >= 0.5
    assert third - second >= 1.0


def test_what_the_other_side_asks_for_is_waited() -> None:
    """Retry-After is longer than the first wait, which is a second at most."""
    run = Run(Scripted(Undelivered("slow down", after=1.5)))
    run.lane.put(notice())
    wait_for(lambda: run.channel.told)
    run.close()

    assert run.channel.times[1] - run.channel.times[0] >= 1.5


def test_a_refusal_is_an_entry_and_the_next_goes_on() -> None:
    """It is not tried again."""
    run = Run(Scripted(Undelivered("http://h answered 404", again=False)))
    for one in numbered(2):
        run.lane.put(one)
    wait_for(lambda: run.channel.told)
    run.close()
    (entry,) = run.entries

    assert run.problems() == [("f0", "http://h answered 404")]
    assert run.channel.told == ["s1"]
    assert (entry.source, entry.level) == ("alerts", 13)
    assert entry.message == "ops was not told that f0 opened: http://h answered 404"


def test_what_is_too_old_is_given_up() -> None:
    """It says what the last attempt met."""
    run = Run(Scripted(*[Undelivered("down")] * 99), give_up=1.0)
    run.lane.put(notice())
    wait_for(lambda: run.entries)
    run.close()
    metadata = run.entries[0].metadata or {}

    assert (metadata["problem"], metadata["channel"]) == ("down", "ops")
    assert metadata["attempts"] >= 1


def test_a_full_queue_gives_up_its_oldest() -> None:
    """Never the one that is on its way; `put` does not wait."""
    run = Run(Scripted())
    run.channel.hold.clear()
    for one in numbered(QUEUE + 3):
        run.lane.put(one)
    gone = run.problems()
    run.close()

    assert [name for name, _ in gone] == ["f1", "f2", "f3"]
    assert gone[0][1] == f"its queue of {QUEUE} is full"
    assert run.lane.counters.dropped == 3
    assert run.channel.told == ["s0", *(f"s{n}" for n in range(4, QUEUE + 3))]


def test_a_mistake_in_a_channel_does_not_end_its_lane() -> None:
    """Its text, which may hold a secret, is not told."""
    run = Run(Scripted(KeyError("S3CR3T")))
    for one in numbered(2):
        run.lane.put(one)
    wait_for(lambda: run.channel.told)
    run.close()

    assert run.problems() == [("f0", "KeyError in the channel")]
    assert run.channel.told == ["s1"]


def test_the_end_delivers_what_waits() -> None:
    """Also what waits for its next attempt."""
    run = Run(Scripted(Undelivered("down", after=200)))
    for one in numbered(3):
        run.lane.put(one)
    wait_for(lambda: run.channel.times)
    run.close()

    assert run.channel.told == ["s0", "s1", "s2"]
    assert run.entries == []


def test_the_end_does_not_wait_for_a_channel_that_hangs() -> None:
    """What is left is said, each once, though it may come back later."""
    run = Run(Scripted())
    run.channel.hold.clear()
    for one in numbered(3):
        run.lane.put(one)
    wait_for(lambda: run.channel.times)
    run.lane.close(clock.monotonic() + 0.2)
    left = [(f"f{n}", "the analyzer stopped before") for n in range(3)]

    assert run.channel.told == []
    assert run.problems() == left
    run.channel.hold.set()
    wait_for(lambda: len(run.channel.told) == 1)
    assert len(run.entries) == 3


def test_what_comes_after_the_end_is_said(run: Run) -> None:
    """Nobody would deliver it."""
    run.close()
    run.lane.put(notice(fingerprint="f0"))

    assert run.problems() == [("f0", "the analyzer stopped before")]


def test_open_alerts_are_repeated_where_that_is_wanted() -> None:
    """As they were told last; not those that are over."""
    channel = Scripted()
    channel.repeat_seconds = 0.05
    run = Run(channel)
    first, second = numbered(2)
    run.lane.resume([second])
    run.lane.put(first)
    wait_for(lambda: ["s1", "s0"] in channel.repeated)
    run.lane.put(notice(Kind.RESOLVED, "s0", fingerprint="f0"))
    wait_for(lambda: channel.repeated[-1] == ["s1"])
    run.close()

    assert run.lane.counters.repeated > 0


def test_a_repetition_that_fails_is_no_notice() -> None:
    """The next one tells the same."""
    channel = Scripted(Undelivered("down"))
    channel.repeat_seconds = 0.05
    run = Run(channel)
    run.lane.resume([notice()])
    wait_for(lambda: len(channel.repeated) > 1)
    run.close()

    assert run.lane.counters.repeat_failed == 1
    assert run.entries == []
