"""What was produced against what the store and its ledger say, to the entry.

Only what the database itself keeps counts: counters of processes die with them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pipeline.store.reader import Reader
from pipeline.store.runs import entries_by_producer, parse_runs
from pipeline.store.schema import COMPACTED, DELETED


class Account(NamedTuple):
    """Entries of all sessions of collectors; those of the pipeline itself apart."""

    produced: int
    """By those who logged."""

    dropped: int
    """Of them, by collectors whose memory and spool were full."""

    present: int
    deleted: int
    """By retention, or a rule of it."""

    rejected: int
    lost: int
    doubled: int
    unbalanced: int
    """Producers whose ledger is not what is stored and what was deleted."""

    own: int
    """Entries that the pipeline has logged about itself, present or deleted."""

    @property
    def balances(self) -> bool:
        """Whether each entry is there, was deleted or was refused with a reason."""
        accounted = self.present + self.deleted + self.rejected + self.dropped
        return (
            self.produced == accounted
            and not self.lost
            and not self.doubled
            and not self.unbalanced
        )

    def text(self) -> str:
        """One line."""
        return (
            f"produced {self.produced:,} = stored {self.present:,} + deleted"
            f" {self.deleted:,} + rejected {self.rejected:,} + dropped"
            f" {self.dropped:,}: {'equal' if self.balances else 'NOT EQUAL'}; lost"
            f" {self.lost:,}, twice {self.doubled:,}, unbalanced {self.unbalanced};"
            f" {self.own:,} of its own"
        )


def account(database: Path, produced: int, dropped: int, sources: Set[str]) -> Account:
    """Of a database that nobody writes any more; `sources` are those who logged."""
    uri = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        present = Counter[bytes]()
        for runs in _runs(database, connection):
            present.update(entries_by_producer(parse_runs(runs)))
        deleted = Counter(
            {
                bytes.fromhex(key.removeprefix(DELETED)): count
                for key, count in connection.execute("SELECT key, value FROM meta")
                if key.startswith(DELETED)
            }
        )
        rows = connection.execute(
            "SELECT id, source, durable, stored, rejected, lost FROM producers"
        ).fetchall()
    sums = Counter[str]()
    for producer, source, durable, stored, rejected, lost in rows:
        here = present[producer] + deleted[producer]
        if source not in sources:
            sums["own"] += here
            continue
        sums["present"] += present[producer]
        sums["deleted"] += deleted[producer]
        sums["rejected"] += rejected
        sums["lost"] += lost
        sums["doubled"] += max(0, here - stored)
        sums["unbalanced"] += here != stored or durable != stored + rejected + lost
    return Account(
        produced,
        dropped,
        *(sums[name] for name in ("present", "deleted", "rejected", "lost")),
        *(sums[name] for name in ("doubled", "unbalanced", "own")),
    )


def _runs(database: Path, connection: sqlite3.Connection) -> Iterator[bytes]:
    """Of each live block: who sent how many of its rows."""
    with closing(Reader(database)) as reader:
        reader.refresh()
        for header in reader.headers:
            table = "compacted" if header.id >= COMPACTED else "blocks"
            query = f"SELECT runs FROM {table} WHERE id = ?"
            yield connection.execute(query, (header.id,)).fetchone()[0]
