"""Rotation keeps the order: an older self first, each line with when it was read."""

from __future__ import annotations

import time

from pipeline import clock
from pipeline.collectors.lines import LineParser
from pipeline.collectors.tail.feed import Feed
from pipeline.collectors.tail.tailer import Tailer
from pipeline.delivery.window import Window
from tests.collectors.following import older


def names_before_files(tailer: Tailer) -> None:
    """The next look at names comes long before that at files."""
    tailer._look_at = clock.monotonic() + 0.5
    tailer._scan_at, tailer._is_busy = 0.0, True


def test_an_older_self_comes_first(follow, ingester):
    """Of what was written before it was renamed, also with its last entry open."""
    follow.append("one\n")
    follow.start()
    follow.expect("one")
    for number in range(4):
        follow.append(f"old {number}\nalso\n")
        follow.path.rename(older(follow.path, number + 1))
        follow.append(f"new {number}\n")
        names_before_files(follow.tailer)
        follow.turn_until(lambda: f"new {number}" in follow.lines)  # noqa: B023
    entries = sorted(ingester.entries(follow.path.stem), key=lambda e: e.timestamp)
    expected = [text for n in range(4) for text in (f"old {n}", "also", f"new {n}")]

    assert [entry.message for entry in entries] == ["one", *expected]


def test_a_last_entry_waits_for_nobody(follow, monkeypatch):
    """Even if it were to wait long: others of its name are read."""
    monkeypatch.setattr("pipeline.collectors.tail.tailer.OPEN_SECONDS", 60.0)
    monkeypatch.setattr("pipeline.collectors.tail.followed.QUIET_SECONDS", 60.0)
    follow.append("one\n")
    follow.start()
    follow.turn_until(lambda: any(f.fed_at for f in follow.tailer.files.values()))
    follow.path.rename(older(follow.path))
    follow.append("two\nthree\n")

    follow.turn_until(lambda: set(follow.lines) == {"one", "two"})


def test_an_entry_arrives_when_it_is_read(follow, ingester):
    """Not when the next one begins or its time to wait is over."""
    follow.append("one\n")
    follow.start()
    follow.turn_until(lambda: any(f.fed_at for f in follow.tailer.files.values()))
    read = clock.now_ns()
    time.sleep(0.01)
    follow.append("two\n")
    follow.expect("one", "two")
    one, two = ingester.entries(follow.path.stem)

    assert one.timestamp < read < two.timestamp


def test_each_of_a_feeds_entries_has_its_own_time():
    """The one that was open has that of its first line."""
    parser = LineParser("s")
    feed = Feed(Window(b"p" * 16, 0), b"", parser, joins=True)
    seen = []
    entry = parser.entry
    parser.entry = lambda line, now: seen.append((line.raw, now)) or entry(line, now)
    feed.feed(b"a\nb\n", 1)
    feed.feed(b"  b2\nc\nd\nhalf", 2)
    feed.feed(b"\n", 3)
    feed.finish(4)

    assert seen == [(b"a", 1), (b"b\n  b2", 1), (b"c", 2), (b"d", 2), (b"half", 3)]
