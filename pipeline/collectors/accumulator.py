"""Rows from many threads, taken in batches by one sender; bounded in rows and bytes.

Pure: no clock, no thread but a lock.  The bound counts a row as its message's length
plus what rows of this sender have cost so far, so that a call does not have to walk its
metadata.
"""

from __future__ import annotations

import threading
from typing import Final

from pipeline.batch.encode import Row

_FIRST_GUESS: Final = 300
"""Bytes of a row before one has been measured."""


class Accumulator:
    """Rows that wait to be encoded."""

    def __init__(self, memory_bytes: int, batch_rows: int, batch_bytes: int) -> None:
        self.lock = threading.Lock()
        self.room = threading.Condition(self.lock)
        self.rows: list[Row] = []
        self.appended = 0
        """Rows that ever came in."""
        self.waiting_bytes = 0
        self.held_bytes = 0
        """Bytes of the batches that wait for their acknowledgement."""
        self.row_bytes = _FIRST_GUESS
        self.memory_bytes = memory_bytes
        self.batch_rows = batch_rows
        self._batch_bytes = batch_bytes

    def append(self, row: Row) -> bool | None:
        """Keep a row, under the lock; None when there is no room for it.

        Otherwise whether the sender should be woken: for the first row, which starts
        its linger, and for the row that fills a batch.
        """
        size = self.waiting_bytes + len(row[3]) + self.row_bytes
        if self.held_bytes + size > self.memory_bytes:
            return None
        rows = self.rows
        rows.append(row)
        self.waiting_bytes = size
        self.appended += 1
        return len(rows) == 1 or len(rows) == self.batch_rows

    def close(self) -> None:
        """Have no room from now on; under the lock."""
        self.memory_bytes = -1

    def full(self) -> bool:
        """Whether a batch should be made now, whatever its age."""
        many = len(self.rows) >= self.batch_rows
        return many or self.waiting_bytes >= self._batch_bytes

    def take(self) -> list[Row]:
        """The rows of the next batch."""
        with self.lock:
            rows = self.rows[: self.batch_rows]
            if self.waiting_bytes > self._batch_bytes:
                rows = self._by_bytes(rows)
            self.rows = self.rows[len(rows) :]
            self.waiting_bytes = self._size(self.rows)
            return rows

    def measured(self, rows: int, payload_bytes: int, message_bytes: int) -> None:
        """Learn from an encoded batch what a row costs beside its message."""
        self.row_bytes = max(64, (payload_bytes - message_bytes) // rows)

    def _size(self, rows: list[Row]) -> int:
        return sum(len(row[3]) for row in rows) + len(rows) * self.row_bytes

    def _by_bytes(self, rows: list[Row]) -> list[Row]:
        total = 0
        for place, row in enumerate(rows):
            total += len(row[3]) + self.row_bytes
            if place and total > self._batch_bytes:
                return rows[:place]
        return rows
