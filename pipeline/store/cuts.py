"""The columns of a compacted block as rows that fill SQLite's pages.

All columns, one after another, are cut into segments: rows of a size of which SQLite
keeps 2,031 bytes beside the key, eight to a page, and the rest on four full pages.
With a row a column, half of each one's first page stayed empty: 44.3 instead of 42.6
bytes an entry (1,000,000 of the corpus in 16 blocks, level 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.store.bound import CRC_BYTES, bound
from pipeline.store.pages import LOCAL_LEAST, OVERFLOW_BYTES

SEGMENT_BITS: Final = 14
"""A segment's id is its block's number, then its place in so many bits: 1.1 GB."""

_RECORD_BYTES: Final = 5
"""SQLite's header of such a row: its size, NULL for the id, three bytes of a length."""

SEGMENT_BYTES: Final = LOCAL_LEAST + 4 * OVERFLOW_BYTES - _RECORD_BYTES - CRC_BYTES
"""Of columns in a segment, without its checksum: 67,542."""


def cut(number: int, blobs: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """The rows of a block's columns; `number` is its id less COMPACTED."""
    stream = b"".join(blobs)
    for place, at in enumerate(range(0, len(stream), SEGMENT_BYTES)):
        key = number << SEGMENT_BITS | place
        yield key, bound(key, stream[at : at + SEGMENT_BYTES])


def sizes(number: int, total: int) -> dict[int, int]:
    """Bytes of each of the rows of columns of so many bytes, by id."""
    return {
        number << SEGMENT_BITS | place: min(SEGMENT_BYTES, total - at) + CRC_BYTES
        for place, at in enumerate(range(0, total, SEGMENT_BYTES))
    }


def keys(number: int, offset: int, size: int) -> range:
    """Ids of the rows that these bytes of the columns stand in."""
    first = number << SEGMENT_BITS | offset // SEGMENT_BYTES
    last = number << SEGMENT_BITS | max(offset, offset + size - 1) // SEGMENT_BYTES
    return range(first, last + 1)


def every_key(number: int) -> tuple[int, int]:
    """The lowest and highest id that a block's rows can have."""
    return number << SEGMENT_BITS, (number + 1 << SEGMENT_BITS) - 1


def slice_of(rows: Sequence[bytes], offset: int, size: int) -> bytes:
    """The bytes, out of the rows that they stand in."""
    content = b"".join([memoryview(row)[CRC_BYTES:] for row in rows])
    at = offset % SEGMENT_BYTES
    return content[at : at + size]
