"""SQLite's file format, as far as salvaging needs it: pages, cells, records.

Bytes go in, values come out; SQLite itself is not asked, since it gives up on a file at
the first page that it does not like.  The names are those of
https://www.sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from pipeline.store.schema import PAGE_BYTES

HEAD_BYTES: Final = 100
"""Of page 1, before its B-tree page."""

POINTER: Final = struct.Struct(">I")
OVERFLOW_BYTES: Final = PAGE_BYTES - POINTER.size
"""Of payload on an overflow page, after the number of the next one."""

Value = int | float | str | bytes | None

_HEADER: Final = struct.Struct(">BHHHB")
"""kind => u8, first free block => u16, cells => u16, start of content => u16, fragments
=> u8"""

LOCAL_LEAST: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
"""Of a payload that goes on elsewhere, at least so many bytes stand in its cell."""

_INTEGERS: Final = (0, 1, 2, 3, 4, 6, 8)
_BLOB: Final = 12
_TABLE_INTERIOR_KEY: Final = 1 << 63


class PageError(Exception):
    """A page that breaks the format; the text says how."""


class Kind(IntEnum):
    """What a B-tree page is."""

    INDEX_INTERIOR = 2
    TABLE_INTERIOR = 5
    INDEX_LEAF = 10
    TABLE_LEAF = 13

    @property
    def is_interior(self) -> bool:
        """Whether its cells point to pages."""
        return self in (Kind.INDEX_INTERIOR, Kind.TABLE_INTERIOR)


_LOCAL_MOST: Final = {
    Kind.TABLE_LEAF: PAGE_BYTES - 35,
    Kind.INDEX_LEAF: (PAGE_BYTES - 12) * 64 // 255 - 23,
    Kind.INDEX_INTERIOR: (PAGE_BYTES - 12) * 64 // 255 - 23,
}


class Cell(NamedTuple):
    """One entry of a B-tree page; what a kind does not have is 0 or empty."""

    child: int
    key: int
    size: int
    """Bytes of the payload, on this page and on others."""

    local: bytes
    overflow: int
    """The page where the payload goes on."""

    begin: int
    end: int


class Page(NamedTuple):
    """A B-tree page whose every byte is accounted for."""

    kind: Kind
    cells: list[Cell]
    right: int
    """The last child of an interior page."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer (unsigned) and the place after it."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def parse_page(data: bytes, number: int) -> Page:
    """The cells of a page; raises PageError unless all of it makes sense."""
    start = HEAD_BYTES if number == 1 else 0
    code, free, count, content, fragments = _HEADER.unpack_from(data, start)
    try:
        kind = Kind(code)
    except ValueError:
        raise PageError(f"page {number} is of no kind that there is: {code}") from None
    begin = start + (12 if kind.is_interior else 8)
    end = begin + 2 * count
    if end > PAGE_BYTES:
        raise PageError(f"page {number} has room for fewer than {count} cells")
    places = struct.unpack_from(f">{count}H", data, begin)
    try:
        cells = [parse_cell(data, place, kind) for place in places]
        spaces = [(cell.begin, max(cell.end, cell.begin + 4)) for cell in cells]
        spaces += _free_blocks(data, free)
    except (IndexError, struct.error):
        raise PageError(f"page {number} has a cell that runs out of it") from None
    _check_spaces(number, spaces, end, content or 65_536, fragments)
    right = POINTER.unpack_from(data, start + 8)[0] if kind.is_interior else 0
    return Page(kind, cells, right)


def _free_blocks(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    while at:
        following, size = struct.unpack_from(">HH", data, at)
        yield at, at + size
        if 0 < following < at + size:
            raise PageError("a page's free blocks are not in order")
        at = following


def _check_spaces(
    number: int, spaces: list[tuple[int, int]], end: int, content: int, fragments: int
) -> None:
    """Cells and free blocks fill what is behind `content`, but for the fragments."""
    spaces.sort()
    at, gaps = content, 0
    for begin, after in spaces:
        if begin < at:
            raise PageError(f"page {number} has cells that overlap")
        gaps += begin - at
        at = after
    if at > PAGE_BYTES or content < end or gaps + PAGE_BYTES - at != fragments:
        raise PageError(f"page {number} has bytes that belong to nothing")


def parse_cell(data: bytes, at: int, kind: Kind) -> Cell:
    """The cell that begins there. Raises IndexError or struct.error at the end."""
    begin, child = at, 0
    if kind.is_interior:
        child = POINTER.unpack_from(data, at)[0]
        at += POINTER.size
    if kind is Kind.TABLE_INTERIOR:
        key, at = varint(data, at)
        return Cell(child, _signed(key), 0, b"", 0, begin, at)
    size, at = varint(data, at)
    key = 0
    if kind is Kind.TABLE_LEAF:
        key, at = varint(data, at)
    local = _local_bytes(size, kind)
    if at + local > len(data):
        raise IndexError
    overflow, end = 0, at + local
    if local < size:
        overflow = POINTER.unpack_from(data, end)[0]
        end += POINTER.size
    payload = data[at : at + local]
    return Cell(child, _signed(key), size, payload, overflow, begin, end)


def _signed(key: int) -> int:
    return key - 2 * _TABLE_INTERIOR_KEY if key >= _TABLE_INTERIOR_KEY else key


def _local_bytes(size: int, kind: Kind) -> int:
    most = _LOCAL_MOST[kind]
    if size <= most:
        return size
    local = LOCAL_LEAST + (size - LOCAL_LEAST) % OVERFLOW_BYTES
    return local if local <= most else LOCAL_LEAST


def record_types(payload: bytes) -> tuple[tuple[int, ...], int]:
    """A record's serial types, and where its values begin; raises PageError."""
    try:
        start, at = varint(payload, 0)
    except IndexError:
        raise PageError("a record is empty") from None
    if start > len(payload):
        raise PageError("a record's header is cut off")
    return _types(payload[at:start]), start


@lru_cache(1024)
def _types(header: bytes) -> tuple[int, ...]:
    """Kept, since most rows of a table have the same."""
    types, at = [], 0
    try:
        while at < len(header):
            code, at = varint(header, at)
            types.append(code)
    except IndexError:
        raise PageError("a record's header has a wrong length") from None
    return tuple(types)


def value_bytes(code: int) -> int:
    """Bytes of a value of this serial type."""
    if code < len(_INTEGERS):
        return _INTEGERS[code]
    if code >= _BLOB:
        return (code - _BLOB) // 2
    if code in (10, 11):
        raise PageError(f"a value of type {code}, which is reserved")
    return 8 if code == 7 else 0


@lru_cache(1024)
def value_sizes(types: tuple[int, ...]) -> tuple[int, ...]:
    """Bytes of the values of these types; raises PageError."""
    return tuple(map(value_bytes, types))


def record_values(payload: bytes, types: tuple[int, ...], at: int) -> list[Value]:
    """The values of these types from there on; raises PageError."""
    values: list[Value] = []
    for code, size in zip(types, value_sizes(types), strict=True):
        data = payload[at : at + size]
        at += size
        if 0 < code < len(_INTEGERS):
            values.append(int.from_bytes(data, "big", signed=True))
        else:
            values.append(_value(code, data))
    if at > len(payload):
        raise PageError("a record is shorter than its header says")
    return values


def _value(code: int, data: bytes) -> Value:
    if code == 0:
        return None
    if code in (8, 9):
        return code - 8
    if code == 7:
        return float(struct.unpack(">d", data)[0]) if len(data) == 8 else None
    if code % 2 == 0:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PageError("a text that is not UTF-8") from None
