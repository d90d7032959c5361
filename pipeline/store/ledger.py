"""The producers' marks after salvaging: what was stored and can't be read is lost.

No I/O: rows of producers and headers of blocks go in, rows of producers come out.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgpack

from pipeline.batch.pack import pack
from pipeline.errors import FrameError
from pipeline.store.block import parse_runs
from pipeline.store.pages import Value
from pipeline.store.rows import BlockRow

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
        self.blocks = 0
        self.entries = 0
        self._highest = 0
        self._marks: dict[bytes, list[Any]] = {}
        self._held: dict[bytes, _Held] = {}

    def add_mark(self, row: list[Value]) -> None:
        """A producer's row; of several the newest counts."""
        values: list[Any] = list(row)
        known = self._marks.get(values[0])
        if known is None or known[2] <= values[2]:
            self._marks[values[0]] = values

    def add_block(self, row: BlockRow) -> None:
        """A block that is kept."""
        self.blocks += 1
        self.entries += row.rows
        self._highest = max(self._highest, row.id)
        try:
            runs = parse_runs(row.runs)
        except FrameError:  # its checksum is right: it was written like this
            return
        ends = runs.firsts + runs.rows - 1
        columns = (runs.codes, ends, runs.rows)
        for code, end, rows in zip(*(each.tolist() for each in columns), strict=True):
            producer = runs.producers[code]
            held = self._held.get(producer, _Held())
            self._held[producer] = _Held(
                held.entries + rows,
                max(held.highest, end),
                max(held.seen, row.committed),
            )

    def close(self, *, rebuild: bool) -> Account:
        """The rows; `rebuild` those of producers that only blocks know of."""
        if rebuild:
            for producer in self._held.keys() - self._marks.keys():
                self._marks[producer] = _unknown(producer, self._held[producer])
        rows = list(self._marks.values())
        last = max([self._highest, *(row[12] for row in rows)])
        lost = sum(_settle(row, self._held.get(row[0], _Held()), last) for row in rows)
        return Account(rows, lost, last)


def _unknown(producer: bytes, held: _Held) -> list[Any]:
    # what was rejected is not known any more, and counted as lost
    marks = [producer, "session", held.highest, held.highest, 0, 0, 0, 0, held.seen]
    return [*marks, 0, 0, _NO_REASONS, 0, "", 0]


def _settle(row: list[Any], held: _Held, last: int) -> int:
    """Bring a row in line with what is held; how many entries it loses."""
    kind, durable, stored, lost, rejected = (row[place] for place in (1, 2, 3, 4, 6))
    missing: int = stored - held.entries
    row[2], row[3], row[12] = max(durable, held.highest), held.entries, last
    if kind == "file":
        reasons = msgpack.unpackb(row[11])
        if missing > 0:
            reasons[UNREADABLE] = reasons.get(UNREADABLE, 0) + missing
            row[6], row[11] = rejected + missing, pack(reasons)
        return max(0, missing)
    numbered = rejected if kind == "session" else 0
    row[4] = max(0, row[2] - held.entries - numbered)
    newly_lost: int = row[4] - lost
    return max(0, newly_lost)
