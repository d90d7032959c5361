"""Pieces of token filters as rows: bound to their ids, so that none is another's.

A piece begins with its own checksum. In its row that is combined (xor) with the
checksum of the row's id: a piece that a flipped bit has given to another block looks
damaged, and damaged pieces rule nothing out.
"""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

_KEY: Final = struct.Struct("<q")
_CRC: Final = struct.Struct("<I")


def bind(key: int, piece: bytes) -> bytes:
    """The row's data of a piece, and the piece of a row's data."""
    if len(piece) < _CRC.size:
        return piece
    crc = _CRC.unpack_from(piece)[0] ^ crc32(_KEY.pack(key))
    return _CRC.pack(crc) + piece[_CRC.size :]


def is_sound(key: int, data: bytes) -> bool:
    """Whether a row is a piece of a filter, and of this block's."""
    if len(data) <= _CRC.size:
        return False
    piece = bind(key, data)
    return bool(_CRC.unpack_from(piece)[0] == crc32(piece[_CRC.size :]))
