"""The streams of all files on one way to the ingester."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pipeline.collectors.link import Link
from pipeline.collectors.tail.feed import Checkpoint, Feed
from pipeline.wire.frame import Acknowledgement, Reply

HELLO_SECONDS: Final = 2.0
"""Without an answer for so long a stream's subscription is made anew."""

_ENDED_MAX: Final = 256


class Sending:
    """Feeds by their producer, each with the window that it fills."""

    def __init__(self, link: Link) -> None:
        self.feeds: dict[bytes, Feed] = {}
        self.ended: OrderedDict[bytes, list[Checkpoint]] = OrderedDict()
        """What streams that ended had where, so that a copy is recognised."""

        self.is_blocked = False
        self._link = link
        self._turn = 0
        self._hello_by: dict[bytes, float] = {}
        """Streams whose start the ingester has not confirmed yet."""

    @property
    def memory(self) -> int:
        """Bytes held by all."""
        return sum(feed.memory for feed in self.feeds.values())

    @property
    def is_idle(self) -> bool:
        """Whether all that was cut into batches is durable."""
        return all(feed.window.is_empty for feed in self.feeds.values())

    def add(self, feed: Feed, now: float) -> None:
        """Send a stream; nothing goes out before its HELLO, or it would go twice."""
        producer = feed.window.producer
        self.feeds[producer] = feed
        self._hello_by[producer] = now + HELLO_SECONDS
        self._link.follow(producer)

    def remove(self, feed: Feed) -> None:
        """The stream has ended, for this process."""
        producer = feed.window.producer
        if self.feeds.get(producer) is not feed:
            return
        del self.feeds[producer]
        self._hello_by.pop(producer, None)
        self._link.leave(producer)
        self.ended[producer] = list(feed.checkpoints)
        if len(self.ended) > _ENDED_MAX:
            self.ended.popitem(last=False)

    def checkpoints(self, producer: bytes) -> list[Checkpoint]:
        """What is known of a stream's content."""
        feed = self.feeds.get(producer)
        return self.ended.get(producer, []) if feed is None else [*feed.checkpoints]

    def acknowledge(self, producer: bytes, reply: Acknowledgement, now: int) -> bool:
        """Take in a reply; False when the stream must be begun anew from the file.

        So it is when another process with the same stream has cut its batches
        elsewhere, and when the ingester no longer has what it had made durable.
        """
        feed = self.feeds.get(producer)
        if feed is None:
            return True
        window = feed.window
        is_word = reply.kind in (Reply.HELLO, Reply.NACK)
        if is_word and reply.accepted < window.durable:
            return False
        if not window.boundary(reply.accepted):
            return False
        if reply.kind == Reply.HELLO:
            self._hello_by.pop(producer, None)
        window.acknowledge(reply, now)
        return True

    def send(self, now: int, moment: float) -> None:
        """Hand on what windows and socket take, one batch of each stream in turn."""
        for producer, by in self._hello_by.items():
            if moment >= by:
                self._hello_by[producer] = moment + HELLO_SECONDS
                self._link.leave(producer)
                self._link.follow(producer)
        self.is_blocked = False
        ready = [f for p, f in self.feeds.items() if p not in self._hello_by]
        for feed in ready:
            feed.window.expire(now)
        # else the first ones had all the room that a slow ingester leaves
        self._turn = (self._turn + 1) % max(1, len(ready))
        ready = ready[self._turn :] + ready[: self._turn]
        while ready:
            ready = [feed for feed in ready if self._send_one(feed, now)]

    def _send_one(self, feed: Feed, now: int) -> bool:
        """Whether the stream may have more."""
        if self.is_blocked:
            return False
        frames = feed.window.take(now, 0)
        if frames is None:
            return False
        if not self._link.send(frames):
            feed.window.untake()
            self.is_blocked = True
            return False
        return True
