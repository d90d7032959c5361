"""Messages between ingester and worker: a u32 (little-endian) length, then msgpack.

To the worker: {"kind": "news"} after commits, {"kind": "swapped", "id", "error"}, and
the orders {"kind": "compact", "request", "level"} and {"kind": "delete", "request",
"params", "now", "up_to"}, or {"kind": "expire", "request", "rules", "share"}, or
{"kind": "drop", "request", "first", "last", "blocks"}. From it:
{"kind": "swap", "block", ...}, which waits for its `swapped`, {"kind": "state", ...},
{"kind": "done", "request", "result" or "error"}, and {"kind": "said", "text", "failed",
"more"} of what went wrong, which is on stderr already.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import msgpack

from pipeline import pipes
from pipeline.pipes import LENGTH

FRAME_BYTES: Final = 1 << 30
"""A block with its filter and templates, as limits.BLOCK_BYTES bounds it."""


def pack_frame(message: dict[str, Any]) -> bytes:
    """The message as it goes over the pipe."""
    body: bytes = msgpack.packb(message)
    return pipes.pack_frame(body)


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """Wait for the next message; None at the end of the stream."""
    body = pipes.read_frame(stream, FRAME_BYTES)
    return None if body is None else unpack(body)


class FrameBuffer:
    """Bytes as they come, until they are whole messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are whole now; raises ValueError for what is none."""
        self._data += data
        found = []
        while len(self._data) >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._data)
            if size > FRAME_BYTES:
                raise ValueError(f"a message of {size} bytes")
            end = LENGTH.size + size
            if len(self._data) < end:
                break
            found.append(unpack(bytes(memoryview(self._data)[LENGTH.size : end])))
            del self._data[:end]
        return found


def unpack(body: bytes) -> dict[str, Any]:
    """One message; raises ValueError."""
    message = msgpack.unpackb(body, max_bin_len=FRAME_BYTES)
    if not isinstance(message, dict):
        raise ValueError("a message that is no map")  # noqa: TRY004 - as for others
    return message
