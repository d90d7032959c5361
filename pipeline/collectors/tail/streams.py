"""Which file feeds which stream: one at a time, from its start until it lets go.

A file that was emptied, replaced or can't be read any more leaves its stream behind,
which goes on until all that was read is durable; then a copy may go on with it.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from pipeline import clock
from pipeline.collectors.lines import LineFormat, LineParser
from pipeline.collectors.tail.feed import Feed
from pipeline.collectors.tail.followed import Followed, Stage
from pipeline.collectors.tail.scan import source_of
from pipeline.collectors.tail.sending import Sending
from pipeline.delivery.window import Window
from pipeline.redaction import Redactor
from pipeline.service import say

PATH_KEY: Final = "log.file.path"
"""In each entry's metadata, as OpenTelemetry and ECS name it."""

REST_SECONDS: Final = 3.0
"""Of a file that was emptied: how long a copy may take to turn up, before the line that
had no end yet is sent without."""


class Leaving(NamedTuple):
    """A stream whose file has gone on without it."""

    feed: Feed
    since: float
    keeps_rest: bool


class Streams:
    """The streams of one process, and the files that they come from."""

    def __init__(self, sending: Sending, redactor: Redactor | None = None) -> None:
        self._sending = sending
        self._redactor = redactor
        self._owners: dict[bytes, Followed] = {}
        self._leaving: dict[bytes, Leaving] = {}

    def begin(
        self, followed: Followed, producer: bytes, generation: int, start: int
    ) -> None:
        """Read a file from `start` on; raises OSError."""
        before = followed.open().before(start)
        window = Window(producer, clock.monotonic_ns(), start)
        joins = followed.found.group.multiline == "auto"
        parser = parser_of(followed)
        followed.feed = Feed(window, before, parser, self._redactor, joins=joins)
        # So that what is begun at its beginning is known as such, whatever happens.
        ends = followed.found.group.start == "end"
        followed.feed.hurries = ends or not followed.found.is_matched
        followed.stage, followed.is_due = Stage.READING, True
        followed.is_known, followed.generation = True, generation
        self._owners[producer] = followed
        self._sending.add(followed.feed, clock.monotonic())
        if start < followed.size:
            say(f"collector: {followed.path}: from byte {start} of {followed.size}")

    def is_busy(self, producer: bytes) -> bool:
        """Whether a file feeds it, or some of it is not durable."""
        leaving = self._leaving.get(producer)
        if leaving is not None and not leaving.feed.window.is_empty:
            return True
        return producer in self._owners

    def is_over(self, feed: Feed | None) -> bool:
        """Whether nothing of what a file has left behind is on its way any more."""
        if feed is None or feed.window.is_empty:
            return True
        return self._sending.feeds.get(feed.window.producer) is not feed

    def drop(self, producer: bytes) -> Followed | None:
        """Forget what is held of it; the file that fed it, to be asked for anew."""
        self._sending.remove(self._sending.feeds[producer])
        self._leaving.pop(producer, None)
        owner = self._owners.pop(producer, None)
        if owner is not None:
            owner.feed = None
        return owner

    def release(self, followed: Followed, *, keeps_rest: bool = True) -> None:
        """Part a file from its stream, which goes on until it is durable.

        Of what can be read again nothing is kept.
        """
        feed, followed.feed = followed.feed, None
        followed.after, followed.is_due = feed, False
        if feed is not None:
            producer = feed.window.producer
            if keeps_rest:
                feed.close(clock.now_ns())
            self._owners.pop(producer, None)
            self._leaving[producer] = Leaving(feed, clock.monotonic(), keeps_rest)

    def retire(self, followed: Followed) -> None:
        """All of it is durable, and it is not looked at until it changes."""
        feed, followed.feed = followed.feed, None
        if feed is not None:
            self._owners.pop(feed.window.producer, None)
            self._sending.remove(feed)
        followed.close()
        followed.stage = Stage.CLOSED

    def hand_over(self, producer: bytes) -> None:
        """A copy is there to go on with it, when all that was sent is durable."""
        leaving = self._leaving.get(producer)
        if leaving is not None and leaving.feed.window.is_empty:
            self._sending.remove(leaving.feed)
            del self._leaving[producer]

    def see_off(self, moment: float) -> None:
        """End the streams that have no file and nothing left to send."""
        for producer, leaving in list(self._leaving.items()):
            feed = leaving.feed
            if not feed.window.is_empty:
                continue
            if leaving.keeps_rest and feed.cutter.is_within_line:
                if moment - leaving.since >= REST_SECONDS:
                    feed.finish(clock.now_ns())
                continue
            self._sending.remove(feed)
            del self._leaving[producer]


def parser_of(followed: Followed) -> LineParser:
    """What reads the lines of a file, as its settings say."""
    group = followed.found.group
    return LineParser(
        group.source or None,
        unnamed=source_of(followed.name),
        form=cast("LineFormat", group.format),
        tags=group.tags,
        metadata={PATH_KEY: followed.name},
    )
