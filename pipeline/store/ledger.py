"""The producers' marks after salvaging: what was stored and can't be read is lost.

No I/O: rows of producers and headers of blocks go in, rows of producers come out.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgpack

from pipeline.batch.pack import pack
from pipeline.errors import FrameError
from pipeline.store.pages import Value
from pipeline.store.runs import parse_runs

UNREADABLE: Final = "unreadable"
"""Reason under which a file's entries are counted that can't be read any more: its
numbers are bytes, and of these nothing is known."""

_NO_REASONS: Final = b"\x80"


class Account(NamedTuple):
    """Rows of `producers` but for their checksums; what they say is lost."""

    rows: list[list[Any]]
    lost: int
    last_block: int


class _Held(NamedTuple):
    """What the readable blocks hold of a producer."""

    entries: int = 0
    highest: int = 0
    seen: int = 0


class Ledger:
    """Marks and blocks as they are found, in any order."""

    def __init__(self) -> None:
        self.entries = 0
        self.deleted: dict[bytes, int] = {}
        """Of producers: entries that somebody wanted to be gone, or retention."""

        self._highest = 0
        self._marks: dict[bytes, list[Any]] = {}
        self._held: dict[bytes, _Held] = {}

    def add_mark(self, row: list[Value]) -> None:
        """A producer's row; of several the newest counts."""
        values: list[Any] = list(row)
        known = self._marks.get(values[0])
        if known is None or known[2] <= values[2]:
            self._marks[values[0]] = values

    def add_numbers(self, last: int) -> None:
        """A commit number that was given."""
        self._highest = max(self._highest, last)

    def add_block(self, rows: int, packed: bytes, committed: int) -> None:
        """A live block that is kept."""
        self.entries += rows
        try:
            runs = parse_runs(packed)
        except FrameError:  # its checksum is right: it was written like this
            return
        ends = runs.firsts + runs.rows - 1
        columns = (runs.codes, ends, runs.rows)
        for code, end, count in zip(*(each.tolist() for each in columns), strict=True):
            producer = runs.producers[code]
            held = self._held.get(producer, _Held())
            self._held[producer] = _Held(
                held.entries + count,
                max(held.highest, end),
                max(held.seen, committed),
            )

    def close(self, *, rebuild: bool) -> Account:
        """The rows; `rebuild` those of producers that only blocks know of."""
        if rebuild:
            for producer in self._held.keys() - self._marks.keys():
                self._marks[producer] = _unknown(producer, self._held[producer])
        rows = list(self._marks.values())
        last = max([self._highest, *(row[12] for row in rows)])
        lost = 0
        for row in rows:
            held, deleted = self._held.get(row[0], _Held()), self.deleted.get(row[0], 0)
            # those of a lost tombstone are back
            deleted = max(0, min(deleted, row[3] - held.entries))
            lost += _settle(row, held, deleted, last)
        return Account(rows, lost, last)


def _unknown(producer: bytes, held: _Held) -> list[Any]:
    # what was rejected is not known any more, and counted as lost
    marks = [producer, "session", held.highest, held.highest, 0, 0, 0, 0, held.seen]
    return [*marks, 0, 0, _NO_REASONS, 0, "", 0]


def _settle(row: list[Any], held: _Held, deleted: int, last: int) -> int:
    """Bring a row in line with what is held; how many entries it loses."""
    entries = held.entries + deleted
    kind, durable, stored, lost, rejected = (row[place] for place in (1, 2, 3, 4, 6))
    missing: int = stored - entries
    row[2], row[3], row[12] = max(durable, held.highest), entries, last
    if kind == "file":
        reasons = msgpack.unpackb(row[11])
        if missing > 0:
            reasons[UNREADABLE] = reasons.get(UNREADABLE, 0) + missing
            row[6], row[11] = rejected + missing, pack(reasons)
        return max(0, missing)
    numbered = rejected if kind == "session" else 0
    row[4] = max(0, row[2] - entries - numbered)
    newly_lost: int = row[4] - lost
    return max(0, newly_lost)
