"""What a producer has numbered: the oldest in a window, the others in its spool.

The window is bounded by its share of memory; as it empties, what follows is read from
the spool.  Numbers that the spool has lost are skipped: the ingester counts them.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from pipeline.batch.encode import Row
from pipeline.batch.levels import UNKNOWN_LEVEL, levels_of
from pipeline.collectors.encoding import Encoded, Encoder
from pipeline.collectors.outbox import Limits
from pipeline.delivery.spool import Batch, Record, Rows, Spool
from pipeline.delivery.window import HELD_COST, Window
from pipeline.errors import FrameError
from pipeline.wire.frame import Codec

_COUNT_ROWS: Final = 100_000
"""Rows read at a time where only their levels matter."""


class Backlog:
    """A window and the spool behind it; for one thread."""

    def __init__(
        self, window: Window, spool: Spool | None, encoder: Encoder, limits: Limits
    ) -> None:
        self.window = window
        self.spool = spool
        self.cut_at = 0
        """A number where a batch has to end: the ingester has taken up to there."""
        self.flush = False
        """Whether somebody waits for what is read."""
        self.rows = 0
        """Read from the spool."""
        self._encoder = encoder
        self._limits = limits
        self.budget = limits.window_bytes

    def has_room(self, size: int = 0) -> bool:
        """Whether a batch of this size may be held; one always may."""
        cost = self.window.cost + size + HELD_COST
        return self.window.is_empty or cost <= self.budget

    def refill(self, last: int) -> None:
        """Read on up to number `last`, as far as there is room.

        Raises DeliveryError.
        """
        if self.spool is None:
            return
        size = min(self._limits.batch_bytes, self.budget)
        while self.window.last < last and self.has_room(size // 4):
            following = self.window.last + 1
            records = self.spool.read(following, self._limits.batch_rows, size)
            if not records:
                self.skip(last + 1)
            for record in records:
                self._read(record)

    def levels(self, first: int, last: int) -> Counter[int]:
        """How many rows of each level the spool holds there; raises DeliveryError."""
        found: Counter[int] = Counter()
        number = first
        while number <= last and self.spool is not None:
            size = self._limits.batch_bytes
            records = self.spool.read(number, _COUNT_ROWS, size)
            for record in records:
                at, end = _numbers(record)
                if at > last:
                    break
                found[UNKNOWN_LEVEL] += max(0, at - number)
                found.update(_levels_in(record, number, last))
                number = max(number, end + 1)
            if not records or at > last:
                break
        found[UNKNOWN_LEVEL] += max(0, last + 1 - number)
        return +found

    def _read(self, record: Record) -> None:
        if isinstance(record, Rows):
            self._read_rows(record.number, record.rows)
            return
        if record.sequence <= self.window.last:
            # A batch is sent whole by whoever sends it, so that what the ingester has
            # taken never ends inside of one.  If it does, the rest is given up: rows of
            # another kind must not get these numbers.
            self.skip(record.sequence + record.span)
            return
        self.skip(record.sequence)
        self.rows += record.count
        self.hold(Encoded(record.payload, record.count, record.span), self.flush)

    def _read_rows(self, number: int, rows: list[Row]) -> None:
        known = max(0, self.window.last + 1 - number)
        rows = rows[known:]
        number += known
        if not rows:
            return
        self.skip(number)
        self.rows += len(rows)
        cut = self.cut_at + 1 - number
        parts = [rows[:cut], rows[cut:]] if 0 < cut < len(rows) else [rows]
        for part in parts:
            for encoded in self._encoder.encode(part):
                self.hold(encoded, self.flush)

    def skip(self, number: int) -> None:
        """Go on with this number: the spool does not have those before it."""
        self.window.skip(number)

    def hold(self, encoded: Encoded, flush: bool) -> int:
        """Give the window a batch; its first number."""
        payload, count, span = encoded
        return self.window.add(payload, count, Codec(0), span=span, flush=flush)


def levels_lost(payload: bytes) -> Counter[int]:
    """Rows of a batch by level, whatever state it is in."""
    try:
        return levels_of(payload)
    except FrameError:
        return Counter()


def _numbers(record: Record) -> tuple[int, int]:
    """The first and the last number of a record."""
    if isinstance(record, Rows):
        return record.number, record.number + len(record.rows) - 1
    return record.sequence, record.sequence + record.span - 1


def _levels_in(record: Record, first: int, last: int) -> Counter[int]:
    if isinstance(record, Batch):
        return levels_lost(record.payload) if record.sequence >= first else Counter()
    start = max(0, first - record.number)
    return Counter(row[2] for row in record.rows[start : last + 1 - record.number])
