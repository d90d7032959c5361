"""How many rows of each level a payload has, without decoding the rest of it.

For who gives a batch up and has to say what was lost; needs no numpy.
"""

from __future__ import annotations

from collections import Counter

from pipeline.batch.layout import COLUMN, HEAD, LEVEL, Codec
from pipeline.compression import decompress
from pipeline.limits import BATCH_ROWS


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
