"""Frames on a pipe between two of our own processes: u32 (little-endian) length, body.

Each pair bounds what it takes: the other side is ours, but a length read from the
middle of something else must not become an allocation.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

LENGTH: Final = struct.Struct("<I")


def pack_frame(body: bytes) -> bytes:
    """The body as it goes over the pipe."""
    return LENGTH.pack(len(body)) + body


def read_frame(stream: BinaryIO, largest: int) -> bytes | None:
    """Wait for the next body; None at the end. Raises ValueError for a larger one."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    if size > largest:
        raise ValueError(f"a frame of {size} bytes; mustn't exceed {largest}")
    body = stream.read(size)
    return body if len(body) == size else None
