"""Senders of the simulation: a session, one with a spool, one that reads a file.

Each owns a real Window as collectors do: it waits for HELLO, gives up the oldest, goes
on after a crash with what its kind still has, and cuts its batches anew where those of
its predecessor end elsewhere.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

import msgpack

from pipeline.batch.encode import encode_rows
from pipeline.delivery.window import Window
from pipeline.wire.frame import (
    Acknowledgement,
    Codec,
    Reply,
    file_tail,
    parse_header,
)
from tests.delivery.network import Line
from tests.wire.messages import entry

HELLO = 250_000_000
"""Nanoseconds for which a sender waits for HELLO before it sends."""

LINE_BYTES = 4
"""Of a line of the simulated file; every fifth is blank."""

FILE = b"".join(b"%03d\n" % (number % 1000) for number in range(2000))


@dataclass
class Ledger:
    """What is known outside of one producer id, to hold the ingester's against."""

    producer: bytes
    kind: str
    gaps: bool
    last: int = 0
    told: int = 0
    """The highest number that the sender was told to be durable."""
    dropped: int = 0
    forgotten: int = 0
    """The last number that it had when the ingester forgot it."""
    given_up: set[int] = field(default_factory=set)

    def rows(self, first: int, last: int) -> list[int]:
        """The numbers of a range that stand for entries."""
        return _rows(self.kind, self.gaps, first, last)


