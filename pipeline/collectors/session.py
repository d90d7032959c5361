"""One producer of this process: what it numbers, and where that waits.

Batches get their numbers here and wait in memory.  When that is full, all of them go to
the spool, in the order of their numbers, and later ones too, until what is there has
been sent.  With spool="always" a row is numbered and spooled by the call that logs it.
"""

from __future__ import annotations

import errno
import os
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.batch.encode import Row
from pipeline.collectors.accumulator import OnDurable, Portion, Ready
from pipeline.collectors.admission import admit
from pipeline.collectors.backlog import Backlog, levels_lost
from pipeline.collectors.encoding import Encoded, Encoder
from pipeline.collectors.outbox import CLOSED, FULL, Limits, Outbox
from pipeline.delivery.spool import Batch, Rows, Spool, SpoolFullError
from pipeline.delivery.window import Window
from pipeline.errors import DeliveryError, EntryError
from pipeline.wire.frame import PRODUCER_BYTES, Acknowledgement

RETRY_SECONDS: Final = 0.1
"""A spool that could not be written is tried again after this."""

GIVE_UP_SHARE: Final = 8
"""Without a spool the oldest part of memory is given up at a time, one in so many."""

FORGED: Final = "forged"
"""Reason: it was lost while another producer's id was taken on."""


class Pending(NamedTuple):
    """A batch that has no number yet."""

    encoded: Encoded
    flush: bool
    on_durable: OnDurable | None


