"""One producer of this process: what is acknowledged, given up, or left to others."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from pipeline.batch.levels import UNKNOWN_LEVEL
from pipeline.collectors.accumulator import Portion
from pipeline.collectors.backlog import levels_lost
from pipeline.collectors.encoding import Encoded
from pipeline.collectors.numbering import Call, Numbering, new_spool
from pipeline.collectors.outbox import CLOSED, FULL
from pipeline.delivery.spool import Extent, Mark, Spool
from pipeline.delivery.spool.copying import copy_records
from pipeline.delivery.window import Window
from pipeline.errors import DeliveryError
from pipeline.wire.frame import PRODUCER_BYTES, Acknowledgement

GIVE_UP_SHARE: Final = 8
"""Without a spool the oldest part of memory is given up at a time, one in so many."""

FORGED: Final = "forged"
"""Reason: it was lost while another producer's id was taken on."""

DAMAGED: Final = "damaged"
"""Reason: the spool could not be read any more."""


class Session(Numbering):
    """Follows what a collector has numbered to its end."""

    @property
    def drained(self) -> bool:
        """Whether FIN may be said: on what is not durable, it must not stand.

        An hour later the ingester has forgotten who has finished; who finds the spool
        then would send all of it again.
        """
        return super().drained and self.window.is_empty

    def acknowledge(self, reply: Acknowledgement, now: int) -> list[Call]:
        """Take in what the ingester says; calls that are due."""
        if self.window.is_forged(reply):
            reply = self._believed(reply)
        self.window.acknowledge(reply, now)
        if self.spool is not None:
            self.spool.release(self.window.durable)
            self._note(self.spool)
        due = []
        while self._calls and sum(self._calls[0][:2]) - 1 <= self.window.durable:
            due.append(self._calls.popleft())
        return due

    def _believed(self, reply: Acknowledgement) -> Acknowledgement:
        """What a claim that can't be true leaves: what was said to be taken before."""
        taken = self.window.accepted
        known = taken if reply.durable >= taken else self.window.durable
        return reply._replace(durable=known, accepted=known)

    def skip(self, number: int) -> None:
        """Go on behind numbers that the spool does not have."""
        known = max(self.window.last, self._given_up)
        if number - 1 > known:
            missing = Counter({UNKNOWN_LEVEL: number - 1 - known})
            with self._box.accumulator.lock:
                self._box.lose(DAMAGED, missing)
        super().skip(number)

    @property
    def dropped_total(self) -> int:
        """Rows dropped under this producer id that never had a number."""
        with self._box.accumulator.lock:  # callers may drop for a new reason
            return self._box.dropped_total - self.dropped_before

    def _note(self, spool: Spool) -> None:
        """Write down how far it is, for who adopts the spool."""
        spool.note(Mark(self.window.durable, self.dropped_total))

    def give_up(self) -> None:
        """Make room at the oldest end: a segment of the spool, or a share of memory."""
        spool = self.spool
        if spool is None or self._broken or not spool.extents():
            first, last, levels = self._give_up_held()
        else:
            first, last, levels = self._give_up_segment(spool)
        self._calls = deque(
            call for call in self._calls if not first <= call[0] <= last
        )
        with self._box.accumulator.lock:
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

    def _give_up_segment(self, spool: Spool) -> tuple[int, int, Counter[int]]:
        """Its first lost number, its last, and rows by level.

        Under the lock, where callers wait, nothing is read.
        """
        lock = self._box.accumulator.lock
        with lock:
            reach = self._reach()
        oldest = spool.extents()[0]
        partly: Counter[int] = Counter()
        if oldest.first <= reach < oldest.last:
            partly = self._levels_on_disk(reach + 1, oldest.last)
        with lock:  # `always` appends meanwhile
            reach = self._reach()
            oldest = spool.extents()[0]
            spool.drop_oldest()
            self._given_up = max(self._given_up, oldest.last)
        return reach + 1, oldest.last, _levels_above(reach, oldest, partly)

    def _reach(self) -> int:
        """What memory has up to here is not lost with the spool."""
        reach = self.window.last
        if self.always:
            reach += sum(pending.encoded.span for pending in self._pending)
            reach += self._box.accumulator.numbers
        return max(reach, self._given_up)

    def _levels_on_disk(self, first: int, last: int) -> Counter[int]:
        try:
            return self.levels(first, last)
        except DeliveryError:
            return +Counter({UNKNOWN_LEVEL: last + 1 - first})

    # other producer ids, and the end

    def renew(self, trusted: int, now: int) -> None:
        """Go on as a new producer with all numbers above `trusted`.

        Somebody else has sent with this one's id: what the ingester says of it is not
        to be believed any more.
        """
        with self._box.accumulator.lock:
            old, spool, spooled = self.window, self.spool, self._spooled
            self.producer = os.urandom(PRODUCER_BYTES)
            self.window = Window(self.producer, now, limit_bytes=self.budget)
            self.spool = new_spool(self._limits, self.producer)
            self.last -= trusted
            self.base += trusted
            self.dropped_before = self._box.dropped_total
            self._spooled, self._given_up = 0, max(0, self._given_up - trusted)
            self._calls = deque(
                (first - trusted, rows, call) for first, rows, call in self._calls
            )
            for held in old.held:
                self.window.skip(held.sequence - trusted)
                self.hold(Encoded(held.payload, held.count, held.span), held.flush)
            self.window.skip(old.last + 1 - trusted)
            self._box.forged += 1
            if spool is not None and self.spool is not None:
                if spooled > trusted:
                    self._take_over(spool, old.last + 1, spooled, trusted, now)
                spool.close(remove=True)

    def _take_over(
        self, old: Spool, first: int, last: int, shift: int, now: int
    ) -> None:
        """Have in the new spool what is in the old one; what can't be is lost."""
        assert self.spool is not None
        done = first - 1
        size = self._limits.batch_bytes
        try:
            self._spill()
            done = copy_records(old, self.spool, first, last, shift, size)
        except DeliveryError as error:
            self.failed(error, now)
        self._spooled = max(self._spooled, done - shift)
        if last > done:
            self._box.lose(FORGED, Counter({UNKNOWN_LEVEL: last - done}))
            self.window.skip(self.window.last + 1)

    def leave(self, portions: Iterable[Portion], now: int) -> None:
        """Leave what is not durable to the next session; what can't be is counted."""
        if self.always:
            self._lose_unspooled(portions)
        else:
            for portion in portions:
                ready = portion.ready
                batches = (
                    self._encoder.encode(portion.rows)
                    if ready is None
                    else [Encoded(*ready[:3])]
                )
                self.queue(batches, flush=False)
            self._leave_held(now)
        box = self._box
        if self.spool is not None:
            box.spooled = self._rows_on_disk(self.spool)
            self._note(self.spool)
            self.spool.close()
        with box.accumulator.lock:
            logged = box.accumulator.accepted - box.evicted
            box.settled = logged - box.spooled

    def _rows_on_disk(self, spool: Spool) -> int:
        """Rows that an adopter will find above what is durable."""
        durable = self.window.durable
        rows = 0
        for extent in spool.extents():
            if extent.first > durable:
                rows += extent.levels.total()
            elif extent.last > durable:
                rows += self._levels_on_disk(durable + 1, extent.last).total()
        return rows

    def _lose_unspooled(self, portions: Iterable[Portion] = ()) -> None:
        """Count what has its number in memory only: the spool has given it up."""
        lost: Counter[int] = Counter()
        for held in self.window.held:
            if held.sequence > self._given_up:
                break
            lost += levels_lost(held.payload)
            if held.last > self._given_up:  # rows were spooled one by one
                lost -= self._levels_on_disk(self._given_up + 1, held.last)
        number = self.window.last
        for portion in portions:
            if portion.ready is None:
                known = max(0, self._given_up - number)
                lost.update(row[2] for row in portion.rows[:known])
                number += len(portion.rows)
            else:
                if number < self._given_up:
                    lost += levels_lost(portion.ready.payload)
                number += portion.ready.span
        if lost:
            with self._box.accumulator.lock:
                self._box.lose(CLOSED, lost)

    def _leave_held(self, now: int) -> None:
        """Spool all that is held and pending, as far as it goes; else it is dropped."""
        self._retry_at = 0
        while self._spill_all(now):
            if not self._can_give_up():
                break
            self.give_up()
        self._lose_unspooled()
        lost: Counter[int] = Counter()
        for held in self.window.held:
            if held.sequence > self._spooled:
                lost += levels_lost(held.payload)
        for pending in self._pending:
            lost += levels_lost(pending.encoded.payload)
        if lost:
            with self._box.accumulator.lock:
                self._box.abandon(lost)

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


def _levels_above(reach: int, given_up: Extent, partly: Counter[int]) -> Counter[int]:
    """Of a segment the rows above `reach`; `partly` are those if it is inside of it."""
    if reach < given_up.first:
        return given_up.levels
    return partly if reach < given_up.last else Counter()
