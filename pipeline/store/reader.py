"""Blocks for queries, over a connection that can't write.

No statement outlives its fetch: a reader that dawdles would keep the WAL from being
reset.  Headers are read once, when their block is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from pipeline.errors import StoreError
from pipeline.store.block import (
    Block,
    Counts,
    header_checksum,
    parse_counts,
    place_checksum,
)
from pipeline.store.database import Connection, DatabaseError, open_reader


class Header(NamedTuple):
    """What a query knows of a block before it is opened; times in ns, inclusive."""

    id: int
    rows: int
    size: int
    minimum: int
    maximum: int


class _Checked(NamedTuple):
    """The columns under the header's CRC, and it."""

    id: int
    committed: int
    tier: int
    rows: int
    size: int
    minimum: int
    maximum: int
    header_crc: int
    data_crc: int
    counts: bytes
    runs: bytes


_CHECKED: Final = (
    "SELECT id, committed, tier, rows, bytes, minimum, maximum, header_crc, data_crc,"
    " counts, runs"
)


class Reader:
    """A growing list of block headers, and the blocks behind them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.headers: list[Header] = []
        self._connection: Connection | None = None
        self._last = 0
        self._file = (0, 0)

    def refresh(self) -> None:
        """See the blocks committed since; no database yet means no blocks."""
        if not self._follow_file():
            return
        new = self._fetch(
            "SELECT id, rows, bytes, minimum, maximum FROM blocks"
            " WHERE id > ? ORDER BY id",
            (self._last,),
        )
        self.headers.extend(Header(*row) for row in new)
        if new:
            self._last = self.headers[-1].id

    def _follow_file(self) -> bool:
        """Whether there is a database; one that took another's place begins anew."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            # between its renames, a damaged one can still be read
            return self._connection is not None
        if self._connection is None or self._file != (found.st_dev, found.st_ino):
            self.close()
            self._file = (found.st_dev, found.st_ino)
            self._connection = open_reader(self.path)
            self.headers, self._last = [], 0
        return True

    def load(self, block_id: int) -> Block:
        """The block, its checksums compared. Raises StoreError when it is damaged."""
        found = self._fetch(
            f"{_CHECKED}, data FROM blocks WHERE id = ?",
            (block_id,),
        )
        if not found:
            raise _gone(block_id)
        *header, data = found[0]
        head = _Checked(*header)
        _check_header(head)
        if crc32(data) != head.data_crc:
            raise StoreError(f"block {block_id} is damaged: its data's CRC is wrong")
        return Block(block_id, data, head.runs)

    def counts(self, block_ids: Sequence[int]) -> list[Counts]:
        """Counts per (minute, source, level) of the blocks, from their headers."""
        counts = []
        for block_id in block_ids:
            found = self._fetch(
                f"{_CHECKED} FROM blocks WHERE id = ?",
                (block_id,),
            )
            if not found:
                raise _gone(block_id)
            head = _Checked(*found[0])
            _check_header(head)
            counts.append(parse_counts(head.counts))
        return counts

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fetch(self, statement: str, values: tuple[int, ...]) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(statement, values).fetchall()
        except DatabaseError as error:
            raise StoreError(f"{self.path} can't be read: {error}") from None


def _gone(block_id: int) -> StoreError:
    return StoreError(f"block {block_id} is not there any more")


def _check_header(head: _Checked) -> None:
    base = header_checksum(
        head.rows, head.minimum, head.maximum, head.data_crc, head.counts, head.runs
    )
    place = place_checksum(head.id, head.committed, head.tier, head.size, base)
    # before version 3 of the tables it did not cover the place
    if head.header_crc not in (place, base):
        raise StoreError(f"block {head.id} is damaged: its header's CRC is wrong")
