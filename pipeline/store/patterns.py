"""How many messages of which template a block has: a blob in its header.

Counting by pattern then opens no block::

    codec u8 | size u32     0 plain, 1 zstd; bytes of what follows, decompressed
    templates u32 | rest u32     rows without a template
    counts_bytes u32 | first_bytes u32 | last_bytes u32
    n x id u64              in the order of the block's codes
    counts, first, last     INT64 data: rows, ns of the oldest and of the newest
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from pipeline.batch.layout import Codec
from pipeline.batch.read import Ints, bad, read_integers
from pipeline.batch.seal import integers
from pipeline.compression import FAST_LEVEL, Bytes, compress, decompress
from pipeline.limits import BATCH_ROWS
from pipeline.store.templates import Ids

_FRAME: Final = struct.Struct(
    "<"
    "B"  # codec => u8
    "I"  # size => u32
)
_HEAD: Final = struct.Struct(
    "<"
    "I"  # templates => u32
    "I"  # rest => u32
    "I"  # counts_bytes => u32
    "I"  # first_bytes => u32
    "I"  # last_bytes => u32
)
_BYTES_MAX: Final = _HEAD.size + BATCH_ROWS * 8 * 4 + 64


class BlockPatterns(NamedTuple):
    """The templates of a block in the order of its codes, and the rows without one."""

    ids: Ids
    counts: Ints
    first: Ints
    """Nanoseconds of each template's oldest row."""
    last: Ints
    rest: int
    """Rows without a template."""


def no_patterns(rows: int) -> BlockPatterns:
    """Of a block whose rows have no templates."""
    none = np.empty(0, np.int64)
    return BlockPatterns(np.empty(0, np.uint64), none, none, none, rows)


def pack_patterns(patterns: BlockPatterns, level: int = FAST_LEVEL) -> bytes:
    """The blob; `level` is zstd's."""
    ids, *columns, rest = patterns
    parts = [integers(column) if len(column) else b"" for column in columns]
    head = _HEAD.pack(len(ids), rest, *map(len, parts))
    body = b"".join([head, ids.astype("<u8").tobytes(), *parts])
    smaller = compress(body, level)
    if len(smaller) < len(body):
        return _FRAME.pack(Codec.ZSTD, len(body)) + smaller
    return _FRAME.pack(Codec.PLAIN, len(body)) + body


def parse_patterns(data: Bytes) -> BlockPatterns:
    """The blob of a header; raises FrameError."""
    view = _body(data)
    if len(view) < _HEAD.size:
        raise bad("patterns are cut off")
    count, rest, *sizes = _HEAD.unpack_from(view)
    at = _HEAD.size + 8 * count
    if count + rest > BATCH_ROWS or at + sum(sizes) != len(view):
        raise bad(f"{count} patterns and {rest} rows in {len(view)} bytes")
    # a copy: else all of the body would be held for it
    ids = np.frombuffer(view[_HEAD.size : at], "<u8").copy()
    if not count:
        return no_patterns(rest)
    columns = []
    for size in sizes:
        columns.append(read_integers(view[at : at + size], count))
        at += size
    counts, first, last = columns
    if not 0 < int(counts.min()) <= int(counts.max()) <= BATCH_ROWS:
        raise bad("patterns of no row or of more than a block has")
    if int(counts.sum()) > BATCH_ROWS - rest or not ids.all():
        raise bad("patterns of more rows than a block has, or without an id")
    return BlockPatterns(ids, counts, first, last, rest)


def _body(data: Bytes) -> memoryview:
    if len(data) < _FRAME.size:
        raise bad("patterns are cut off")
    codec, size = _FRAME.unpack_from(data)
    body: Bytes = memoryview(data)[_FRAME.size :]
    if codec == Codec.ZSTD:
        body = decompress(body, min(size, _BYTES_MAX))
    elif codec != Codec.PLAIN:
        raise bad(f"unknown codec {codec} of patterns")
    if len(body) != size:
        raise bad(f"{len(body)} bytes of patterns; declared {size}")
    return memoryview(body)
