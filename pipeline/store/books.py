"""Are blocks, marks and counters of one time? One transaction wrote what must agree."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from pipeline.errors import FrameError, StoreError
from pipeline.store import chain
from pipeline.store.pages import PageError, Value
from pipeline.store.rows import BlockRow, CompactedRow
from pipeline.store.runs import parse_runs
from pipeline.store.schema import (
    COMPACTED,
    LAST,
    LAST_COMPACTED,
    REMOVED,
    REMOVED_COMPACTED,
)

NEWEST: Final = 64
"""Blocks whose numbers are compared with the producers' marks: a mark older than they
would let in again what is stored."""

NEWEST_COMPACTED: Final = 4
"""Of compacted ones, which have as many rows as dozens of others."""


class Books:
    """What was found of a database, in any order."""

    def __init__(self) -> None:
        self._newest: deque[BlockRow] = deque(maxlen=NEWEST)
        self._compacted: deque[CompactedRow] = deque(maxlen=NEWEST_COMPACTED)
        self._blocks = self._compacted_blocks = 0
        self._last = self._last_compacted = 0
        self._marks: dict[bytes, tuple[int, int]] = {}
        """Durable number and newest block of each producer."""

        self._meta: dict[str, int] = {}
        self._event: tuple[int, bytes] | None = None
        """Number and hash of the newest event of the chain."""

    def add_block(self, row: BlockRow) -> None:
        """A fresh block."""
        self._newest.append(row)
        self._blocks += 1
        self._last = max(self._last, row.id)

    def add_compacted(self, row: CompactedRow) -> None:
        """A compacted block."""
        self._compacted.append(row)
        self._compacted_blocks += 1
        self._last = max(self._last, row.last)
        self._last_compacted = max(self._last_compacted, row.id - COMPACTED)

    def add_mark(self, row: Sequence[Any]) -> None:
        """A producer's row."""
        self._marks[row[0]] = row[2], row[12]

    def add_event(self, row: tuple[int, bytes, bytes]) -> None:
        """A row of the chain; raises PageError when it does not follow the one before.

        The first one is a state, which holds the hash before it.
        """
        number, head, packed = row
        previous = self._event
        self._event = number, head
        if previous is None:
            sound = chain.linked([row]) == [row]
        else:
            sound = number == previous[0] + 1
            sound = sound and head == chain.hash_of(previous[1], packed)
        if not sound:
            raise PageError(f"event {number} of the chain does not follow the others")

    def add_pair(self, key: Value, value: Value) -> None:
        """A pair of `meta`."""
        if isinstance(value, int):
            self._meta[str(key)] = value

    def check(self) -> None:
        """Raise PageError unless all of it agrees."""
        meta = self._meta
        last = max([self._last, *(block for _, block in self._marks.values())])
        last = max(last, meta.get(LAST, 0))
        _check_absent("blocks", last, self._blocks + meta.get(REMOVED, 0))
        last = max(
            self._last_compacted, meta.get(LAST_COMPACTED, COMPACTED) - COMPACTED
        )
        known = self._compacted_blocks + meta.get(REMOVED_COMPACTED, 0)
        _check_absent("compacted blocks", last, known)
        for fresh in self._newest:
            self._check_marks(fresh.id, fresh.runs)
        for row in self._compacted:
            if row.rows:
                self._check_marks(row.id, row.runs)

    def _check_marks(self, block_id: int, runs: bytes) -> None:
        for producer, number in last_numbers(block_id, runs).items():
            mark = self._marks.get(producer)
            if mark is not None and mark[0] < number:
                raise PageError(f"a producer's mark is older than block {block_id}")


def _check_absent(what: str, last: int, known: int) -> None:
    if last != known:
        raise PageError(f"{last - known} of {last} {what} have no row")


def last_numbers(block_id: int, packed: bytes) -> dict[bytes, int]:
    """The highest number of each producer in a block's runs; raises PageError."""
    try:
        runs = parse_runs(packed)
    except (FrameError, StoreError) as error:
        raise PageError(f"block {block_id}: {error}") from None
    found: dict[bytes, int] = {}
    ends = (runs.firsts + runs.rows - 1).tolist()
    for code, end in zip(runs.codes.tolist(), ends, strict=True):
        producer = runs.producers[code]
        found[producer] = max(end, found.get(producer, 0))
    return found
