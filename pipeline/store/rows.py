"""Rows of the store's tables as records of SQLite: what they must be to be believed.

A block's row is covered by its header's checksum, a producer's by its own; the rest is
compared with what the table allows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.batch.pack import pack
from pipeline.errors import StoreError
from pipeline.store import compacted
from pipeline.store.block import header_checksum, place_checksum
from pipeline.store.chain import unpack
from pipeline.store.pages import (
    Cell,
    PageError,
    Value,
    record_types,
    record_values,
    value_sizes,
)
from pipeline.store.template_table import template_row

Payload = Callable[[Cell, int], bytes]
"""(cell, bytes needed) => the beginning of its payload"""

BLOCK_COLUMNS: Final = 13
PRODUCER_COLUMNS: Final = 16
_ADDED: Final[tuple[Value, ...]] = (0, b"\x80", 0, None, "", 0)
"""Defaults of columns that steps have added to `producers`; a row that was not written
since does not have them."""

COMPACTED_COLUMNS: Final = 16
PATTERN_COLUMNS: Final = 5
CHAIN_COLUMNS: Final = 3
LETTER_COLUMNS: Final = 7
META_COLUMNS: Final = 2
_PAYLOAD_MOST: Final = 1 << 30
_BLOB: Final = 12
"""Serial type of an empty blob; larger ones are even."""


class BlockRow(NamedTuple):
    """A row of `blocks` but for its data; the columns' order."""

    id: int
    committed: int
    tier: int
    rows: int
    size: int
    minimum: int
    maximum: int
    replaced_by: int | None
    header_crc: int
    data_crc: int
    counts: bytes
    runs: bytes


class CompactedRow(NamedTuple):
    """A row of `compacted`; the columns' order."""

    id: int
    first: int
    last: int
    committed: int
    tier: int
    rows: int
    size: int
    minimum: int
    maximum: int
    header_crc: int
    checksums: bytes
    counts: bytes
    patterns: bytes
    directory: bytes
    runs: bytes
    commits: bytes


_CRC: Final = 13
"""Place of the checksum: columns of version 3 before it, those of version 4 behind."""


def row_checksum(values: Sequence[Value]) -> int:
    """Of a producer's row: its other columns as a msgpack array."""
    return crc32(pack(values))


def sealed_row(*values: Value) -> tuple[Value, ...]:
    """A producer's row with its checksum in its place."""
    return (*values[:_CRC], row_checksum(values), *values[_CRC:])


def block_row(cell: Cell, payload: Payload) -> BlockRow:
    """The checked row of a block; raises PageError."""
    types, start = record_types(cell.local)
    if len(types) != BLOCK_COLUMNS or types[0] != 0 or cell.size > _PAYLOAD_MOST:
        raise PageError("not a row of blocks")
    *before_data, data_bytes = value_sizes(types)
    head = payload(cell, start + sum(before_data))
    _, *rest = record_values(head, types[:-1], start)
    row = BlockRow(cell.key, *rest)  # type: ignore[arg-type]
    if not _is_whole(row, data_bytes, types[-1] == 0):
        raise PageError(f"the header of block {cell.key} does not match its checksum")
    return row


def _is_whole(row: BlockRow, data_bytes: int, is_null: bool) -> bool:
    try:
        base = header_checksum(
            row.rows, row.minimum, row.maximum, row.data_crc, row.counts, row.runs
        )
        place = place_checksum(row.id, row.committed, row.tier, row.size, base)
    except (struct.error, TypeError):
        return False
    return row.header_crc in (base, place) and (is_null or data_bytes == row.size)


def block_data(cell: Cell, row: BlockRow, payload: Payload) -> bytes | None:
    """The data of a checked row; raises PageError when its checksum is wrong."""
    types, _ = record_types(cell.local)
    if types[-1] == 0:
        return None
    data = payload(cell, cell.size)[-row.size :]
    if crc32(data) != row.data_crc:
        raise PageError(f"the data of block {row.id} does not match its checksum")
    return data


