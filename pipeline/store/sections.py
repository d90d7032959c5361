"""The frame of a header's blobs: a count, and sections of that many values each.

codec u8, bytes u32 | count u32, bytes of each section u32 | the sections.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from pipeline.batch.layout import Codec
from pipeline.batch.read import bad
from pipeline.compression import Bytes, compress, decompress
from pipeline.limits import BATCH_ROWS

_SECTION: Final = struct.Struct("<BI")
"""codec => u8, bytes after decompression => u32"""

_SIZE: Final = struct.Struct("<I")
_SECTION_BYTES_MAX: Final = 64 << 20


def pack_sections(count: int, sections: Sequence[bytes]) -> bytes:
    """codec, size | count, sizes of the sections, the sections."""
    sizes = b"".join(_SIZE.pack(len(section)) for section in sections)
    body = _SIZE.pack(count) + sizes + b"".join(sections)
    smaller = compress(body)
    if len(smaller) < len(body):
        return _SECTION.pack(Codec.ZSTD, len(body)) + smaller
    return _SECTION.pack(Codec.PLAIN, len(body)) + body


def read_sections(data: Bytes, sections: int) -> tuple[int, list[memoryview]]:
    """The count and the sections; raises FrameError."""
    if len(data) < _SECTION.size:
        raise bad("a header's column is cut off")
    codec, size = _SECTION.unpack_from(data)
    body: Bytes = memoryview(data)[_SECTION.size :]
    if codec == Codec.ZSTD:
        body = decompress(body, min(size, _SECTION_BYTES_MAX))
    view = memoryview(body)
    start = _SIZE.size * (1 + sections)
    if len(view) != size or size < start:
        raise bad(f"{len(view)} bytes of a header's column; declared {size}")
    count, *sizes = struct.unpack_from(f"<{1 + sections}I", view)
    if start + sum(sizes) != size or count > BATCH_ROWS:
        raise bad("a header's column has sections that don't add up")
    found = []
    for length in sizes:
        found.append(view[start : start + length])
        start += length
    return count, found
