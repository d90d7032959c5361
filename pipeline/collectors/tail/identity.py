"""Which file is which, and the producer that its bytes belong to; pure.

    producer = first 16 bytes of sha256(device, inode, fingerprint, generation)

The fingerprint is the file's first line, up to 256 bytes: it doesn't change while the
file grows.  A file that is emptied and written anew has another first line, which
mostly has a time in it; where it is the same, the generation tells the two apart.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Final, NamedTuple

from pipeline.wire.frame import PRODUCER_BYTES

FINGERPRINT_BYTES: Final = 256

_PLACE: Final = struct.Struct("<QQQ")


class Inode(NamedTuple):
    """A file, whatever its name is."""

    device: int
    number: int


def fingerprint(head: bytes, *, is_final: bool = False) -> bytes | None:
    """What tells a file by its beginning; None while too little of it is there.

    A file that is final, since it was renamed or deleted, gets no more.
    """
    head = head[:FINGERPRINT_BYTES]
    end = head.find(b"\n")
    if end >= 0:
        return head[: end + 1]
    known = len(head) == FINGERPRINT_BYTES or (is_final and head)
    return head if known else None


def producer_of(inode: Inode, first: bytes, generation: int) -> bytes:
    """The producer of a file with this fingerprint."""
    place = _PLACE.pack(*inode, generation)
    return sha256(place + first).digest()[:PRODUCER_BYTES]
