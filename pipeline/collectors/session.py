"""One producer of this process: what is acknowledged, given up, or left to others."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from pipeline.collectors.accumulator import Portion
from pipeline.collectors.backlog import UNKNOWN_LEVEL, levels_lost
from pipeline.collectors.encoding import Encoded
from pipeline.collectors.numbering import Call, Numbering, new_spool
from pipeline.collectors.outbox import CLOSED, FULL
from pipeline.delivery.spool import Spool
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

    def acknowledge(self, reply: Acknowledgement, now: int) -> list[Call]:
        """Take in what the ingester says; calls that are due."""
        if self.window.is_forged(reply):
            reply = self._believed(reply)
        self.window.acknowledge(reply, now)
        if self.spool is not None:
            self.spool.release(self.window.durable)
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
            levels = Counter({UNKNOWN_LEVEL: max(0, last - reach)})
        self.spool.drop_oldest()
        self._given_up = max(self._given_up, last)
        return reach + 1, last, levels

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
