"""Rows from many threads, taken in portions by one sender; bounded by what they cost.

Pure: no clock, no thread but a lock.  The bound counts a row as its message's length
plus what rows of this sender have cost so far, so that a call does not have to walk its
metadata; every sixteenth row or so is walked, and corrects what those before it missed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipeline.batch.encode import Row
from pipeline.collectors.cost import cost_beside_message

OnDurable = Callable[[bytes, int, int], None]
"""Called on the sender's thread with producer, first number and count of a batch."""

READY_COST: Final = 500
"""Bytes of a batch in memory beside its payload."""

_FIRST_GUESS: Final = 1000
"""Bytes of a row beside its message before one has been measured."""

_GAPS: Final = 31
"""Rows between two that are walked: a changing number up to this one."""

_LEARNING: Final = 8
_FIRST_SHARE: Final = 4.0
"""What a row costs in memory, in bytes of it encoded, before that was measured."""


class Ready(NamedTuple):
    """A batch encoded by its caller: so many rows of `span` numbers."""

    payload: bytes
    rows: int
    span: int
    on_durable: OnDurable | None = None


@dataclass(slots=True)
class Portion:
    """What becomes a batch: rows, or one that is encoded already."""

    rows: list[Row]
    cost: int
    ready: Ready | None = None


class Accumulator:
    """Rows that wait to be encoded: full portions, and one that is filling."""

    def __init__(self, memory_bytes: int, batch_rows: int, batch_bytes: int) -> None:
        # Reentrant: a signal's handler may log in the middle of a call that logs.
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.rows: list[Row] = []
        """The portion that is filling."""
        self.full: deque[Portion] = deque()
        self.accepted = 0
        """Rows that ever came in."""
        self.row_cost = _FIRST_GUESS
        """Bytes of a row beside its message."""
        self._memory_bytes = memory_bytes
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._batch_cost = int(batch_bytes * _FIRST_SHARE)
        self._held = 0
        self._full_cost = 0
        self._filling = 0
        self._free = memory_bytes
        """For the portion that is filling."""
        self._walk_at = 0
        self._walked = -1

    def append(self, row: Row) -> bool | None:
        """Keep a row, under the lock; None when there is no room for it.

        Otherwise whether the sender should be woken: for the first row of a portion,
        which starts its linger, and for the row that fills it.
        """
        rows = self.rows
        count = len(rows)
        size = len(row[3]) + self.row_cost
        if count == self._walk_at:
            size += self._walk(row, count)
        filling = self._filling + size
        if filling > self._free and (count or self.full or self._free < 0):
            return None
        rows.append(row)
        self._filling = filling
        self.accepted += 1
        if count + 1 == self._batch_rows or filling >= self._batch_cost:
            self._end_portion()
            return True
        return not count

    def append_ready(self, ready: Ready) -> bool:
        """Keep an encoded batch behind the rows, under the lock; False: no room."""
        cost = len(ready.payload) + READY_COST
        if self._filling + cost > self._free:
            return False
        self.put(ready)
        return True

    def put(self, ready: Ready) -> None:
        """Keep an encoded batch whatever it costs, under the lock."""
        cost = len(ready.payload) + READY_COST
        if self.rows:
            self._end_portion()
        self.full.append(Portion([], cost, ready))
        self._full_cost += cost
        self.accepted += ready.span
        self._recount()

    def close(self) -> None:
        """Have no room from now on; under the lock."""
        self._memory_bytes = -1 << 60
        self._recount()

    def hold(self, held: int) -> None:
        """So many bytes are held elsewhere, within the same bound."""
        with self.lock:
            self._held = held
            self._recount()

    @property
    def cost(self) -> int:
        """Bytes of memory that wait here and are held elsewhere."""
        return self._held + self._full_cost + self._filling

    @property
    def numbers(self) -> int:
        """How many numbers what waits has, or will have."""
        full = (p.ready.span if p.ready else len(p.rows) for p in self.full)
        return sum(full) + len(self.rows)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self.rows or self.full)

    def take(self) -> Portion:
        """The next portion: a full one, else what waits."""
        with self.lock:
            if not self.full:
                self._end_portion()
            portion = self.full.popleft()
            self._full_cost -= portion.cost
            self._recount()
            return portion

    def evict(self, below: int, *, newest: bool) -> int | None:
        """Take out a waiting row of the lowest level, if that is below; its level.

        Under the lock; of several the newest or the oldest one.
        """
        levels = [
            row[2] for rows in (*(p.rows for p in self.full), self.rows) for row in rows
        ]
        lowest = min(levels, default=below)
        if lowest >= below:
            return None
        place = levels.index(lowest)
        if newest:
            place = len(levels) - 1 - levels[::-1].index(lowest)
        for portion in self.full:
            if place < len(portion.rows):
                share = portion.cost // len(portion.rows)
                del portion.rows[place]
                portion.cost -= share
                self._full_cost -= share
                self._recount()
                return lowest
            place -= len(portion.rows)
        self._filling -= self._filling // len(self.rows)
        del self.rows[place]
        return lowest

    def measured(self, cost: int, encoded_bytes: int) -> None:
        """Learn from an encoded portion what its bytes had cost in memory."""
        share = max(1.0, cost / max(1, encoded_bytes))
        before = self._batch_cost / self._batch_bytes
        mean = before + (share - before) / _LEARNING
        self._batch_cost = int(self._batch_bytes * mean)

    def _walk(self, row: Row, count: int) -> int:
        """Learn from a row; what it and those since the last one have cost more."""
        found = cost_beside_message(row)
        missed = (found - self.row_cost) * (count - self._walked)
        self.row_cost += (found - self.row_cost) // _LEARNING
        self._walked = count
        # bits of the time: rows may differ in turns
        self._walk_at = count + 1 + (row[0] >> 6) % _GAPS
        return max(0, missed)

    def _end_portion(self) -> None:
        # The new one stands before anything is called that a signal could follow.
        fresh: list[Row] = []
        rows, self.rows = self.rows, fresh
        cost, self._filling = self._filling, 0
        self._walk_at, self._walked = 0, -1
        self.full.append(Portion(rows, cost))
        self._full_cost += cost
        self._recount()

    def _recount(self) -> None:
        self._free = self._memory_bytes - self._held - self._full_cost
