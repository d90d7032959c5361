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
        self.message_bytes = 0
        self.held_bytes = 0
        """Bytes of the batches that wait for their acknowledgement."""
        self._memory_bytes = memory_bytes
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._row_bytes = _FIRST_GUESS

    def append(self, row: Row) -> bool | None:
        """Keep a row, under the lock; None when there is no room for it.

        Otherwise whether the sender should be woken: for the first row, which starts
        its linger, and for the row that fills a batch.
        """
        waiting = len(self.rows)
        size = self.message_bytes + waiting * self._row_bytes
        if self.held_bytes + size > self._memory_bytes:
            return None
        self.rows.append(row)
        self.message_bytes += len(row[3])
        return not waiting or waiting + 1 == self._batch_rows

    def close(self) -> None:
        """Have no room from now on; under the lock."""
        self._memory_bytes = -1

    def full(self) -> bool:
        """Whether a batch should be made now, whatever its age."""
        return (
            len(self.rows) >= self._batch_rows
            or self.message_bytes + len(self.rows) * self._row_bytes
            >= self._batch_bytes
        )

    def take(self) -> list[Row]:
        """The rows of the next batch."""
        with self.lock:
            rows = self.rows[: self._batch_rows]
            if self.message_bytes > self._batch_bytes:
                rows = self._by_bytes(rows)
            self.rows = self.rows[len(rows) :]
            self.message_bytes -= sum(len(row[3]) for row in rows)
            return rows

    def measured(self, rows: int, payload_bytes: int, message_bytes: int) -> None:
        """Learn from an encoded batch what a row costs beside its message."""
        self._row_bytes = max(64, (payload_bytes - message_bytes) // rows)

    def _by_bytes(self, rows: list[Row]) -> list[Row]:
        total = 0
        for place, row in enumerate(rows):
            total += len(row[3]) + self._row_bytes
            if place and total > self._batch_bytes:
                return rows[:place]
        return rows
