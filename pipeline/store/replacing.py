"""Blocks that take others' place, and those that they replaced: the writer's part.

A replaced row stays for those who are reading it; `purge` deletes rows when nobody can
any more. All of it runs inside the writer's transactions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pipeline.errors import StoreError
from pipeline.store.block import Sealed
from pipeline.store.bound import bind
from pipeline.store.compacted import Compacted, Template, header_checksum, tombstone
from pipeline.store.cuts import cut, every_key
from pipeline.store.database import Connection
from pipeline.store.live import Live
from pipeline.store.runs import entries_by_producer, parse_runs
from pipeline.store.schema import (
    COMPACTED,
    DELETED,
    FILTER_BITS,
    LAST,
    LAST_COMPACTED,
    PURGED,
    REMOVED,
    REMOVED_COMPACTED,
)
from pipeline.store.template_table import signed, template_row


class Range(NamedTuple):
    """A block as the writer knows it."""

    id: int
    first: int
    last: int
    rows: int
    size: int = 0
    """Bytes of its data; what the header takes comes on top."""

    committed: int = 0
    """When the newest of its commits was, in ns."""


class _Replaced(NamedTuple):
    by: int
    block: Range
    is_dropped: bool
    """Whether nothing has its rows now."""


class Replacing:
    """Which blocks are live, and the statements that change it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._live: Live[Range] = Live()
        self._replaced: deque[_Replaced] = deque()
        """Rows that another block stands for, in the order that they were replaced."""

        rows = "SELECT id, id, id, rows, bytes, committed FROM blocks ORDER BY id"
        compacted = (
            "SELECT id, first, last, rows, bytes, committed FROM compacted ORDER BY id"
        )
        for statement in (rows, compacted):
            for row in connection.execute(statement):
                self._note(Range(*row))
        self.last_compacted = max(
            [COMPACTED, self._meta(LAST_COMPACTED), *self._compacted_ids()]
        )

    def _compacted_ids(self) -> list[int]:
        ids = [block.id for block in self._live.items]
        return ids + [replaced.by for replaced in self._replaced]

    def last_commit(self) -> int:
        """The highest number that a commit has had, as far as blocks and meta tell."""
        ends = [block.last for block in self._live.items[-1:]]
        return max([0, self._meta(LAST), self._meta(REMOVED), *ends])

    def note(self, numbers: Iterable[int], blocks: Iterable[Sealed], now: int) -> None:
        """See blocks that were committed."""
        for number, block in zip(numbers, blocks, strict=True):
            size = len(block.data)
            self._note(Range(number, number, number, block.rows, size, now))

    @property
    def live(self) -> Sequence[Range]:
        """The blocks that count, in the order of their commits."""
        return [block for block in self._live.items if block.rows]

    @property
    def dropped_bytes(self) -> int:
        """Of data under tombstones, which is there for those who are reading it."""
        return sum(each.block.size for each in self._replaced if each.is_dropped)

    @property
    def replaced_bytes(self) -> int:
        """Of all data that is there only for those who are reading it."""
        return sum(each.block.size for each in self._replaced)

    def _note(self, block: Range) -> None:
        replaced = [each for each in self._live.add(block) if each.rows]
        gone = not block.rows
        self._replaced += (_Replaced(block.id, each, gone) for each in replaced)
        if gone:  # a tombstone goes when nothing is left under it
            self._replaced.append(_Replaced(block.id, block, gone))

    def check(self, block: Compacted, gone: int | None = None) -> int:
        """Of the rows that it replaces, how many it is without.

        Raises StoreError unless it replaces just the live blocks of its commits.
        `gone` is how many it is to be without; None: any.
        """
        live = [
            each.id for each in self._live.within(block.first, block.last) if each.rows
        ]
        if sorted(live) != sorted(block.replaces):
            raise StoreError(
                f"commits {block.first} to {block.last} are in blocks {live} by now,"
                f" not in {block.replaces}"
            )
        rows = sum(each.rows for each in self._live.within(block.first, block.last))
        if gone is not None and rows - block.rows != gone:
            raise StoreError(
                f"{block.rows} rows in place of {rows} of commits {block.first} to"
                f" {block.last}; {gone} were to go"
            )
        return rows - block.rows

    def tombstone(self, first: int, last: int, now: int) -> Compacted:
        """What drops the blocks of these commits; StoreError when one has more."""
        found = self._live.within(first, last)
        for block in found:
            if block.first < first or block.last > last:
                raise StoreError(
                    f"block {block.id} has commits {block.first} to {block.last};"
                    f" {first} to {last} can't be dropped alone"
                )
        return tombstone(first, last, now, [each.id for each in found if each.rows])

    def insert(self, block: Compacted) -> int:
        """The rows of a block that was checked; its id."""
        number = self.last_compacted + 1
        fixed = (
            *(number, block.first, block.last, block.committed, block.tier),
            *(block.rows, block.size, block.minimum, block.maximum),
        )
        checksums = block.checksums
        self._connection.execute(
            "INSERT INTO compacted VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *fixed,
                *(header_checksum(fixed, checksums), checksums),
                *(block.counts, block.patterns, block.directory),
                *(block.runs, block.commits),
            ),
        )
        self._insert_blobs(number - COMPACTED, block)
        self._insert_templates(block.templates)
        self._count_deleted(block)
        self._set_meta(LAST_COMPACTED, number)
        return number

    def inserted(self, number: int, block: Compacted) -> None:
        """Its transaction has ended."""
        self.last_compacted = number
        self._note(
            Range(
                *(number, block.first, block.last, block.rows),
                *(block.size, block.committed),
            )
        )

    def _insert_blobs(self, number: int, block: Compacted) -> None:
        self._connection.executemany(
            "INSERT INTO segments VALUES (?, ?)", cut(number, block.columns)
        )
        self._connection.executemany(
            "INSERT INTO filters VALUES (?, ?)",
            (
                (key, bind(key, piece))
                for partition, piece in enumerate(block.filters)
                for key in [partition << FILTER_BITS | number]
            ),
        )

    def _insert_templates(self, templates: Sequence[Template]) -> None:
        for pattern_id, template, first, last in templates:
            key = signed(pattern_id)
            known = self._connection.execute(
                "SELECT template, first, last FROM patterns WHERE id = ?", (key,)
            ).fetchone()
            if known is not None:
                template, first, last = (
                    known[0],
                    min(first, known[1]),
                    max(last, known[2]),
                )
                if (first, last) == known[1:]:
                    continue
            self._connection.execute(
                "INSERT OR REPLACE INTO patterns VALUES (?, ?, ?, ?, ?)",
                template_row(key, template, first, last),
            )

    def _count_deleted(self, block: Compacted) -> None:
        """Of each producer, what the replaced blocks have and the new one has not."""
        live = self._live.within(block.first, block.last)
        before = [each for each in live if each.rows]  # those of `check`
        if sum(each.rows for each in before) == block.rows:
            return
        totals: dict[bytes, int] = {}
        for each in before:
            table = "compacted" if each.id >= COMPACTED else "blocks"
            ((runs,),) = self._connection.execute(
                f"SELECT runs FROM {table} WHERE id = ?",  # noqa: S608 - one of ours
                (each.id,),
            )
            _add(totals, runs, 1)
        if block.rows:
            _add(totals, block.runs, -1)
        self._connection.executemany(
            "INSERT INTO meta VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = value + excluded.value",
            ((DELETED + key.hex(), count) for key, count in totals.items() if count),
        )

    def purge(self, up_to: int, limit: int) -> int:
        """Delete at most `limit` rows that blocks up to this id replaced; how many."""
        chosen: list[_Replaced] = []
        for replaced in self._replaced:
            if len(chosen) == limit or replaced.by > up_to:
                break
            chosen.append(replaced)
        if chosen:
            self._delete([replaced.block for replaced in chosen])
        return len(chosen)

    def _delete(self, blocks: Sequence[Range]) -> None:
        fresh = [block.id for block in blocks if block.id < COMPACTED]
        joined = [block.id for block in blocks if block.id >= COMPACTED]
        self._delete_ids("blocks", fresh)
        self._delete_ids("compacted", joined)
        for block_id in joined:
            self._connection.execute(
                "DELETE FROM segments WHERE id BETWEEN ? AND ?",
                every_key(block_id - COMPACTED),
            )
        ((partitions,),) = self._connection.execute(
            "SELECT coalesce(max(id) >> ?, 0) FROM filters", (FILTER_BITS,)
        )
        for partition in range(partitions + 1):
            ids = [partition << FILTER_BITS | block - COMPACTED for block in joined]
            self._delete_ids("filters", ids)
        self._add_meta(REMOVED, len(fresh))
        self._add_meta(REMOVED_COMPACTED, len(joined))
        self._add_meta(PURGED, sum(not block.rows for block in blocks))
        self._set_meta(LAST, max(self.last_commit(), *(each.last for each in blocks)))

    def purged(self, count: int) -> None:
        """The transaction of a purge of so many rows has ended."""
        for _ in range(count):
            block = self._replaced.popleft().block
            if not block.rows:
                self._live.discard(block)

    def _delete_ids(self, table: str, ids: Sequence[int]) -> None:
        self._connection.executemany(
            f"DELETE FROM {table} WHERE id = ?",  # noqa: S608 - one of ours
            ((each,) for each in ids),
        )

    def text(self, key: str) -> str | None:
        """What `meta` has under a key."""
        found = self._connection.execute(
            "SELECT value FROM meta WHERE key = ?", (key,)
        ).fetchone()
        return None if found is None else str(found[0])

    def set_text(self, key: str, value: str) -> None:
        """Put something into `meta`."""
        self._set_meta(key, value)

    def _meta(self, key: str) -> int:
        found = self._connection.execute(
            "SELECT value FROM meta WHERE key = ?", (key,)
        ).fetchone()
        return int(found[0]) if found else 0

    def _set_meta(self, key: str, value: Any) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value)
        )

    def _add_meta(self, key: str, amount: int) -> None:
        if amount:
            self._set_meta(key, self._meta(key) + amount)


def _add(totals: dict[bytes, int], runs: bytes, sign: int) -> None:
    for producer, count in entries_by_producer(parse_runs(runs)).items():
        totals[producer] = totals.get(producer, 0) + sign * count
