"""The bytes of a segment: its head, and the records behind it. SPOOL.md is the page.

Pure.  Every record carries the segment's marker, four random bytes, and its CRC starts
from its place in the file: what a message holds can't pass for a record, and after
damage the next marker is where reading goes on.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple
from zlib import crc32

import msgpack

from pipeline.batch.encode import Row
from pipeline.errors import EntryError
from pipeline.limits import FRAME_BYTES, NUMBER_MAX

MAGIC: Final = b"RLS1"
"""Three letters and the version of the format."""

MARKER_BYTES: Final = 4

_HEAD: Final = struct.Struct(
    "<"
    "4s"  # magic => "RLS1"
    "4s"  # marker => random, each byte 128 or more
    "16s"  # producer
    "Q"  # first => no record has a lower number
)
_CRC: Final = struct.Struct("<I")
_COPY_BYTES: Final = _HEAD.size + _CRC.size
HEAD_BYTES: Final = 2 * _COPY_BYTES
"""It stands there twice: no single damage costs the segment."""

_RECORD: Final = struct.Struct(
    "<"
    "4s"  # marker => that of the head
    "B"  # kind => ROW or BATCH
    "I"  # length => bytes of the body
    "Q"  # number => of the row, or the batch's first
)
RECORD_BYTES: Final = _RECORD.size + _CRC.size
"""Of a record before its body; the last four are its CRC."""

ROW: Final = 1
BATCH: Final = 2

_BATCH: Final = struct.Struct(
    "<"
    "Q"  # span => how many numbers it covers
    "I"  # count => its rows
    "B"  # codec => as in the header on the wire
)
BODY_BYTES: Final = FRAME_BYTES + _BATCH.size
"""A body, at most: a batch whose payload fills a frame."""

_ROW_FIELDS: Final = 7
_PLACES: Final = (1 << 32) - 1
_WINDOW: Final = 256 << 10
"""Bytes read at once."""

Source = Callable[[int, int], bytes]
"""Reads: (place, size) to exactly so many bytes; zeros stand for what is not there."""


class Head(NamedTuple):
    """What a segment says of itself."""

    marker: bytes
    producer: bytes
    first: int


class Rows(NamedTuple):
    """Rows with consecutive numbers from `number` on."""

    number: int
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Batch:
    """An encoded batch, as it is sent."""

    sequence: int
    span: int
    count: int
    codec: int
    payload: bytes


Record = Rows | Batch


class Found(NamedTuple):
    """A record whose CRC is right, at `place` of its segment, until `end`."""

    place: int
    end: int
    kind: int
    number: int
    body: bytes

    @property
    def last(self) -> int:
        """The highest number that it covers."""
        if self.kind == BATCH and len(self.body) >= _BATCH.size:
            return self.number + int(_BATCH.unpack_from(self.body)[0]) - 1
        return self.number

    @property
    def rows(self) -> int:
        """How many it holds."""
        if self.kind == BATCH and len(self.body) >= _BATCH.size:
            return int(_BATCH.unpack_from(self.body)[1])
        return 1


class Damage(NamedTuple):
    """Bytes between two records that are none."""

    place: int
    end: int


def new_marker() -> bytes:
    """Random bytes that no ASCII text and no hole of zeros has."""
    return bytes(byte | 0x80 for byte in os.urandom(MARKER_BYTES))


def pack_head(head: Head) -> bytes:
    """The head of a segment, both copies."""
    copy = _HEAD.pack(MAGIC, *head)
    return 2 * (copy + _CRC.pack(crc32(copy)))


def maybe_head(data: bytes) -> Head | None:
    """The head that `data` begins with; None when neither copy is whole."""
    for at in (0, _COPY_BYTES):
        copy = data[at : at + _HEAD.size]
        check = data[at + _HEAD.size : at + _COPY_BYTES]
        if len(check) == _CRC.size and _CRC.pack(crc32(copy)) == check:
            magic, *fields = _HEAD.unpack(copy)
            if magic == MAGIC:
                return Head(*fields)
    return None


def pack_record(
    marker: bytes, kind: int, number: int, body: bytes, place: int
) -> bytes:
    """A record that stands at `place` of its segment."""
    prefix = _RECORD.pack(marker, kind, len(body), number)
    check = crc32(body, crc32(prefix, place & _PLACES))
    return prefix + _CRC.pack(check) + body


def pack_batch(batch: Batch) -> bytes:
    """The body of a BATCH record."""
    return _BATCH.pack(batch.span, batch.count, batch.codec) + batch.payload


class RowPacker:
    """Rows to bodies of ROW records; one thread at a time."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer()

    def pack(self, row: Row) -> bytes:
        """The row as msgpack; raises EntryError for what that has no form for."""
        try:
            body: bytes = self._packer.pack(row)
        except (TypeError, ValueError, OverflowError) as error:
            self._packer.reset()
            expected = "values that msgpack has a form for"
            raise EntryError("entry", repr(error), expected) from error
        if len(body) > BODY_BYTES:
            problem = f"{len(body):,} bytes"
            raise EntryError("entry", problem, f"at most {BODY_BYTES:,} bytes")
        return body


