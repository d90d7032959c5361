"""What a spool holds: read, released and given up; `spool` appends to it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.batch.levels import UNKNOWN_LEVEL
from pipeline.delivery.spool.lock import Lock
from pipeline.delivery.spool.mark import Mark, pack_mark
from pipeline.delivery.spool.reading import Reader
from pipeline.delivery.spool.records import Record
from pipeline.delivery.spool.segment import Segment
from pipeline.errors import DeliveryError


class Extent(NamedTuple):
    """What a segment holds."""

    first: int
    last: int
    levels: Counter[int]
    """Rows by level, as they were appended."""


class Holding:
    """Segments in the order of their numbers, and who owns them; under one lock."""

    def __init__(
        self,
        folder: Path,
        producer: bytes,
        segment_bytes: int,
        lock: Lock | None,
        segments: Sequence[Segment],
    ) -> None:
        self.folder = folder
        self.producer = producer
        self.bytes = sum(segment.size for segment in segments)
        self.mark = Mark()
        """As the lock file has it."""
        self._segment_bytes = segment_bytes
        self._own = lock
        self._segments = list(segments)
        self._active: Segment | None = None
        self._last = segments[-1].last if segments else 0
        self._durable = 0
        self._reader = Reader()
        self._lock = threading.RLock()

    @property
    def first(self) -> int:
        """The lowest number held; 0 when it is empty."""
        with self._lock:
            if self.is_empty or not self._segments:
                return 0
            return max(self._segments[0].first, self._durable + 1)

    @property
    def last(self) -> int:
        """The highest number held; 0 when it is empty."""
        return 0 if self.is_empty else self._last

    @property
    def appended(self) -> int:
        """The highest number that was ever appended; 0 when none was."""
        return self._last

    @property
    def oldest_last(self) -> int:
        """The highest number that `drop_oldest` would give up; 0 without a segment."""
        with self._lock:
            return self._segments[0].last if self._segments else 0

    def extents(self) -> list[Extent]:
        """What its segments hold, the oldest first."""
        with self._lock:
            return [Extent(s.first, s.last, _levels(s)) for s in self._segments]

    @property
    def damaged(self) -> int:
        """Places where no record could be read; their numbers are lost."""
        return self._reader.damaged

    @property
    def is_empty(self) -> bool:
        """Whether all that was appended is durable or given up."""
        return self._last <= self._durable

    def read(self, number: int, rows: int, size: int) -> list[Record]:
        """Records from `number` on, at least one if there is any.

        As many as `rows` rows and `size` bytes; a batch that `number` is inside of
        comes whole. A damaged record is counted and skipped, so that numbers jump.
        Nothing when no record from `number` on can be read. Raises DeliveryError when a
        segment can't be opened.
        """
        with self._lock:
            there = [(s, s.size) for s in self._segments if s.last >= number]
        try:
            return self._reader.read(there, number, rows, size)
        except OSError as error:
            raise self._error("it can't be read", error) from error

    def release(self, durable: int) -> None:
        """Delete segments that are wholly durable; `durable` never moves back."""
        with self._lock:
            self._durable = max(self._durable, durable)
            gone = []
            while self._segments and self._segments[0].last <= self._durable:
                # A fresh one stays: a file for each acknowledgement would cost more.
                oldest = self._segments[0]
                if oldest is self._active and oldest.size < self._segment_bytes // 4:
                    break
                gone.append(self._take_out())
        for segment in gone:
            segment.remove()

    def note(self, mark: Mark) -> None:
        """Have it in the lock file for who adopts this; numbers there only grow."""
        with self._lock:
            if self._own is None or self.mark == mark:
                return
            mark = Mark(*map(max, self.mark, mark))
            with suppress(OSError):  # an adopter asks the ingester, too
                self._own.write(pack_mark(mark))
                self.mark = mark

    def drop_oldest(self) -> int:
        """Give up the oldest segment; how many rows were not durable."""
        with self._lock:
            if not self._segments:
                return 0
            oldest = self._take_out()
            if not oldest.is_counted:
                with suppress(OSError):
                    oldest.measure()
            numbers = oldest.last - max(oldest.first - 1, self._durable)
            self._durable = max(self._durable, oldest.last)
        oldest.remove()
        return max(0, min(oldest.rows if oldest.is_counted else numbers, numbers))

    def _take_out(self) -> Segment:
        segment = self._segments.pop(0)
        self.bytes -= segment.size
        if segment is self._active:
            self._active = None
        return segment

    def _error(self, problem: str, error: OSError) -> DeliveryError:
        return DeliveryError(self.folder, f"{problem}: {error.strerror or error}")


def _levels(segment: Segment) -> Counter[int]:
    """Of a row whose append a signal has ended the level may not be known."""
    known = segment.levels
    return known + Counter({UNKNOWN_LEVEL: segment.rows - known.total()})
