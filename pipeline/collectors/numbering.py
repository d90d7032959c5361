"""How entries get their numbers, and whether memory or the spool holds them.

Batches are numbered here and wait in memory.  When that is full, all of them go to the
spool, in the order of their numbers, and later ones too, until what is there has been
sent.  With spool="always" a row is numbered and spooled by the call that logs it.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from pipeline.batch.encode import Row
from pipeline.collectors.accumulator import OnDurable, Ready
from pipeline.collectors.admission import admit
from pipeline.collectors.backlog import Backlog
from pipeline.collectors.encoding import Encoded, Encoder
from pipeline.collectors.outbox import Limits, Outbox
from pipeline.delivery.spool import Spool, SpoolFullError
from pipeline.delivery.window import Window
from pipeline.errors import DeliveryError, EntryError
from pipeline.wire.frame import PRODUCER_BYTES

RETRY_SECONDS: Final = 0.1
"""A spool that could not be written is tried again after this."""

Call = tuple[int, int, OnDurable]
"""First number, count, and whom to tell once they are durable."""


class Pending(NamedTuple):
    """A batch that has no number yet."""

    encoded: Encoded
    flush: bool
    on_durable: OnDurable | None


class Numbering(Backlog):
    """A backlog that this process adds to."""

    def __init__(self, limits: Limits, box: Outbox, encoder: Encoder, now: int) -> None:
        producer = os.urandom(PRODUCER_BYTES)
        window = Window(producer, now, limit_bytes=limits.window_bytes)
        super().__init__(window, new_spool(limits, producer), encoder, limits)
        self.producer = producer
        own = encoder.redactor
        self.redactor = None if own is None else own.twin()
        """Of rows that are spooled by the calls that log them."""

        self.last = 0
        """The highest number given; only under the lock with spool="always"."""
        self.behind = False
        """With spool="always": whether rows are in the spool that no portion has."""
        self.base = 0
        """Rows that were settled under other producer ids."""
        self.dropped_before = 0
        """Of `dropped_total`, what other producer ids have told."""
        self._box = box
        self._pending: deque[Pending] = deque()
        self._calls: deque[Call] = deque()
        self._spooled = 0
        """The highest number in the spool."""
        self._given_up = 0
        """The highest number of which the spool has been rid."""
        self._retry_at = 0
        self._broken = False
        """Whether it is the disk's fault that nothing can be spooled."""

    @property
    def always(self) -> bool:
        """Whether each row is spooled by the call that logs it."""
        return self._limits.mode == "always" and self.spool is not None

    @property
    def reached(self) -> int:
        """The highest number that was ever spooled."""
        return 0 if self.spool is None else self.spool.appended

    @property
    def settled(self) -> int:
        """Rows that are durable, refused or lost."""
        return self.base + self.window.settled

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return self.window.cost + sum(len(p.encoded.payload) for p in self._pending)

    @property
    def drained(self) -> bool:
        """Whether all that has a number is in the window, or over."""
        return self.window.last >= self.last and not self._pending

    # what callers do, under the lock, with spool="always"

    def mend(self) -> None:
        """Go on behind a call that an exception of a signal's handler has cut short.

        What the spool has of it counts: memory may not have it, or not all its numbers.
        """
        waiting = self._box.accumulator
        self.last = self._spooled = max(self.last, self.reached)
        missing = self.base + self.last - waiting.accepted
        if missing > 0:  # the sender reads them from the spool
            self.behind = True
            waiting.passed += missing

    def write(self, row: Row) -> Row:
        """Number a row and spool it; what is to be kept in memory of it.

        Raises DeliveryError, and EntryError for a row that nothing can hold: that has
        its number all the same.
        """
        redactor = self.redactor
        with suppress(EntryError):
            return self._write(row if redactor is None else redactor.row(row))
        try:
            entry = _admitted(row)
            return self._write(entry if redactor is None else redactor.row(entry))
        except EntryError:
            self.write_batch(Ready(b"", 0, 1))
            raise

    def write_batch(self, ready: Ready) -> None:
        """Number a batch and spool it; raises DeliveryError."""
        assert self.spool is not None
        first = self.last + 1
        self.spool.append_batch(first, ready.span, ready.rows, 0, ready.payload)
        self.last = self._spooled = first + ready.span - 1

    def _write(self, row: Row) -> Row:
        assert self.spool is not None
        number = self.last + 1
        self.spool.append_row(number, row)
        self.last = self._spooled = number
        return row

    # what the sender's thread does

    def queue(
        self, batches: Iterable[Encoded], flush: bool, call: OnDurable | None = None
    ) -> None:
        """Take batches that are to be numbered; `place` does."""
        self._pending += (Pending(encoded, flush, call) for encoded in batches)

    def place(self, now: int) -> bool:
        """Number what is pending, and hold or spool it; False while nothing can."""
        while self._pending:
            if not self._place(self._pending[0], now):
                return False
            self._pending.popleft()
        return True

    def _place(self, pending: Pending, now: int) -> bool:
        encoded = pending.encoded
        first = self.window.last + 1
        fits = self.window.last >= self.last and self.has_room(len(encoded.payload))
        if self.always or fits:
            self.hold(encoded, pending.flush)
            if not self.always:  # there callers move it, on their threads
                self.last = max(self.last, self.window.last)
        elif self._append(encoded, now):
            first = self.last - encoded.span + 1
        else:
            return False
        if pending.on_durable is not None:
            self._calls.append((first, encoded.span, pending.on_durable))
        return True

    def _append(self, encoded: Encoded, now: int) -> bool:
        """Spool a batch, and before it what is held; False when that fails."""
        if self.spool is None or now < self._retry_at:
            return False
        try:
            self._spill()
            payload, rows, span = encoded
            self.spool.append_batch(self.last + 1, span, rows, 0, payload)
        except DeliveryError as error:
            self.failed(error, now)
            return False
        self.last = self._spooled = self.last + span
        return True

    def _spill(self) -> None:
        """Spool what only memory holds; raises DeliveryError."""
        assert self.spool is not None
        for held in self.window.held:
            if held.sequence > self._spooled:
                numbers = (held.sequence, held.span, held.count, held.codec)
                self.spool.append_batch(*numbers, held.payload)
                self._spooled = held.last

    def failed(self, error: DeliveryError, now: int) -> None:
        """Note that the spool can't be used at present."""
        self._broken = not is_disk_full(error)
        if isinstance(error, SpoolFullError):
            return
        self._retry_at = now + int(RETRY_SECONDS * 1e9)
        with self._box.accumulator.lock:
            self._box.spool_errors += 1
            self._box.last_error = str(error)

    def follow_up(self, now: int) -> None:
        """Read on from the spool, and see whether that is all."""
        if self.spool is None or (self.always and not self.behind):
            return
        lock = self._box.accumulator.lock
        try:
            if not self.always:
                self.refill(self.last)
            elif self._box.accumulator.is_empty and self.place(now):
                self.refill(self.spool.last)
                with lock:
                    self.behind = self.window.last < self.last
        except DeliveryError as error:
            self.failed(error, now)


def new_spool(limits: Limits, producer: bytes) -> Spool | None:
    """A producer's spool, if there are any."""
    if limits.folder is None or limits.mode == "off":
        return None
    return Spool(
        limits.folder, producer, limit_bytes=limits.spool_bytes, fsync=limits.fsync
    )


def _admitted(row: Row) -> Row:
    """The row with only values that msgpack holds; raises EntryError."""
    try:
        return admit(row)
    except EntryError:
        raise
    except Exception as error:  # `str` of a caller's object may raise anything
        raise EntryError("entry", repr(error), "values that have a text") from error


def is_disk_full(error: DeliveryError) -> bool:
    """Whether giving up the oldest can make room."""
    if isinstance(error, SpoolFullError):
        return True
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
