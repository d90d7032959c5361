"""What a sender holds until it is acknowledged, and what it sends next.

Pure: batches and acknowledgements go in, frames to send come out; time is an argument.
A batch stays until `durable` has passed it.  It is always resent unchanged but for its
base, which says how far back the sender can still go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final
from zlib import crc32

from pipeline.limits import BATCH_ROWS
from pipeline.wire.frame import (
    Acknowledgement,
    Flag,
    Header,
    Reply,
    Status,
    pack_header,
)

WINDOW_ROWS: Final = 4 * BATCH_ROWS
WINDOW_BYTES: Final = 64 << 20
"""In flight at most: four blocks, so that one fills while another is written; at one
block, 670,000 instead of 830,000 entries/s; its memory bounds a sender anyway."""

HELD_COST: Final = 300
"""Bytes of memory of a batch beside its payload."""

TIMEOUT_FIRST: Final = 1_000_000_000
TIMEOUT_LAST: Final = 10_000_000_000
"""Nanoseconds without progress before a rewind, doubling from the first to the last."""


@dataclass(slots=True)
class Held:
    """A batch with its numbers, held until it is durable."""

    sequence: int
    span: int
    count: int
    codec: int
    payload: bytes
    crc: int
    flush: bool = False
    tail: int | None = None
    """Of a file, at its last byte."""

    @property
    def last(self) -> int:
        """The highest number it covers."""
        return self.sequence + self.span - 1


class Window:
    """Numbers, holds and resends the batches of one producer."""

    def __init__(
        self,
        producer: bytes,
        now: int,
        start: int = 0,
        *,
        limit_bytes: int = WINDOW_BYTES,
    ) -> None:
        """Numbers go on behind `start`, which the ingester has named.

        At most `limit_bytes` are in flight; one batch may always go.
        """
        self.producer = producer
        self.durable = start
        self.accepted = start
        self.rejected = 0
        self.bytes = 0
        self.largest = 0
        self.resent = 0
        self._held: deque[Held] = deque()
        self._next = 0
        """Place in `_held` of the batch to send next."""
        self._number = start + 1
        self._limit_bytes = limit_bytes
        self._sent = start
        """The highest number that ever went out."""
        self._ended = False
        self._boot = b""
        self._resume = 0
        self._progress = now
        self._timeout = TIMEOUT_FIRST
        self._flight_rows = 0
        self._flight_bytes = 0

    @property
    def rows(self) -> int:
        """Rows held."""
        return sum(held.count for held in self._held)

    @property
    def last(self) -> int:
        """The highest number given so far."""
        return self._number - 1

    @property
    def settled(self) -> int:
        """All numbers up to here are durable, or will never come."""
        return self._held[0].sequence - 1 if self._held else self.last

    @property
    def cost(self) -> int:
        """Bytes of memory that the batches take."""
        return self.bytes + HELD_COST * len(self._held)

    @property
    def held(self) -> Iterable[Held]:
        """The batches, the oldest first."""
        return self._held

    def skip(self, number: int) -> None:
        """Go on with this number: those before that have none yet will never come."""
        self._number = max(self._number, number)

    def add(
        self,
        payload: bytes,
        count: int,
        codec: int,
        *,
        span: int | None = None,
        flush: bool = False,
        tail: int | None = None,
    ) -> int:
        """Number a batch and hold it; its first number.

        `span` is how many numbers it covers, if not one a row; `tail` is of a file.
        """
        sequence, span = self._number, span or count
        held = Held(sequence, span, count, codec, payload, crc32(payload), flush, tail)
        self._held.append(held)
        self._number += span
        self.bytes += len(payload)
        return sequence

    def boundary(self, accepted: int) -> bool:
        """Whether it can go on at accepted + 1.

        If not, a predecessor with the same id has cut its batches elsewhere: they are
        cut anew, into a window that starts at `durable`, one of them ending at
        `accepted`, which may die with the ingester yet.
        """
        if accepted == self.last:
            return True
        first = self._held[0].sequence if self._held else self._number
        if accepted < first:  # what was given up is the ingester's `lost`
            return True
        place = bisect_left(self._held, accepted, key=attrgetter("last"))
        return place < len(self._held) and self._held[place].last == accepted

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._held

    def idle(self) -> bool:
        """Whether everything held has been sent."""
        return self._next >= len(self._held)

    def take(
        self, now: int, dropped_total: int, *, fin: bool = False
    ) -> tuple[bytes, bytes] | None:
        """Header and payload of the next batch; None when the window is full."""
        if self.idle() or now < self._resume:
            return None
        held = self._held[self._next]
        rows = self._flight_rows + held.count
        size = self._flight_bytes + len(held.payload)
        if self._next and (self._is_full(rows, size) or self._follows_hole(held)):
            return None
        if not self._next:
            self._progress = now
        self._next += 1
        self._flight_rows, self._flight_bytes = rows, size
        self._sent = max(self._sent, held.last)
        full = self._is_full(rows + held.count, size + len(held.payload))
        flags = Flag.FLUSH if held.flush or full else Flag(0)
        if fin and self.idle():
            flags |= Flag.FIN | Flag.FLUSH
            self._ended = True
        return self._header(held, flags, dropped_total), held.payload

    def farewell(self, dropped_total: int) -> tuple[bytes, bytes] | None:
        """FIN by itself, when all was durable before the sender knew of its end.

        An empty batch over the last number: a duplicate. Its base keeps an ingester
        that doesn't know the producer from taking it. None if there is nothing to say.
        """
        if self._held or self._ended or self._sent < self.last or not self.last:
            return None
        header = Header(
            Flag.FIN, 0, self.producer, self.last, 1, 1, 0, 0, dropped_total
        )
        return pack_header(header, crc32(b"")), b""

    def untake(self) -> None:
        """The socket did not take the batch that `take` gave: it is next again."""
        self._next -= 1
        held = self._held[self._next]
        self._flight_rows -= held.count
        self._flight_bytes -= len(held.payload)

    def is_forged(self, reply: Acknowledgement) -> bool:
        """Whether it claims what a session never sent: somebody else has used its id.

        Of numbers not yet sent, or ending within a batch.  What was forged exactly over
        batches under way can't be told.
        """
        beyond = max(reply.durable, reply.accepted) > self._sent
        return beyond or not self.boundary(reply.accepted)

    def acknowledge(self, reply: Acknowledgement, now: int) -> bool:
        """Take in one acknowledgement; whether `durable` moved."""
        self.largest = reply.largest
        self.rejected = reply.rejected
        restarted = self._boot not in (b"", reply.boot)
        self._boot = reply.boot
        moved = self._release(reply.durable)
        if moved or reply.accepted > self.accepted:
            self._progress = now
            self._timeout = TIMEOUT_FIRST
        self.accepted = reply.accepted
        if reply.status != Status.OK:
            self._resume = now + reply.retry_ms * 1_000_000
        if reply.kind in (Reply.NACK, Reply.HELLO) or restarted:
            self._rewind(reply.accepted)
        return moved

    def expire(self, now: int) -> bool:
        """Rewind when nothing has moved for the time-out; whether it did."""
        if not self._next or now - self._progress < self._timeout:
            return False
        # What the ingester said to hold is not sent again at first: should it die, its
        # successor's HELLO asks for it.
        first = self._timeout == TIMEOUT_FIRST
        self._timeout = min(2 * self._timeout, TIMEOUT_LAST)
        self._progress = now
        before = self._next
        self._rewind(self.accepted if first else self.durable)
        return self._next < before

    def give_up_oldest(self) -> int:
        """Drop the oldest batch; the ingester counts its rows as lost."""
        held = self._held.popleft()
        self.bytes -= len(held.payload)
        if self._next:
            self._next -= 1
            self._flight_rows -= held.count
            self._flight_bytes -= len(held.payload)
        return held.count

    def _is_full(self, rows: int, size: int) -> bool:
        return rows > WINDOW_ROWS or size > self._limit_bytes

    def _follows_hole(self, held: Held) -> bool:
        """Whether numbers before it are missing: it goes as the first, with its base.

        Sent behind those that the ingester may still lack, it would be a gap.
        """
        return self._held[self._next - 1].last + 1 < held.sequence

    def _release(self, durable: int) -> bool:
        if durable <= self.durable:
            return False
        self.durable = durable
        while self._held and self._held[0].last <= durable:
            self.give_up_oldest()
        return True

    def _rewind(self, accepted: int) -> None:
        """Send again from the first batch that the ingester does not have."""
        before = self._next
        self._next = 0
        self._flight_rows = self._flight_bytes = 0
        for held in self._held:
            if held.last > accepted:
                break
            self._next += 1
            self._flight_rows += held.count
            self._flight_bytes += len(held.payload)
        self.resent += max(0, before - self._next)

    def _header(self, held: Held, flags: int, dropped_total: int) -> bytes:
        base = self._held[0].sequence
        numbers = (held.sequence, base, held.span, held.count)
        if held.tail is not None:
            flags |= Flag.FILE
            dropped_total = held.tail
        header = Header(flags, held.codec, self.producer, *numbers, 0, dropped_total)
        return pack_header(header, held.crc)
