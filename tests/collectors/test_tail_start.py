"""`start: end`: what was there before is left out, and nothing that comes after."""

from __future__ import annotations

import os

import pytest

from tests.collectors.following import Following
from tests.running import RunningIngester


def test_an_empty_file_has_nothing_to_leave_out(follow):
    """Its first lines come after it was first seen."""
    follow.append("")
    follow.start(start="end")
    follow.turn_for(0.1)
    follow.append("one\ntwo\n")
    follow.turn_for(0.1)
    follow.append("three\n")

    follow.expect("one", "two", "three")


def test_what_comes_before_the_first_turn_is_new(follow):
    """The process has said that it is ready by then."""
    follow.append("old\n")
    follow.start(start="end")
    follow.append("new\n")

    follow.expect("new")


def test_a_line_that_was_begun_is_new(follow):
    """Its end isn't there yet."""
    follow.append("old\nha")
    follow.start(start="end")
    follow.append("lf\n")

    follow.expect("half")


def test_a_file_emptied_before_the_answer_is_new(follow):
    """What was there before is gone."""
    follow.append("old\n" * 9)
    follow.start(start="end")
    follow.tailer.turn()
    follow.path.write_text("new\n")

    follow.expect("new")


@pytest.fixture
def away(tmp_path, monkeypatch, follow):
    """A file whose ingester doesn't run yet."""
    running = RunningIngester(tmp_path)
    following = Following(running, tmp_path / "app.log")
    yield running, following
    following.stop()
    running.stop()


def test_what_is_written_while_the_ingester_is_away(away):
    """It is asked for long after the file was first seen."""
    ingester, follow = away
    follow.append("1\n2\n")
    follow.start(start="end")
    follow.turn_for(0.1)
    follow.append("3\n4\n")
    follow.turn_for(0.1)
    ingester.start()
    follow.append("5\n")

    follow.expect("3", "4", "5")


def test_a_file_that_comes_later_is_known_at_once(follow):
    """Its first batch doesn't wait to be durable: until then a new process skips it."""
    follow.start(start="end")
    follow.turn_for(0.1)
    follow.append("one\n")
    follow.turn_until(lambda: follow.tailer._sending.feeds)
    (feed,) = follow.tailer._sending.feeds.values()
    assert feed.hurries
    follow.expect("one")
    follow.restart()
    os.truncate(follow.path, len("one\n"))
    follow.append("two\n")

    follow.expect("one", "two")
