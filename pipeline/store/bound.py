"""Rows of nothing but an id and bytes, bound to their ids: none is another's.

The bytes begin with the crc32 of the rest, which in the row is combined (xor) with the
crc32 of the row's id (i64): what a flipped bit has given another id looks damaged.
"""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

_KEY: Final = struct.Struct("<q")
_CRC: Final = struct.Struct("<I")
CRC_BYTES: Final = _CRC.size


def bind(key: int, piece: bytes) -> bytes:
    """The row's data of bytes with their checksum, and these of the row's data."""
    if len(piece) < _CRC.size:
        return piece
    crc = _CRC.unpack_from(piece)[0] ^ crc32(_KEY.pack(key))
    return _CRC.pack(crc) + piece[_CRC.size :]


def bound(key: int, content: bytes) -> bytes:
    """The row's data of bytes that have no checksum yet."""
    return _CRC.pack(crc32(content) ^ crc32(_KEY.pack(key))) + content


def is_sound(key: int, data: bytes) -> bool:
    """Whether the row's data are what was written under this id."""
    if len(data) <= _CRC.size:
        return False
    (crc,) = _CRC.unpack_from(data)
    return bool(crc ^ crc32(_KEY.pack(key)) == crc32(memoryview(data)[_CRC.size :]))