def maybe_row(found: Found) -> Row | None:
    """The row of a ROW record; None when it has another shape."""
    fields = _unpacked(found.body)
    if not isinstance(fields, list | tuple) or len(fields) != _ROW_FIELDS:
        return None
    return tuple(fields)


def _unpacked(body: bytes) -> object:
    for use_list in (True, False):  # a map's key that is an array must be a tuple
        with suppress(TypeError, ValueError):
            return msgpack.unpackb(body, strict_map_key=False, use_list=use_list)
    return None


def maybe_batch(found: Found) -> Batch | None:
    """The batch of a BATCH record; None when it has another shape."""
    if len(found.body) < _BATCH.size:
        return None
    span, count, codec = _BATCH.unpack_from(found.body)
    if not 0 < span < NUMBER_MAX or count > span:
        return None
    return Batch(found.number, span, count, codec, found.body[_BATCH.size :])


def walk(
    source: Source, marker: bytes, start: int, end: int
) -> Iterator[Found | Damage]:
    """All records from `start` to `end`, and what is damaged between them."""
    window, at = _Window(source, end), start
    while at < end:
        found = _maybe_found(window, at, marker)
        if found is not None:
            yield found
            at = found.end
        else:
            following = _next_record(window, marker, at + 1)
            yield Damage(at, following)
            at = following


class _Window:
    """A piece of a segment in memory."""

    def __init__(self, source: Source, end: int) -> None:
        self.data = b""
        self.end = end
        self._source = source
        self._base = 0

    def reach(self, place: int, size: int) -> int:
        """Where `place` is in `data`; as many as `size` bytes follow, if there are."""
        here = place - self._base
        missing = here + size > len(self.data)
        if here < 0 or (missing and self._base + len(self.data) < self.end):
            size = min(max(size, _WINDOW), self.end - place)
            self.data, self._base = self._source(place, size), place
            here = 0
        return here


def _maybe_found(window: _Window, place: int, marker: bytes) -> Found | None:
    """The record at a place, if a whole one stands there."""
    here = window.reach(place, RECORD_BYTES)
    if here + RECORD_BYTES > len(window.data):
        return None
    found, kind, length, number = _RECORD.unpack_from(window.data, here)
    if found != marker or length > BODY_BYTES:
        return None
    here = window.reach(place, RECORD_BYTES + length)
    data, start = window.data, here + RECORD_BYTES
    if start + length > len(data):
        return None
    body = data[start : start + length]
    (claimed,) = _CRC.unpack_from(data, here + _RECORD.size)
    if crc32(body, crc32(data[here : here + _RECORD.size], place & _PLACES)) != claimed:
        return None
    return Found(place, place + RECORD_BYTES + length, kind, number, body)


def _next_record(window: _Window, marker: bytes, start: int) -> int:
    """The place of the next whole record; the end when there is none."""
    at = start
    while at < window.end:
        here = window.reach(at, MARKER_BYTES)
        hit = window.data.find(marker, here)
        if hit < 0:
            at += max(1, len(window.data) - here - MARKER_BYTES + 1)
            continue
        at += hit - here
        if _maybe_found(window, at, marker) is not None:
            return at
        at += 1
    return window.end
