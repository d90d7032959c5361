"""Every row that can be read from a damaged database, whatever its trees look like.

Looks at each page by itself.  One that holds together is taken cell by cell; in one
that does not, cells are recognised by the shape of their records.  Checksums decide, so
that a stale or mangled copy is never taken for a row.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from pipeline.store.bound import CRC_BYTES
from pipeline.store.check import TREE_TYPES, free_pages, is_map, owner
from pipeline.store.cuts import SEGMENT_BYTES
from pipeline.store.images import Images
from pipeline.store.pages import (
    HEAD_BYTES,
    POINTER,
    Cell,
    Kind,
    PageError,
    Value,
    parse_cell,
    parse_page,
)
from pipeline.store.rows import (
    BlockRow,
    CompactedRow,
    blob_of,
    blob_row,
    block_data,
    block_row,
    chain_row,
    compacted_row,
    letter_row,
    meta_row,
    pattern_row,
    producer_row,
)

_BLOCK: Final = re.compile(
    rb"(?=[\x0e-\x20]\x00[\x01-\x06\x08\x09]{6}[\x00-\x06\x08\x09][\x01-\x06\x08\x09]{2})",
    re.DOTALL,
)
"""A record of `blocks`: the id (NULL, it is the rowid), six integers, replaced_by, two
checksums."""

_PRODUCER: Final = re.compile(
    rb"(?=[\x0b-\x20]\x2c[\x15\x17\x1b][\x01-\x06\x08\x09]{8})", re.DOTALL
)
"""A record of `producers`: 16 bytes, a kind of 4, 5 or 7 letters, eight integers."""

_COMPACTED: Final = re.compile(
    rb"(?=[\x12-\x30]\x00[\x01-\x06\x08\x09]{9}\x34)", re.DOTALL
)
"""A record of `compacted`: the id, nine integers, 20 bytes of checksums."""

_EVENT: Final = re.compile(
    rb"(?=[\x04-\x06]\x00\x4c(?:[\x80-\xff]{1,3})?[\x00-\x7f])", re.DOTALL
)
"""A record of `chain`: the id, 32 bytes of hash, a blob."""

_BLOB: Final = re.compile(
    rb"(?=[\x03-\x06]\x00(?:[\x80-\xff]{1,3})?[\x00-\x7f])", re.DOTALL
)
"""A record of `segments` or `filters`: the id, a blob."""

_VARINT_MOST: Final = 9
_KINDS: Final = frozenset(Kind)

Mark = Callable[[list[Value]], None]


class BlockFound(NamedTuple):
    """A block whose checksums are right."""

    row: BlockRow
    data: bytes | None


class CompactedFound(NamedTuple):
    """A compacted block whose header is right; of its columns nothing is known yet."""

    row: CompactedRow


class PatternFound(NamedTuple):
    """A row of `patterns`."""

    row: tuple[int, bytes, int, int, int]


class BlobFound(NamedTuple):
    """A row of `segments` or `filters`: only its checksum will tell."""

    id: int
    data: bytes


class EventFound(NamedTuple):
    """A row of `chain`: only the one before tells whether it is sound."""

    row: tuple[int, bytes, bytes]


class LetterFound(NamedTuple):
    """A dead letter."""

    values: list[Value]


class MetaFound(NamedTuple):
    """A pair of `meta`."""

    key: Value
    value: Value


Found = (
    BlockFound | CompactedFound | PatternFound | EventFound | LetterFound | MetaFound
)


def readable(images: Images, mark: Mark) -> Iterator[Found]:
    """Each block once, and all else that holds; producers' rows go to `mark`."""
    done: set[int] = set()
    for cell, kind in _all_cells(images):
        if kind is Kind.TABLE_LEAF:
            yield from _of_table(images, cell, done)
        else:
            yield from _of_index(images, cell, mark)


def blobs(images: Images) -> Iterator[BlobFound]:
    """Rows of `segments` and `filters`; more than one may have the same id."""
    for cell, kind in _all_cells(images):
        if kind is not Kind.TABLE_LEAF:
            continue
        with suppress(PageError):
            size = blob_row(cell)
            if size <= SEGMENT_BYTES + CRC_BYTES:
                yield BlobFound(cell.key, blob_of(cell, size, images.payload))


