"""Messages as a sender in any language makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import msgpack

from pipeline.batch.encode import encode_rows
from pipeline.entry import Entry
from pipeline.wire.frame import Codec, Header, pack_header

PRODUCER = bytes(range(16))
NOW = 1_763_800_000_000_000_000


def entry(message: str = "m", **changes: Any) -> Entry:
    """An entry that differs from the others in what is given."""
    return Entry(NOW, "web", 9, message, {}, [], None)._replace(**changes)


def header(**changes: Any) -> Header:
    """A header that is right, but for what is given."""
    return Header(0, 0, PRODUCER, 1, 1, 1, 1, 0, 0)._replace(**changes)


def message(payload: bytes, **changes: Any) -> list[bytes]:
    """The two frames of a batch."""
    return [pack_header(header(**changes), crc32(payload)), payload]


def batch(entries: Sequence[Entry], sequence: int = 1, **changes: Any) -> list[bytes]:
    """The two frames of a batch of columns."""
    count = len(entries)
    numbers = {"sequence": sequence, "base": 1, "span": count, "rows": count}
    return message(encode_rows(entries), **{**numbers, **changes})


def rows(maps: Sequence[Any], **changes: Any) -> list[bytes]:
    """The two frames of a batch of rows."""
    numbers = {"span": len(maps), "rows": len(maps), "codec": Codec.ROWS}
    return message(msgpack.packb(maps), **{**numbers, **changes})


def plain(found: Any) -> bytes:
    """A plain message."""
    return msgpack.packb(found)
