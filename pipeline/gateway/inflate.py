"""Compressed lists of entries: base64 of gzip or zstd, never more than the limit."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Final

import msgspec
from msgspec import Raw

from pipeline.errors import FrameError
from pipeline.gateway.errors import wrong_param
from pipeline.gateway.lenient import FLAWS
from pipeline.limits import PAYLOAD_BYTES

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MEMBERS_MAX: Final = 64
"""Of one gzip file: each copies what follows it, so that many tiny ones take long."""

_GZIP_FORMAT: Final = 31
"""zlib's number for gzip with the largest window."""


def inflate(text: Raw, limit: int = PAYLOAD_BYTES) -> bytes:
    """The content of a JSON text with base64; raises RpcError (-32602)."""
    try:
        packed = base64.b64decode(msgspec.json.decode(text, type=str), validate=True)
    except (binascii.Error, ValueError, *FLAWS):
        raise wrong_param("logs", "no base64", "base64 of gzip or zstd") from None
    if packed.startswith(_GZIP):
        return _gunzip(packed, limit)
    if packed.startswith(_ZSTD):
        return _unzstd(packed, limit)
    raise wrong_param("logs", f"starts with {packed[:4].hex()}", "a gzip or zstd frame")


def _gunzip(packed: bytes, limit: int) -> bytes:
    """All members of a gzip file, inflated no further than the limit."""
    parts: list[bytes] = []
    room = limit
    try:
        for _ in range(_MEMBERS_MAX):
            if not packed:
                break
            member = zlib.decompressobj(_GZIP_FORMAT)
            # one byte more than there is room for shows a content that is too big
            content = member.decompress(packed, room + 1)
            room -= len(content)
            if room < 0:
                raise wrong_param(
                    "logs", "too big inflated", f"at most {limit:,} bytes"
                )
            if not member.eof:
                raise wrong_param("logs", "the gzip data is cut off", "all of it")
            parts.append(content)
            packed = member.unused_data
    except zlib.error as error:
        raise wrong_param("logs", str(error), "a gzip or zstd frame") from None
    if packed:
        raise wrong_param("logs", "too many gzip members", f"at most {_MEMBERS_MAX}")
    return b"".join(parts)


def _unzstd(packed: bytes, limit: int) -> bytes:
    # imported here: it costs 1 MB and few clients use it
    from pipeline.compression import decompress

    try:
        return decompress(packed, limit)
    except FrameError as error:
        expected = f"a zstd frame that declares at most {limit:,} bytes"
        raise wrong_param("logs", str(error), expected) from None
