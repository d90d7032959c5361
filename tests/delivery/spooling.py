"""Spools of tests: rows that tell their number, and what of them can be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.batch.encode import Row
from pipeline.delivery.spool import Batch, Rows, Spool

NOW = 1_763_800_000_000_000_000
MIB = 1 << 20


def row(number: int, text: str = "a line of the log") -> Row:
    """A row that differs from all others."""
    return (NOW, "web", 9, f"{number} {text}", {"n": number}, ["t"], None)


def spool_in(folder: Path, **changes: Any) -> Spool:
    """A spool of a producer of its own."""
    return Spool(folder, os.urandom(16), **{"limit_bytes": MIB, **changes})


def filled(folder: Path, rows: int, **changes: Any) -> Spool:
    """With rows from 1 on, appended one by one."""
    spool = spool_in(folder, **changes)
    for number in range(1, rows + 1):
        spool.append_row(number, row(number))
    return spool


def everything(
    spool: Spool, number: int = 1, rows: int = 100, size: int = MIB
) -> dict[int, Row | Batch]:
    """All that can be read, by number, in the order in which it came."""
    found: dict[int, Row | Batch] = {}
    while records := spool.read(number, rows, size):
        for record in records:
            if isinstance(record, Rows):
                pairs = list(enumerate(record.rows, record.number))
                number = record.number + len(record.rows)
            else:
                pairs = [(record.sequence, record)]
                number = record.sequence + record.span
            assert not found.keys() & dict(pairs).keys()
            found.update(pairs)
    assert list(found) == sorted(found)
    return found


def rows_of(numbers: range) -> dict[int, Row]:
    """What `filled` has appended with these numbers."""
    return {number: row(number) for number in numbers}


def segments(folder: Path) -> list[Path]:
    """Files of records, the oldest first."""
    return sorted(folder.glob("*.spool"))