def _all_cells(images: Images) -> Iterator[tuple[Cell, Kind]]:
    free = _free(images)
    for number in range(1, images.count + 1):
        if not is_map(number) and number not in free:
            yield from _cells(images, number)


def _free(images: Images) -> set[int]:
    with suppress(PageError):
        return free_pages(images, POINTER.unpack_from(images.read(1), 32)[0])
    return set()


def _of_table(images: Images, cell: Cell, done: set[int]) -> Iterator[Found]:
    try:
        row = block_row(cell, images.payload)
    except PageError:
        yield from _other_row(images, cell, done)
        return
    if row.id not in done:
        with suppress(PageError):
            yield BlockFound(row, _data(images, cell, row))
            done.add(row.id)


def _other_row(images: Images, cell: Cell, done: set[int]) -> Iterator[Found]:
    with suppress(PageError):
        row = compacted_row(cell, images.payload)
        if row.id not in done:
            done.add(row.id)
            yield CompactedFound(row)
        return
    with suppress(PageError):
        yield PatternFound(pattern_row(cell, images.payload))
        return
    with suppress(PageError):
        yield EventFound(chain_row(cell, images.payload))
        return
    with suppress(PageError):
        yield LetterFound(letter_row(cell, images.payload))


def _data(images: Images, cell: Cell, row: BlockRow) -> bytes | None:
    """The data; where a page of it has more than one image, the one that fits."""
    try:
        return block_data(cell, row, images.payload)
    except PageError:
        doubtful = set(images.doubtful()).intersection(images.chain(cell))
        for number in doubtful:
            for image in images.candidates(number):
                with suppress(PageError):
                    return block_data(cell, row, _instead(images, number, image))
        raise


def _instead(images: Images, number: int, image: bytes) -> Callable[[Cell, int], bytes]:
    def read(wanted: int) -> bytes:
        return image if wanted == number else images.read(wanted)

    return lambda cell, need: images.payload(cell, need, read)


def _of_index(images: Images, cell: Cell, mark: Mark) -> Iterator[Found]:
    try:
        mark(producer_row(cell, images.payload))
    except PageError:
        with suppress(PageError):
            values = meta_row(cell, images.payload)
            yield MetaFound(values[0], values[1])


def _cells(images: Images, number: int) -> Iterator[tuple[Cell, Kind]]:
    with suppress(PageError):
        for data in images.candidates(number):
            yield from _cells_of(images, number, data)


def _cells_of(images: Images, number: int, data: bytes) -> Iterator[tuple[Cell, Kind]]:
    code = data[HEAD_BYTES if number == 1 else 0]
    if code in _KINDS:
        try:
            page = parse_page(data, number)
        except PageError:
            yield from _recognised(data)
        else:
            if page.kind is not Kind.TABLE_INTERIOR and number > 1:
                yield from ((cell, page.kind) for cell in page.cells)
    elif _is_tree(images, number):
        yield from _recognised(data)


def _is_tree(images: Images, number: int) -> bool:
    with suppress(PageError):
        return owner(images, number).type in TREE_TYPES
    return False


def _recognised(data: bytes) -> Iterator[tuple[Cell, Kind]]:
    """What looks like a row, wherever it stands."""
    for shape in (_BLOCK, _COMPACTED, _BLOB, _EVENT):
        for found in shape.finditer(data):
            record = found.start()
            begin = _before(data, _before(data, record))
            yield from _cell_at(data, begin, record, Kind.TABLE_LEAF)
    for found in _PRODUCER.finditer(data):
        record = found.start()
        for size in (1, 2, 3):
            yield from _cell_at(data, record - size, record, Kind.INDEX_LEAF)


def _before(data: bytes, at: int) -> int:
    """Where the varint that ends there begins: after a byte that ends another."""
    at -= 1
    least = max(0, at - _VARINT_MOST + 1)
    while at > least and data[at - 1] >= 0x80:
        at -= 1
    return at


def _cell_at(
    data: bytes, begin: int, record: int, kind: Kind
) -> Iterator[tuple[Cell, Kind]]:
    if begin < 0:
        return
    with suppress(IndexError, struct.error):
        cell = parse_cell(data, begin, kind)
        pointer = POINTER.size if cell.overflow else 0
        if cell.end - pointer - len(cell.local) == record:
            yield cell, kind