@lru_cache(maxsize=100_000)
def _rows(kind: str, gaps: bool, first: int, last: int) -> list[int]:
    if kind == "file":
        starts = range(first, last + 1, LINE_BYTES)
        return [start for start in starts if start // LINE_BYTES % 5]
    return [n for n in range(first, last + 1) if not gaps or n % 7]


@lru_cache(maxsize=100_000)
def payload(kind: str, gaps: bool, first: int, last: int) -> tuple[bytes, int, int]:
    """Payload, rows and codec; each entry's message is its own number."""
    numbers = _rows(kind, gaps, first, last)
    if not numbers:
        return b"", 0, 0
    if len(numbers) == last - first + 1:
        maps = [{"source": "s", "message": str(number)} for number in numbers]
        return msgpack.packb(maps), len(numbers), Codec.ROWS
    entries = [entry(str(number)) for number in numbers]
    offsets = [number - first for number in numbers]
    return encode_rows(entries, offsets), len(numbers), 0


class Sender:
    """What owns a window, and the programme of what it will log."""

    def __init__(self, kind: str, chance: random.Random, line: Line, gaps: bool):
        self.kind = kind
        self.line = line
        self.timeouts = 0
        self.restarts = 0
        self.recut = 0
        self.closing = False
        self.ledgers: list[Ledger] = []
        """One for each producer id, the present one last."""
        self._chance = chance
        self._gaps = gaps
        self._batches = chance.randint(4, 14)
        self._spooled = 0
        self._next: int | None = None
        """The number that must be sent next, after a NACK or a HELLO."""
        self._begin(0)

    @property
    def ledger(self) -> Ledger:
        """Of its present producer id."""
        return self.ledgers[-1]

    @property
    def is_done(self) -> bool:
        """Whether all was logged and is durable."""
        return self.closing and self.is_settled

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be sent or under way."""
        return self.is_settled and self.line.is_quiet

    @property
    def is_settled(self) -> bool:
        """Whether it was told that all that was logged is durable."""
        told = self.kind != "file" or self.ledger.told >= self.ledger.last
        return told and self.window.is_empty

    def restart(self, now: int) -> None:
        """It was killed: what its kind keeps on disk is all that is left."""
        self.restarts += 1
        # What a spool has let go of is trimmed late, so it begins too early.
        start = self._chance.choice((self._spooled, self.ledger.told))
        self._spooled = max(start, self._spooled)
        self._begin(now)

    def _begin(self, now: int) -> None:
        if self.kind == "session" or not self.ledgers:
            producer = self._chance.randbytes(16)
            self.ledgers.append(Ledger(producer, self.kind, self._gaps))
            self._spooled = 0
        self._hello_by: int | None = None
        self._greeted = False
        self._next = None
        self._cut(self._spooled, self._spooled, now)
        if self.kind == "file":  # knows only from HELLO where to go on
            self._cut(self.ledger.last, self.ledger.last, now)

    def _cut(self, start: int, accepted: int, now: int) -> None:
        """Batches anew, from behind `start`, one of them ending at `accepted`."""
        self.window = Window(self.ledger.producer, now, start)
        self.held: deque[tuple[int, int]] = deque()
        self._add(start, accepted)
        unit = LINE_BYTES if self.kind == "file" else 1
        while accepted < self.ledger.last:
            end = min(accepted + unit * self._chance.randint(1, 6), self.ledger.last)
            self._add(accepted, end)
            accepted = end

    def _add(self, start: int, end: int) -> None:
        """A batch of the numbers behind `start` to `end`."""
        if start == end:
            return
        content, count, codec = payload(self.kind, self._gaps, start + 1, end)
        tail = file_tail(FILE[max(0, end - 64) : end]) if self.kind == "file" else None
        flush = self._chance.random() < 0.2
        self.window.add(content, count, codec, span=end - start, flush=flush, tail=tail)
        self.held.append((start + 1, end))

    def log(self) -> None:
        """Append to the programme's next batch, or end it."""
        if self.closing or self._chance.random() < 0.5:
            return
        if self.kind == "session" and self._chance.random() < 0.1:
            self.ledger.dropped += self._chance.randint(1, 9)
        count = self._chance.randint(1, 6)
        start = self.ledger.last
        self.ledger.last += count * (LINE_BYTES if self.kind == "file" else 1)
        if self._greeted or self.kind != "file":
            self._add(start, self.ledger.last)
        self._batches -= 1
        self.closing = self._batches <= 0

    def hear(self, reply: Acknowledgement, now: int) -> None:
        """One acknowledgement."""
        if self.kind == "session":
            assert not self.window.is_forged(reply), "nobody else has the id"
        known_to = self.ledger.told
        if self.kind == "file" and not self._greeted:
            if reply.kind != Reply.HELLO:
                return
            self._check_tail(reply)
            self._cut(reply.durable, reply.durable, now)
        elif not self.window.boundary(reply.accepted):
            self.recut += 1
            # From what is durable, not from what is accepted: that may die yet.
            start = max(reply.durable, self.held[0][0] - 1 if self.held else 0)
            self._cut(start, max(start, reply.accepted), now)
        self._greeted |= reply.kind == Reply.HELLO
        self.window.acknowledge(reply, now)
        self.ledger.told = max(known_to, reply.durable)
        while self.held and self.held[0][1] <= self.window.durable:
            self.held.popleft()
        self._next = None
        if reply.kind in (Reply.NACK, Reply.HELLO):
            above = (first for first, last in self.held if last > reply.accepted)
            self._next = next(above, None)

    def _check_tail(self, reply: Acknowledgement) -> None:
        if reply.durable:
            before = FILE[max(0, reply.durable - 64) : reply.durable]
            assert reply.tail == file_tail(before), "tail of another position"

    def give_up(self, holds: int) -> None:
        """Policy drop_oldest: no more batches than it may hold."""
        while self.kind != "file" and len(self.held) > holds:
            first, last = self.held.popleft()
            self.window.give_up_oldest()
            self.ledger.given_up |= set(range(first, last + 1))
            self._spooled = max(self._spooled, last)
            if self._next is not None and self._next <= last:
                self._next = last + 1

    def send(self, step: int, now: int) -> None:
        """All that the window lets go."""
        if not self.line.is_up:
            self._hello_by = None
            return
        if not self._greeted:
            self._hello_by = self._hello_by or now + HELLO
            if self.line.is_silent(step):
                self.line.ask(step)  # the HELLO was lost
            if self.kind == "file" or now < self._hello_by:
                return
        self.timeouts += self.window.expire(now) and self.line.is_silent(step)
        fin = self.closing and self.kind != "file"
        dropped = self.ledger.dropped
        while (frames := self.window.take(now, dropped, fin=fin)) is not None:
            if self._chance.random() < 0.03:  # the socket is full
                self.window.untake()
                return
            if self._next is not None:
                sent = parse_header(frames[0]).sequence
                assert sent == self._next, f"sent {sent}, asked for {self._next}"
                self._next = None
            self.line.there.send(step, frames)
