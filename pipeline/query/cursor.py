"""Cursors: where a page ended, as opaque text.

A cursor is a keyset: the order's key of the last entry returned, so nothing that comes
in between two pages shifts them. It also keeps what the first page saw: the newest
block, the window in absolute time and the count. So everything that existed at the
first page is returned exactly once; what was committed later, however old its
timestamps, is left to a new query. Block numbers only grow; entries that retention
removes meanwhile are gone from later pages.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.query.requests import FieldError

Key = tuple[int, bytes, int]
"""(timestamp, producer, number), the order of all replies."""

_VERSION: Final = 1
_LAYOUT: Final = struct.Struct(
    ">"
    "B"  # version => u8
    "B"  # which of low, high and count are known => bits 0, 1, 2
    "I"  # digest of the question => u32
    "Q"  # newest block => u64
    "q16sQ"  # key of the last entry => i64, 16 bytes, u64
    "qqQ"  # low, high (ns), count => i64, i64, u64
)
_CRC: Final = struct.Struct(">I")


class Cursor(NamedTuple):
    """Where the next page goes on, and what the first one saw."""

    digest: int
    mark: int
    key: Key
    low: int | None
    high: int | None
    total: int | None


def encode_cursor(cursor: Cursor) -> str:
    """The cursor as text that needs no escape in URLs and JSON."""
    optional = (cursor.low, cursor.high, cursor.total)
    known = sum(1 << bit for bit, value in enumerate(optional) if value is not None)
    packed = _LAYOUT.pack(
        *(_VERSION, known, cursor.digest, cursor.mark),
        *cursor.key,
        *(value or 0 for value in optional),
    )
    return base64.urlsafe_b64encode(packed + _CRC.pack(crc32(packed))).decode()


def decode_cursor(text: str, digest: int) -> Cursor:
    """Read a cursor of the question with this digest; raises FieldError."""
    try:
        packed = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        packed = b""
    body, crc = packed[: _LAYOUT.size], packed[_LAYOUT.size :]
    if len(body) != _LAYOUT.size or crc != _CRC.pack(crc32(body)):
        raise FieldError("cursor", "not a cursor", hint="use next_cursor as it came")
    version, known, asked, mark, *key, low, high, count = _LAYOUT.unpack(body)
    if version != _VERSION or asked != digest:
        hint = "only limit and fields may change between pages"
        raise FieldError("cursor", "the cursor of another question", hint=hint)
    return Cursor(
        digest,
        mark,
        (key[0], key[1], key[2]),
        low if known & 1 else None,
        high if known & 2 else None,
        count if known & 4 else None,
    )
