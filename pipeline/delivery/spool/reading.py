"""Records of segments in the order of their numbers; damage is stepped over."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from pipeline.delivery.spool.records import (
    BATCH,
    HEAD_BYTES,
    ROW,
    Damage,
    Found,
    Record,
    Rows,
    maybe_batch,
    maybe_row,
)
from pipeline.delivery.spool.segment import Segment


class Reader:
    """Goes on where it was when it is asked for the numbers that follow."""

    def __init__(self) -> None:
        self.damaged = 0
        self._segment: Segment | None = None
        """Where it has ended, with the place there and the number expected next."""
        self._place = HEAD_BYTES
        self._expected = 0

    def read(
        self, there: Iterable[tuple[Segment, int]], number: int, rows: int, size: int
    ) -> list[Record]:
        """Records from `number` on of segments up to their ends; as `Spool.read`."""
        found: list[Record] = []
        for segment, end in there:
            goes_on = segment is self._segment and number >= self._expected
            with suppress(FileNotFoundError):  # given up meanwhile
                for item in segment.walk(self._place if goes_on else HEAD_BYTES, end):
                    if isinstance(item, Damage):
                        self._damage(segment, item.place)
                        continue
                    if item.last < number:
                        continue
                    if found and (rows < item.rows or size < len(item.body)):
                        return found
                    if not _append(item, found):
                        self._damage(segment, item.place)
                    rows -= item.rows
                    size -= len(item.body)
                    self._segment, self._place = segment, item.end
                    self._expected = item.last + 1
        return found

    def _damage(self, segment: Segment, place: int) -> None:
        """Count a place once, however often it is read again."""
        if place not in segment.damaged:
            segment.damaged.add(place)
            self.damaged += 1


def _append(item: Found, found: list[Record]) -> bool:
    """Add what a record holds; whether it holds something known."""
    if item.kind == BATCH and (batch := maybe_batch(item)) is not None:
        found.append(batch)
        return True
    if item.kind == ROW and (row := maybe_row(item)) is not None:
        before = found[-1] if found else None
        if isinstance(before, Rows) and item.number == before.number + len(before.rows):
            before.rows.append(row)
        else:
            found.append(Rows(item.number, [row]))
        return True
    return False
