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

_LEARNED_MORE: Final = 8192
"""Places of rows that may be noted, beyond two for each row that waits."""

_LEARNING: Final = 8
_FIRST_SHARE: Final = 4.0
"""What a row costs in memory, in bytes of it encoded, before that was measured."""


class Ready(NamedTuple):
    """A batch encoded by its caller: so many rows of `span` numbers."""

    payload: bytes
    rows: int
    span: int
    on_durable: OnDurable | None = None


GONE: Final[Row] = (0, "", 0, "", None, None, None)
"""Stands where a row was taken out."""


@dataclass(slots=True, eq=False)
class Portion:
    """What becomes a batch: rows, or one that is encoded already."""

    rows: list[Row]
    cost: int
    ready: Ready | None = None
    gone: int = 0
    """Rows that were taken out."""
    known: int = 0
    """Rows whose levels are known."""
    ended: bool = False
    """Whether all of them are known, and no more come."""

    @property
    def numbers(self) -> int:
        """How many numbers it has, or will have."""
        return self.ready.span if self.ready else len(self.rows) - self.gone


class Accumulator:
    """Rows that wait to be encoded: full portions, and one that is filling.

    Any call may be cut short, by an exception of a signal's handler: all that counts is
    what the portions hold, and what they cost is found anew when they are empty.
    """

    def __init__(self, memory_bytes: int, batch_rows: int, batch_bytes: int) -> None:
        # Reentrant: a signal's handler may log in the middle of a call that logs.
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.full: deque[Portion] = deque()
        self._portion = Portion([], 0)
        """The one that is filling; its end puts it among the full ones."""
        self.rows = self._portion.rows
        self.passed = 0
        """Numbers of what was taken, or goes another way."""
        self.evicted = 0
        """Rows that came in and were taken out again."""
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
        self._places: dict[int, deque[tuple[Portion, int]]] = {}
        """Where rows of a level are, in order; known since one had to be taken out."""
        self._learned = 0
        """Places noted since all of them were noted anew."""
        self._learned_limit = _LEARNED_MORE

    def append(self, row: Row) -> bool | None:
        """Keep a row, under the lock; None when there is no room for it.

        Otherwise whether the sender should be woken: for the first row of a portion,
        which starts its linger, and for the row that fills it.
        """
        count = len(self.rows)
        size = len(row[3]) + self.row_cost
        if count == self._walk_at:
            size += self._walk(row, count)
        filling = self._filling + size
        if filling > self._free and (count or self.full or self._free < 0):
            return None
        self._filling = filling
        # Looked up anew: the handler of a signal may have waited for room since, and
        # the sender has taken what there was.
        self.rows.append(row)
        if count + 1 >= self._batch_rows or filling >= self._batch_cost:
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
        self._full_cost += cost
        self.full.append(Portion([], cost, ready))
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
        self._settle_end()
        return sum(p.numbers for p in self.full) + self._portion.numbers

    @property
    def accepted(self) -> int:
        """Rows that ever came in; under the lock."""
        return self.passed + self.numbers + self.evicted

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self.rows or self.full)

    def take(self) -> Portion:
        """The next portion: a full one, else what waits; it may have no rows left."""
        with self.lock:
            self._settle_end()
            if not self.full:
                self._end_portion()
            portion = self.full.popleft()
            self.passed += portion.numbers
            self._full_cost -= portion.cost
            rows, portion.rows = portion.rows, []
            if portion.gone:
                rows = [row for row in rows if row is not GONE]
            if not self.full:
                self._full_cost = 0
                self._places.clear()
                self._learned = self._portion.known = 0
            self._recount()
            self.room.notify_all()
            return Portion(rows, portion.cost, portion.ready)

    def put_back(self, portion: Portion) -> None:
        """Have a portion again that could not be used; it is the next one."""
        with self.lock:
            self.full.appendleft(portion)
            self.passed -= portion.numbers
            self._full_cost += portion.cost
            self._recount()

    def evict(self, below: int, *, newest: bool) -> int | None:
        """Take out a waiting row of the lowest level, if that is below; its level.

        Under the lock; of several the newest or the oldest one. Costs no more for many
        rows than for few: each is looked at once.
        """
        self._settle_end()
        if self._learned > self._learned_limit:
            self._learned_limit = 2 * self.numbers + _LEARNED_MORE
            if self._learned > self._learned_limit:
                self._forget_gone()
        self._learn_levels()
        for level in sorted(self._places):
            if level >= below:
                break
            places = self._places[level]
            while places:
                portion, place = places.pop() if newest else places.popleft()
                # It may have been sent, or be here twice after a call cut short.
                if place < len(portion.rows) and portion.rows[place] is not GONE:
                    self._take_out(portion, place)
                    return level
            del self._places[level]
        return None

    def _learn_levels(self) -> None:
        """Have the places of rows that came since the last time."""
        fresh = [self._portion]
        for portion in reversed(self.full):
            if portion.ended:
                break
            fresh.append(portion)
        for portion in reversed(fresh):
            rows = portion.rows
            for place in range(portion.known, len(rows)):
                places = self._places.setdefault(rows[place][2], deque())
                places.append((portion, place))
            self._learned += len(rows) - portion.known
            portion.known = len(rows)
            portion.ended = portion is not self._portion

    def _forget_gone(self) -> None:
        """Let go of what was taken out or sent; the rest is noted anew.

        Now and then, so that places and gaps never outnumber the rows by much. A call
        cut short leaves the rows as they are.
        """
        fresh = deque(
            Portion(
                [row for row in portion.rows if row is not GONE],
                portion.cost,
                portion.ready,
            )
            for portion in self.full
            if portion.numbers
        )
        # First the places: those of the old portions must not be used again.
        self._places = {}
        self._portion.known = 0
        self.full = fresh
        self._full_cost = sum(portion.cost for portion in fresh)
        self._recount()
        self._learned = 0

    def _take_out(self, portion: Portion, place: int) -> None:
        rows = portion.rows
        left = len(rows) - portion.gone
        rows[place] = GONE
        portion.gone += 1
        self.evicted += 1
        if portion is self._portion:
            self._filling -= self._filling // left
            if left == 1:
                self._begin_portion()
        else:
            share = portion.cost // left
            portion.cost -= share
            self._full_cost -= share
            self._recount()

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
        """What is filling is full; nothing is lost or there twice wherever it stops."""
        portion = self._portion
        if not (self.full and self.full[-1] is portion):
            portion.cost = self._filling
            self._full_cost += portion.cost
            self.full.append(portion)
        fresh = Portion([], 0)
        # A handler may have begun another one meanwhile; nothing runs between these.
        if self._portion is portion:
            self._portion, self.rows, self._filling = fresh, fresh.rows, 0
        self._walk_at, self._walked = 0, -1
        self._recount()

    def _begin_portion(self) -> None:
        fresh = Portion([], 0)
        self._portion, self.rows, self._filling = fresh, fresh.rows, 0
        self._walk_at, self._walked = 0, -1

    def _settle_end(self) -> None:
        """Go on where the end of a portion was cut short."""
        if self.full and self.full[-1] is self._portion:
            self._end_portion()

    def _recount(self) -> None:
        self._free = self._memory_bytes - self._held - self._full_cost