class Session(Backlog):
    """Numbers, holds and spools what a collector logs."""

    def __init__(self, limits: Limits, box: Outbox, encoder: Encoder, now: int) -> None:
        producer = os.urandom(PRODUCER_BYTES)
        window = Window(producer, now, limit_bytes=limits.window_bytes)
        super().__init__(window, _spool(limits, producer), encoder, limits)
        self.producer = producer
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
        self._calls: deque[tuple[int, int, OnDurable]] = deque()
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

    def write(self, row: Row) -> Row:
        """Number a row and spool it; what is to be kept in memory of it.

        Raises DeliveryError, and EntryError for a row that nothing can hold: that has
        its number all the same.
        """
        try:
            return self._write(row)
        except EntryError:
            row = _admitted(row)
        try:
            return self._write(row)
        except EntryError as error:
            self.write_batch(Ready(b"", 0, 1))
            raise error from None

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
        if self.always or (self.drained_but_pending and self._fits(encoded)):
            self.hold(encoded, pending.flush)
            self.last = max(self.last, self.window.last)
        elif self._append(encoded, now):
            first = self.last - encoded.span + 1
        else:
            return False
        if pending.on_durable is not None:
            self._calls.append((first, encoded.span, pending.on_durable))
        return True

    @property
    def drained_but_pending(self) -> bool:
        """Whether all that has a number is in the window, or over."""
        return self.window.last >= self.last

    def _fits(self, encoded: Encoded) -> bool:
        return self.has_room(len(encoded.payload))

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

    def acknowledge(
        self, reply: Acknowledgement, now: int
    ) -> list[tuple[int, int, OnDurable]]:
        """Take in what the ingester says; calls that are due."""
        self.window.acknowledge(reply, now)
        if self.spool is not None:
            self.spool.release(self.window.durable)
        due = []
        while self._calls and sum(self._calls[0][:2]) - 1 <= self.window.durable:
            due.append(self._calls.popleft())
        return due

    def give_up(self) -> None:
        """Make room at the oldest end: a segment of the spool, or a share of memory."""
        with self._box.accumulator.lock:  # `always` appends meanwhile
            if self.spool is None or self._broken or not self.spool.oldest_last:
                first, last, levels = self._give_up_held()
            else:
                first, last, levels = self._give_up_segment()
            self._calls = deque(
                call for call in self._calls if not first <= call[0] <= last
            )
            self._box.lose(FULL, levels)
        self._retry_at = 0

    def _give_up_held(self) -> tuple[int, int, Counter[int]]:
        levels: Counter[int] = Counter()
        goal = self.window.cost - self.budget // GIVE_UP_SHARE
        first = self.window.settled + 1
        while not self.window.is_empty and self.window.cost > goal:
            levels += levels_lost(next(iter(self.window.held)).payload)
            self.window.give_up_oldest()
        return first, self.window.settled, levels

    def _give_up_segment(self) -> tuple[int, int, Counter[int]]:
        assert self.spool is not None
        last = self.spool.oldest_last
        # what memory has as well is not lost
        reach = self.window.last
        if self.always:
            reach += self._box.accumulator.numbers
        reach = max(reach, self._given_up)
        try:
            levels = self.levels(reach + 1, last)
        except DeliveryError:
            levels = Counter({0: max(0, last - reach)})
        self.spool.drop_oldest()
        self._given_up = max(self._given_up, last)
        return reach + 1, last, levels

    # other producer ids, and the end

    def renew(self, now: int) -> None:
        """Go on as a new producer with all that is not known to be stored.

        Somebody else has sent with this one's id: what the ingester says of it is not
        to be trusted, beyond what it had said before.
        """
        with self._box.accumulator.lock:
            trusted = self.window.accepted
            old, spool, reach = self.window, self.spool, self.last
            self.producer = os.urandom(PRODUCER_BYTES)
            self.window = Window(self.producer, now, limit_bytes=self.budget)
            self.spool = _spool(self._limits, self.producer)
            self._box.forged += 1
            spooled, self._spooled, self._given_up = self._spooled, 0, 0
            for held in old.held:
                if held.sequence > trusted:
                    self.window.skip(held.sequence - trusted)
                    self.hold(Encoded(held.payload, held.count, held.span), held.flush)
            self.window.skip(old.last + 1 - trusted)
            self.last = max(reach, old.last) - trusted
            self.base += trusted
            self.dropped_before = self._box.dropped_total
            self._calls = deque(
                (c[0] - trusted, *c[1:]) for c in self._calls if c[0] > trusted
            )
            if spool is not None:
                self._copy(spool, spooled, old.last, trusted, now)
                spool.close(remove=True)

    def _copy(
        self, old: Spool, spooled: int, held: int, trusted: int, now: int
    ) -> None:
        """Take over what the spool of the old id holds, under new numbers."""
        if spooled <= trusted:
            return
        assert self.spool is not None
        number = held + 1
        try:
            self._spill()
            while number <= spooled:
                limits = self._limits
                records = old.read(number, limits.batch_rows, limits.batch_bytes)
                if not records:
                    break
                for record in records:
                    if isinstance(record, Rows):
                        self.spool.append_rows(record.number - trusted, record.rows)
                        number = record.number + len(record.rows)
                    else:
                        self._copy_batch(record, trusted)
                        number = record.sequence + record.span
        except DeliveryError as error:
            self.failed(error, now)
            self._box.lose(FORGED, Counter({0: spooled + 1 - number}))
        self._spooled = max(self._spooled, number - 1 - trusted)

    def _copy_batch(self, batch: Batch, trusted: int) -> None:
        assert self.spool is not None
        fields = (batch.span, batch.count, batch.codec, batch.payload)
        self.spool.append_batch(batch.sequence - trusted, *fields)

    def leave(self, portions: Iterable[Portion], now: int) -> None:
        """Leave what is not durable to the next session; what can't be is dropped."""
        if not self.always:
            for portion in portions:
                ready = portion.ready
                batches = (
                    self._encoder.encode(portion.rows)
                    if ready is None
                    else [Encoded(*ready[:3])]
                )
                self.queue(batches, flush=False)
            self._leave_held(now)
        if self.spool is not None:
            self._box.spooled = max(0, self._spooled - self.window.settled)
            self.spool.close()

    def _leave_held(self, now: int) -> None:
        """Spool all that is held and pending, as far as it goes."""
        self._retry_at = 0
        while self._spill_all(now):
            if not self._can_give_up():
                break
            self.give_up()
        lost: Counter[int] = Counter()
        for held in self.window.held:
            if held.sequence > self._spooled:
                lost += levels_lost(held.payload)
        for pending in self._pending:
            lost += levels_lost(pending.encoded.payload)
        if lost:
            self._box.drop(CLOSED, lost)

    def _spill_all(self, now: int) -> bool:
        """Spool everything; whether something is left."""
        if self.spool is None:
            return True
        try:
            self._spill()
        except DeliveryError as error:
            self.failed(error, now)
            return True
        while self._pending and self._append(self._pending[0].encoded, now):
            self._pending.popleft()
        return bool(self._pending)

    def _can_give_up(self) -> bool:
        """Whether the oldest of the spool may make room for the newest."""
        if self.spool is None or self._limits.policy != "drop_oldest":
            return False
        return self.spool.oldest_last > 0 and not self._broken


def _spool(limits: Limits, producer: bytes) -> Spool | None:
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
