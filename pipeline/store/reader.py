"""Blocks for queries, over a connection that can't write.

No statement outlives its fetch: a reader that dawdles would keep the WAL from being
reset.  Headers are read once, when their block is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from pipeline.errors import StoreError
from pipeline.store.block import Block, Counts, header_checksum, parse_counts
from pipeline.store.database import Connection, DatabaseError, open_reader


class Header(NamedTuple):
    """What a query knows of a block before it is opened; times in ns, inclusive."""

    id: int
    rows: int
    size: int
    minimum: int
    maximum: int


class Reader:
    """A growing list of block headers, and the blocks behind them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.headers: list[Header] = []
        self._connection: Connection | None = None
        self._last = 0

    def refresh(self) -> None:
        """See the blocks committed since; no database yet means no blocks."""
        if self._connection is None:
            if not self.path.exists():
                return
            self._connection = open_reader(self.path)
        new = self._fetch(
            "SELECT id, rows, bytes, minimum, maximum FROM blocks"
            " WHERE id > ? ORDER BY id",
            (self._last,),
        )
        self.headers.extend(Header(*row) for row in new)
        if new:
            self._last = self.headers[-1].id

    def load(self, block_id: int) -> Block:
        """The block, its checksums compared. Raises StoreError when it is damaged."""
        found = self._fetch(
            "SELECT data, runs, data_crc, header_crc, counts, rows, minimum, maximum"
            " FROM blocks WHERE id = ?",
            (block_id,),
        )
        if not found:
            raise _gone(block_id)
        data, runs, data_crc, header_crc, counts, rows, low, high = found[0]
        if crc32(data) != data_crc:
            raise StoreError(f"block {block_id} is damaged: its data's CRC is wrong")
        found_crc = header_checksum(rows, low, high, data_crc, counts, runs)
        _check_header(block_id, found_crc, header_crc)
        return Block(block_id, data, runs)

    def counts(self, block_ids: Sequence[int]) -> list[Counts]:
        """Counts per (minute, source, level) of the blocks, from their headers."""
        counts = []
        for block_id in block_ids:
            found = self._fetch(
                "SELECT rows, minimum, maximum, data_crc, counts, runs, header_crc"
                " FROM blocks WHERE id = ?",
                (block_id,),
            )
            if not found:
                raise _gone(block_id)
            *header, header_crc = found[0]
            _check_header(block_id, header_checksum(*header), header_crc)
            counts.append(parse_counts(header[4]))
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


def _check_header(block_id: int, found: int, expected: int) -> None:
    if found != expected:
        raise StoreError(f"block {block_id} is damaged: its header's CRC is wrong")
