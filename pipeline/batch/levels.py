"""How many rows of each level a payload has, without decoding the rest of it.

For who gives a batch up and has to say what was lost; needs no numpy.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Final

from pipeline.batch.layout import COLUMN, HEAD, LEVEL, Codec
from pipeline.compression import decompress
from pipeline.errors import FrameError
from pipeline.limits import BATCH_ROWS

UNKNOWN_LEVEL: Final = 0
"""Of a row that can't be read any more."""


def levels_of(payload: bytes) -> Counter[int]:
    """Rows by level; the payload is one that `encode_rows` has made."""
    if not payload:  # all its rows were rejected
        return Counter()
    _, columns, _ = HEAD.unpack_from(payload)
    end = HEAD.size + columns * COLUMN.size
    directory = list(COLUMN.iter_unpack(payload[HEAD.size : end]))
    name = end
    data = end + sum(column[2] for column in directory)
    for _, codec, name_bytes, _, _, stored in directory:
        if payload[name : name + name_bytes].decode() == LEVEL:
            levels = payload[data : data + stored]
            if codec == Codec.ZSTD:
                levels = decompress(levels, BATCH_ROWS)
            return Counter(levels)
        name += name_bytes
        data += stored
    return Counter()


def levels_in(payload: bytes, rows: int) -> Counter[int]:
    """As many as `rows`, whatever state the payload is in; 0: of an unknown level."""
    try:
        found = levels_of(payload)
    except (FrameError, struct.error, UnicodeDecodeError):
        found = Counter()
    if found.total() != rows:
        return +Counter({UNKNOWN_LEVEL: rows})
    return found
