"""Messages from the PULL socket to batches: what is wrong costs only itself.

Two ways in (FORMAT.md): a plain message is msgpack, one map or an array of maps, or a
line of syslog; a batch is a header and a payload, as columns or as rows.  A bad entry
is rejected with a reason and its neighbours are kept; a payload that can't be read is a
FrameError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgpack

from pipeline.batch.check import check
from pipeline.batch.decode import Batch, parse
from pipeline.batch.encode import encode_rows
from pipeline.batch.layout import LEVEL, NUMBER, SOURCE, TIMESTAMP
from pipeline.batch.read import Ints
from pipeline.compression import decompress
from pipeline.entry import Entry, entry_from_map
from pipeline.errors import EntryError, FrameError
from pipeline.limits import BATCH_ROWS, PAYLOAD_BYTES, PLAIN_BYTES
from pipeline.timestamp import check_range, format_timestamp
from pipeline.wire.frame import Bytes, Codec, Header
from pipeline.wire.syslog import is_syslog, parse_syslog

_ITEMS_MAX: Final = 1 << 20
"""Elements of one array or map of a plain message: each costs memory before it can be
checked."""


class Rejected(NamedTuple):
    """An entry that can't be stored: its place in the message, why, and what came."""

    place: int
    error: EntryError
    found: object


class Rows(NamedTuple):
    """Entries of a message, their places in it, and what was rejected."""

    entries: list[Entry]
    places: list[int]
    rejected: list[Rejected]


class Decoded(NamedTuple):
    """A batch with its rows' offsets from the sequence (None: 0, 1, 2, ...)."""

    batch: Batch | None
    offsets: Ints | None
    rejected: list[Rejected]


def decode_plain(message: Bytes, now: int, source: str | None = None) -> Rows:
    """Entries of a plain message; `source` names the sender of those that don't.

    Raises FrameError when it is neither a line of syslog nor msgpack that holds a map
    or an array.
    """
    if len(message) > PLAIN_BYTES:
        raise FrameError("too_large", f"{len(message)} bytes; limit {PLAIN_BYTES}")
    if is_syslog(message):
        return Rows([parse_syslog(message, now, source)], [0], [])
    return _rows(_unpack(message), now, source)


def decode_batch(header: Header, payload: Bytes, now: int) -> Decoded:
    """The batch behind a header whose CRC matched; raises FrameError."""
    if not header.rows:
        if len(payload):
            raise FrameError("bad_count", f"0 rows in {len(payload)} bytes of payload")
        return Decoded(None, None, [])
    rows = bool(header.codec & Codec.ROWS)
    if header.codec & Codec.ZSTD:
        payload = decompress(payload, PLAIN_BYTES if rows else PAYLOAD_BYTES)
    if rows:
        return _decode_rows(header, payload, now)
    batch = parse(payload)
    check(batch)
    if batch.is_compressed:
        batch.forget((TIMESTAMP, LEVEL, SOURCE))  # the rest goes to disk as it came
    if batch.rows != header.rows:
        detail = f"{batch.rows} rows; the header says {header.rows}"
        raise FrameError("bad_count", detail)
    number = batch.column(NUMBER)
    offsets = None if number is None else number.numbers
    highest = batch.rows - 1 if offsets is None else int(offsets[-1])
    if highest >= header.span or (offsets is None and header.span != batch.rows):
        detail = f"row number {highest}; span {header.span}, {batch.rows} rows"
        raise FrameError("bad_range", detail)
    return Decoded(batch, offsets, [])


def batch_of(rows: Sequence[Entry], offsets: Sequence[int] | None = None) -> Decoded:
    """A batch from entries that `entry_from_map` has checked."""
    batch = parse(encode_rows(rows, offsets))
    number = batch.column(NUMBER)
    return Decoded(batch, None if number is None else number.numbers, [])


def _decode_rows(header: Header, payload: Bytes, now: int) -> Decoded:
    if len(payload) > PLAIN_BYTES:
        raise FrameError("too_large", f"{len(payload)} bytes; limit {PLAIN_BYTES}")
    found = _unpack(payload)
    if not isinstance(found, list) or len(found) != header.rows:
        raise FrameError("bad_rows", f"must be an array of {header.rows} maps")
    if header.span != header.rows:
        detail = f"span {header.span}; must be the count, {header.rows}"
        raise FrameError("bad_range", detail)
    rows = _rows(found, now, None)
    if not rows.entries:
        return Decoded(None, None, rows.rejected)
    decoded = batch_of(rows.entries, rows.places if rows.rejected else None)
    return decoded._replace(rejected=rows.rejected)


def _unpack(message: Bytes) -> Any:
    """One msgpack object; text that is not UTF-8 is marked for `entry_from_map`."""
    try:
        return msgpack.unpackb(
            message,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            object_pairs_hook=_map,
            ext_hook=_Extension,
            max_array_len=_ITEMS_MAX,
            max_map_len=_ITEMS_MAX,
        )
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise FrameError("bad_msgpack", str(error) or type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class _Extension:
    """A type that only its sender knows; msgpack's own would be taken for a list."""

    code: int
    data: bytes


class _Repeated(dict[Any, Any]):
    """A map that named a key twice; dict would keep the last without a word."""


def _map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    try:
        fields = dict(pairs)
    except TypeError:
        raise ValueError("a map's key must be text") from None
    return fields if len(fields) == len(pairs) else _Repeated(fields)


def _rows(found: Any, now: int, source: str | None) -> Rows:
    maps = [found] if isinstance(found, dict) else found
    if not isinstance(maps, list):
        kind = type(found).__name__
        raise FrameError("not_an_entry", f"a {kind}; must be a map or an array of maps")
    if len(maps) > BATCH_ROWS:
        raise FrameError("too_many_rows", f"{len(maps)} entries; limit {BATCH_ROWS}")
    rows = Rows([], [], [])
    for place, fields in enumerate(maps):
        try:
            rows.entries.append(_entry(fields, now, source))
            rows.places.append(place)
        except EntryError as error:
            # Frames that a traceback holds cost the collector of garbage 60 us a row.
            error.__traceback__ = None
            rows.rejected.append(Rejected(place, error, fields))
    return rows


def _entry(fields: object, now: int, source: str | None) -> Entry:
    if not isinstance(fields, dict):
        raise EntryError("entry", f"of type {type(fields).__name__}", "a map")
    time = fields.get("timestamp")
    if isinstance(time, msgpack.Timestamp):
        fields["timestamp"] = format_timestamp(check_range(time.to_unix_nano()))
    entry = entry_from_map(fields, now, source)
    if type(fields) is _Repeated:
        raise EntryError("entry", "a key stands twice", "each key once")
    if entry.metadata and _repeats(entry.metadata):
        raise EntryError("metadata", "a key stands twice", "each key once")
    return entry


def _repeats(value: object) -> bool:
    if isinstance(value, dict):
        return type(value) is _Repeated or any(map(_repeats, value.values()))
    return isinstance(value, list) and any(map(_repeats, value))
