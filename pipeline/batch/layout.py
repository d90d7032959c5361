"""Kinds and byte layouts of a Batch; wire and store only frame what stands here.

All numbers are little-endian.  A payload is::

    version u8 | reserved u8 | columns u16 | rows u32
    columns x (kind u8 | codec u8 | name_bytes u16 | count u32 | raw u32 | stored u32)
    names, UTF-8, one after another
    data of the columns, one after another, `stored` bytes each

`codec` says how a column's data are stored: 0 as they are, 1 as one zstd frame of `raw`
bytes.  `count` is the number of values: `rows` for the four columns that every entry
has, and for the others only the rows that have a value, in row order (dense).  Which
rows those are stands once, in the column `shape`.  Data by kind, n = count::

    INT64    encoding u8, then
               0 plain: n x i64
               1 narrow: base i64 | width u8 | width planes of n bytes, lowest first;
                 value = base + the unsigned number of its plane bytes
               2 delta: first i64 | narrow over the n - 1 differences
    FLOAT64  encoding u8, then
               0 plain: n x f64
               1 decimal: scale u8 | INT64 data; value = number / 10^scale
    BOOL     n x u8, 0 or 1
    DICT     value_kind u8 (TEXT or PACKED) | width u8 | distinct u32 | n x code
             | the distinct values as TEXT or PACKED data
    TEXT     width u8 | n x length (width bytes each) | for each value UTF-8 and \\n
    PACKED   width u8 | n x length | for each value one msgpack object
    BYTES16  n x 16 bytes
    U8       n x u8
    SHAPE    as DICT; a value is the u16 positions, ascending, of the optional columns
             that a row of this shape has

The `\\n` after each text lets one search run over a whole column; it is not in the
length.  Version 1 is the only one so far; kinds are never renumbered.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

VERSION: Final = 1

HEAD: Final = struct.Struct(
    "<"
    "B"  # version => u8
    "x"  # reserved
    "H"  # columns => u16
    "I"  # rows => u32
)
COLUMN: Final = struct.Struct(
    "<"
    "B"  # kind => u8
    "B"  # codec => u8
    "H"  # name_bytes => u16
    "I"  # count => u32
    "I"  # raw => u32
    "I"  # stored => u32
)
DICT_HEAD: Final = struct.Struct(
    "<"
    "B"  # value_kind => u8
    "B"  # width => u8
    "I"  # distinct => u32
)
NARROW_HEAD: Final = struct.Struct(
    "<"
    "q"  # base => i64
    "B"  # width => u8
)


class Kind(IntEnum):
    """What a column holds; the numbers are part of the format."""

    INT64 = 1
    FLOAT64 = 2
    BOOL = 3
    DICT = 4
    TEXT = 5
    PACKED = 6
    BYTES16 = 7
    U8 = 8
    SHAPE = 9


class Codec(IntEnum):
    """How bytes are stored; the numbers are part of the format."""

    PLAIN = 0
    ZSTD = 1


class Numbers(IntEnum):
    """Encodings inside INT64 and FLOAT64 data."""

    PLAIN = 0
    NARROW = 1
    DELTA = 2
    DECIMAL = 1


TIMESTAMP: Final = "timestamp"
SOURCE: Final = "source"
LEVEL: Final = "level"
MESSAGE: Final = "message"
REQUIRED: Final = (TIMESTAMP, SOURCE, LEVEL, MESSAGE)
"""Columns that every entry has; they come first, in this order."""

TAGS: Final = "tags"
TRACE_ID: Final = "trace_id"
METADATA: Final = "metadata"
"""Maps with the keys beyond limits.BATCH_COLUMNS, PACKED."""

NUMBER: Final = "number"
"""On the wire only: a row's number less the batch's sequence, where rows are missing
or numbers are byte offsets; without it the rows are numbered one after another."""

SHAPE: Final = "shape"
METADATA_PREFIX: Final = "metadata."