def compacted_row(cell: Cell, payload: Payload) -> CompactedRow:
    """The checked row of a compacted block; raises PageError."""
    types, start = record_types(cell.local)
    if len(types) != COMPACTED_COLUMNS or types[0] != 0 or cell.size > _PAYLOAD_MOST:
        raise PageError("not a row of compacted")
    _, *rest = record_values(payload(cell, cell.size), types, start)
    row = CompactedRow(cell.key, *rest)  # type: ignore[arg-type]
    try:
        blobs = (row.counts, row.patterns, row.directory, row.runs, row.commits)
        checksum = compacted.header_checksum(row[:9], row.checksums)
        is_whole = (
            row.header_crc == checksum
            and row.checksums == compacted.CHECKSUMS.pack(*map(crc32, blobs))
        )
    except (struct.error, TypeError):
        is_whole = False
    if not is_whole:
        raise PageError(f"the header of block {cell.key} does not match its checksums")
    return row


def blob_row(cell: Cell) -> int:
    """Bytes of a row's blob, which is all it has beside its id; raises PageError."""
    types, _ = record_types(cell.local)
    if len(types) != 2 or types[0] != 0 or types[1] < _BLOB or types[1] % 2:
        raise PageError("not a row of segments or filters")
    return value_sizes(types)[1]


def blob_of(cell: Cell, size: int, payload: Payload) -> bytes:
    """The blob of such a row."""
    return payload(cell, cell.size)[-size:] if size else b""


def pattern_row(cell: Cell, payload: Payload) -> tuple[int, bytes, int, int, int]:
    """A checked row of `patterns`; raises PageError."""
    values = _values(cell, PATTERN_COLUMNS, payload)
    kinds = (bytes, int, int, int)
    if not all(map(isinstance, values[1:], kinds)):
        raise PageError("not a row of patterns")
    row: tuple[int, bytes, int, int, int] = (cell.key, *values[1:])  # type: ignore[assignment]
    if template_row(*row[:4]) != row:
        raise PageError(f"pattern {cell.key} does not match its checksum")
    return row


def chain_row(cell: Cell, payload: Payload) -> tuple[int, bytes, bytes]:
    """A row of `chain`, an event in it; raises PageError."""
    values = _values(cell, CHAIN_COLUMNS, payload)
    row = (cell.key, values[1], values[2])
    if not isinstance(row[1], bytes) or not isinstance(row[2], bytes):
        raise PageError("not a row of chain")
    try:
        unpack(row[2])
    except StoreError as error:
        raise PageError(f"row {cell.key} of chain: {error}") from None
    return row  # type: ignore[return-value]


def producer_row(cell: Cell, payload: Payload) -> list[Value]:
    """A producer's checked row without its checksum; raises PageError."""
    values = _values(cell, PRODUCER_COLUMNS, payload, _ADDED)
    checksum = values.pop(_CRC)
    known = [row_checksum(values)]
    if tuple(values[_CRC:]) == _ADDED[-2:]:  # it may be older than version 4
        known.append(row_checksum(values[:_CRC]))
    if checksum is not None and checksum not in known:
        raise PageError("a producer's row does not match its checksum")
    kinds = (bytes, str, *[int] * 9, bytes, int, str, int)
    if not all(map(isinstance, values, kinds)):
        raise PageError("not a row of producers")
    return values


def letter_row(cell: Cell, payload: Payload) -> list[Value]:
    """A dead letter, checked as far as its table does."""
    values = _values(cell, LETTER_COLUMNS, payload)
    values[0] = cell.key
    kinds = (int, int, str, str, bytes | None, int, bytes)
    if not all(map(isinstance, values, kinds)):
        raise PageError("not a row of dead_letters")
    return values


def meta_row(cell: Cell, payload: Payload) -> list[Value]:
    """A key and its value."""
    values = _values(cell, META_COLUMNS, payload)
    if not isinstance(values[0], str):
        raise PageError("not a row of meta")
    return values


def _values(
    cell: Cell, columns: int, payload: Payload, added: tuple[Value, ...] = ()
) -> list[Value]:
    if cell.size > _PAYLOAD_MOST:
        raise PageError("a record larger than any")
    data = payload(cell, cell.size)
    types, start = record_types(data)
    absent = columns - len(types)
    if not 0 <= absent <= len(added):
        raise PageError(f"a record of {len(types)} columns; expected {columns}")
    values = record_values(data, types, start)
    return [*values, *added[len(added) - absent :]]
