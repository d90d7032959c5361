"""Rows from many threads, taken in batches by one sender; bounded in rows and bytes.

Pure: no clock, no thread but a lock.  The bound counts a row as its message's length
plus what rows of this sender have cost so far, so that a call does not have to walk its
metadata.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from pipeline.batch.encode import Row

_FIRST_GUESS: Final = 300
"""Bytes of a row before one has been measured."""


class Accumulator:
    """Rows that wait to be encoded: full batches, and one that is filling."""

    def __init__(self, memory_bytes: int, batch_rows: int, batch_bytes: int) -> None:
        # Reentrant: a signal's handler may log in the middle of a call that logs.
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.rows: list[Row] = []
        """The batch that is filling."""
        self.full: deque[tuple[list[Row], int]] = deque()
        """Full batches with their bytes."""
        self.appended = 0
        """Rows that ever came in."""
        self.held_bytes = 0
        """Bytes of the batches that wait for their acknowledgement."""
        self.row_bytes = _FIRST_GUESS
        self._memory_bytes = memory_bytes
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._waiting_bytes = 0
        self._filling_bytes = 0

    def append(self, row: Row) -> bool | None:
        """Keep a row, under the lock; None when there is no room for it.

        Otherwise whether the sender should be woken: for the first row of a batch,
        which starts its linger, and for the row that fills it.
        """
        size = len(row[3]) + self.row_bytes
        if self.held_bytes + self._waiting_bytes + size > self._memory_bytes:
            return None
        rows = self.rows
        rows.append(row)
        self._waiting_bytes += size
        self._filling_bytes += size
        self.appended += 1
        if len(rows) == self._batch_rows or self._filling_bytes >= self._batch_bytes:
            self._end_batch()
            return True
        return len(rows) == 1

    def close(self) -> None:
        """Have no room from now on; under the lock."""
        self._memory_bytes = -1

    def take(self) -> list[Row]:
        """The rows of the next batch: a full one, else what waits."""
        with self.lock:
            if not self.full:
                self._end_batch()
            rows, size = self.full.popleft()
            self._waiting_bytes -= size
            return rows

    def measured(self, rows: int, payload_bytes: int, message_bytes: int) -> None:
        """Learn from an encoded batch what a row costs beside its message."""
        self.row_bytes = max(64, (payload_bytes - message_bytes) // rows)

    def _end_batch(self) -> None:
        # The new batch stands before anything is called that a signal could follow.
        fresh: list[Row] = []
        rows, self.rows = self.rows, fresh
        size, self._filling_bytes = self._filling_bytes, 0
        self.full.append((rows, size))
