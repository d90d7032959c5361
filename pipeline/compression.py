"""zstd, the one compressor: its contexts are kept per thread and its bombs refused.

A context costs 29 us to make and 1 us to use again, so each thread keeps its own.
"""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from pipeline.errors import FrameError

Bytes = bytes | bytearray | memoryview

FAST_LEVEL: Final = 1
WINDOW_LOG_MAX: Final = 23
"""8 MiB: zstd's largest window below its `--ultra` levels; caps a peer's allocation."""

_contexts = threading.local()


def compress(data: Bytes, level: int = FAST_LEVEL) -> bytes:
    """One zstd frame that declares its content's size."""
    compressors = _contexts.__dict__.setdefault("compressors", {})
    compressor = compressors.get(level)
    if compressor is None:
        compressor = compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressor.compress(data)  # type: ignore[no-any-return]


def decompress(data: Bytes, limit: int) -> bytes:
    """The content of one zstd frame, if it declares at most `limit` bytes.

    The declared size is read first because zstandard ignores `max_output_size` when a
    frame has one.  Raises FrameError.
    """
    try:
        size = zstandard.frame_content_size(data)
        if size < 0:
            raise FrameError("size_unknown", "a zstd frame must declare its size")
        if size > limit:
            detail = f"zstd frame declares {size} bytes; mustn't exceed {limit}"
            raise FrameError("too_large", detail)
        decompressor = _contexts.__dict__.get("decompressor")
        if decompressor is None:
            decompressor = zstandard.ZstdDecompressor(
                max_window_size=1 << WINDOW_LOG_MAX
            )
            _contexts.decompressor = decompressor
        content: bytes = decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise FrameError("bad_zstd", str(error)) from None
    if len(content) != size:
        raise FrameError("bad_zstd", f"got {len(content)} bytes; declared {size}")
    return content
