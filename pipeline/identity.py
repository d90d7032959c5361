"""An entry's id: 43 characters that sort as (timestamp, producer, number) do.

32 bytes, big-endian: timestamp + 2**63 u64, producer 16s, number u64. They are written
six bits a character in an alphabet that is in ASCII order, so that comparing two ids as
text, in any language and in SQL, compares the entries.
"""

from __future__ import annotations

import binascii
import struct
from typing import Final

from pipeline.errors import EntryError

ID_CHARACTERS: Final = 43
_LAYOUT: Final = struct.Struct(">Q16sQ")
_OFFSET: Final = 1 << 63
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SORTED: Final = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_WRITE: Final = bytes.maketrans(_BASE64, _SORTED)
_READ: Final = bytes.maketrans(_SORTED, _BASE64)
_EXPECTED: Final = "the id of an entry, 43 characters"


def encode_id(timestamp: int, producer: bytes, number: int) -> str:
    """The id of the entry that `producer` (16 bytes) gave this `number`."""
    packed = _LAYOUT.pack(timestamp + _OFFSET, producer, number)
    text = binascii.b2a_base64(packed, newline=False).translate(_WRITE)
    return text[:ID_CHARACTERS].decode("ascii")


def decode_id(text: str) -> tuple[int, bytes, int]:
    """Timestamp, producer and number of an id; raises EntryError if it is none."""
    if len(text) != ID_CHARACTERS or not text.isascii():
        raise EntryError("id", f"{len(text)} characters", _EXPECTED)
    written = text.encode("ascii")
    if written.translate(None, _SORTED):
        raise EntryError("id", f"{text!r} has other characters", _EXPECTED)
    packed = binascii.a2b_base64(written.translate(_READ) + b"=")
    timestamp, producer, number = _LAYOUT.unpack(packed)
    identity = (timestamp - _OFFSET, producer, number)
    # the last character has two bits to spare: only one spelling is the id
    if encode_id(*identity) != text:
        raise EntryError("id", f"{text!r} is not as it was given", _EXPECTED)
    return identity
