"""What a reader knows of a block before it is opened, and whether that can be true.

SQLite checks no row that it reads: a flipped bit makes another number of one, or none.
Such a block is damaged, and must not keep others from being read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pipeline.errors import StoreError
from pipeline.store import compacted
from pipeline.store.block import header_checksum, place_checksum
from pipeline.store.schema import COMPACTED


class Header(NamedTuple):
    """What a query knows of a block before it is opened; times in ns, inclusive."""

    id: int
    rows: int
    size: int
    minimum: int
    maximum: int
    first: int
    """The commits that it covers, `first` to `last`."""

    last: int
    tier: int

    @property
    def is_damaged(self) -> bool:
        """Whether it is one that stands for what it can't be known of."""
        return self[1:5] == (1, 0, *_ANY_TIME)


_ANY_TIME: Final = -1 << 63, (1 << 63) - 1


def compacted_header_of(row: Sequence[Any]) -> Header:
    """A compacted block's, its CRC compared; `row` has its
    numbers, its CRC and its checksums.

    One that is damaged takes no other's place, since the commits it covers may be
    others than it says, and is looked at by every question.
    """
    *fixed, header_crc, checksums = row
    number, first, last, _, tier, rows, size, minimum, maximum = fixed
    try:
        check_compacted(fixed, header_crc, checksums)
    except StoreError:
        return damaged_header(number, COMPACTED - number)
    return Header(number, rows, size, minimum, maximum, first, last, tier)


class Checked(NamedTuple):
    """The columns under a fresh header's CRC, and it."""

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


def check_header(head: Checked) -> None:
    try:
        base = header_checksum(
            head.rows, head.minimum, head.maximum, head.data_crc, head.counts, head.runs
        )
        place = place_checksum(head.id, head.committed, head.tier, head.size, base)
        # before version 3 of the tables it did not cover the place
        is_whole = head.header_crc in (place, base)
    except (struct.error, TypeError):  # a number too large, or none at all
        is_whole = False
    if not is_whole:
        raise StoreError(f"block {head.id} is damaged: its header's CRC is wrong")


def check_compacted(fixed: list[int], header_crc: int, checksums: bytes) -> None:
    try:
        is_whole = header_crc == compacted.header_checksum(fixed, checksums)
    except (struct.error, TypeError):
        is_whole = False
    if not is_whole or len(checksums) != compacted.CHECKSUMS.size:
        raise StoreError(f"block {fixed[0]} is damaged: its header's CRC is wrong")


def damaged_header(number: int, place: int) -> Header:
    """One that any question looks at, and nobody can open."""
    return Header(number, 1, 0, *_ANY_TIME, place, place, 0)
