"""How many entries and blocks count, from the rows of both tables; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.store.live import Live

FRESH_QUERY: Final = "SELECT id, id, id, rows FROM blocks ORDER BY id"
COMPACTED_QUERY: Final = "SELECT id, first, last, rows FROM compacted ORDER BY id"
COMPACTED_SINCE: Final = 5
"""`user_version` from which there is the second table."""


class Counted(NamedTuple):
    """A row of either query."""

    id: int
    first: int
    last: int
    rows: int


class Census(NamedTuple):
    """What is stored: blocks that were replaced and wait for their end don't count."""

    entries: int
    blocks: int


def census(*tables: Iterable[Iterable[int]]) -> Census:
    """Of what FRESH_QUERY and then COMPACTED_QUERY have found."""
    live: Live[Counted] = Live()
    for rows in tables:
        for row in rows:
            live.add(Counted(*row))
    counted = [block.rows for block in live.items if block.rows]
    return Census(sum(counted), len(counted))
