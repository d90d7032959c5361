"""Rows to columns, with the standard library and msgpack only: runs in every service.

A row is an `Entry` or any tuple of its fields: (timestamp, source, level, message,
metadata, tags, trace_id).  Strategy: `zip` turns rows into columns in one call, each
distinct set of metadata keys becomes a shape, and a column's kind follows from the set
of its values' types; there is no Python loop over the fields of an entry.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

from pipeline.batch.layout import (
    COLUMN,
    DICT_HEAD,
    HEAD,
    LEVEL,
    MESSAGE,
    METADATA,
    METADATA_PREFIX,
    NUMBER,
    SHAPE,
    SOURCE,
    TAGS,
    TIMESTAMP,
    TRACE_ID,
    VERSION,
    Codec,
    Kind,
    Numbers,
)
from pipeline.batch.pack import pack
from pipeline.limits import (
    BATCH_COLUMNS,
    MESSAGE_BYTES,
    METADATA_BYTES,
    METADATA_KEY_BYTES,
    METADATA_KEYS,
    SOURCE_BYTES,
    TAG_BYTES,
    TRACE_ID_BYTES,
)
from pipeline.limits import TAGS as TAGS_MAX

Row = tuple[int, str, int, str, dict[str, Any] | None, Sequence[str] | None, str | None]
Data = tuple[Kind, bytes]
Compress = Callable[[bytes], bytes]

_WIDTHS: Final = ((1, "B", 1 << 8), (2, "H", 1 << 16), (4, "I", 1 << 32))
_DICT_SHARE: Final = 3
"""A text column is a DICT when its distinct values are at most a third of all."""

_PLAIN: Final = bytes([Numbers.PLAIN])
_COMPRESS_FROM: Final = 64
"""Bytes: below, zstd's own header eats the gain."""

_SAMPLE: Final = 64
"""Values looked at first: mostly distinct ones are not worth a dictionary."""


class Encoded(NamedTuple):
    """A column ready to be framed."""

    name: str
    kind: Kind
    present: int
    data: bytes


def encode_rows(
    rows: Sequence[Row],
    numbers: Sequence[int] | None = None,
    compress: Compress | None = None,
) -> bytes:
    """A payload of all rows; `numbers` are offsets from the sequence.

    With `compress` each column that is worth it becomes one zstd frame.

    Raises TypeError or AttributeError when a field is not of its type, and ValueError
    when it is beyond a limit or has a lone surrogate; the caller then looks at the rows
    one by one.
    """
    times, sources, levels, messages, metadata, tags, traces = zip(*rows, strict=True)
    columns = [
        Encoded(TIMESTAMP, *_sized(times, _integers(times))),
        Encoded(SOURCE, *_sized(sources, _dictionary(sources, limit=SOURCE_BYTES))),
        Encoded(LEVEL, *_sized(levels, (Kind.U8, bytes(levels)))),
        Encoded(MESSAGE, *_sized(messages, _text(messages, MESSAGE_BYTES))),
    ]
    if numbers is not None:
        columns.append(Encoded(NUMBER, *_sized(numbers, _integers(numbers))))
    if any(metadata) or any(tags) or any(traces):
        columns += _optional(metadata, tags, traces, len(columns))
    return assemble(columns, len(rows), compress)


def assemble(
    columns: Iterable[Encoded], rows: int, compress: Compress | None = None
) -> bytes:
    """Frame columns as a payload, one at a time: they may be megabytes."""
    directory = []
    names = []
    stored = []
    for column in columns:
        name = column.name.encode()
        codec, data = _stored(column.data, compress)
        sizes = (len(name), column.present, len(column.data), len(data))
        directory.append(COLUMN.pack(column.kind, codec, *sizes))
        names.append(name)
        stored.append(data)
    head = HEAD.pack(VERSION, len(directory), rows)
    return b"".join([head, *directory, *names, *stored])


def unpacked_bytes(payload: bytes) -> int:
    """Bytes of a payload's columns after decompression, from its directory."""
    _, count, _ = HEAD.unpack_from(payload)
    end = HEAD.size + count * COLUMN.size
    return sum(raw for *_, raw, _ in COLUMN.iter_unpack(payload[HEAD.size : end]))


def _stored(data: bytes, compress: Compress | None) -> tuple[Codec, bytes]:
    if compress is not None and len(data) >= _COMPRESS_FROM:
        smaller = compress(data)
        if len(smaller) < len(data):
            return Codec.ZSTD, smaller
    return Codec.PLAIN, data


def _sized(values: Sequence[object], data: Data) -> tuple[Kind, int, bytes]:
    return data[0], len(values), data[1]


def _optional(
    metadata: tuple[dict[str, Any] | None, ...],
    tags: tuple[Sequence[str] | None, ...],
    traces: tuple[str | None, ...],
    first: int,
) -> list[Encoded]:
    """The columns that not every row has, and the shapes that say which rows do."""
    keys = [tuple(fields) if fields else () for fields in metadata]
    shapes = dict.fromkeys(keys)
    names = dict.fromkeys(chain.from_iterable(shapes))
    if not all(type(name) is str for name in names):
        metadata = tuple(_text_keys(fields) for fields in metadata)
        return _optional(metadata, tags, traces, first)
    rest: tuple[dict[str, Any] | None, ...] = ()
    if len(names) > BATCH_COLUMNS:
        metadata, rest = _split_rare(metadata, keys)
        keys = [tuple(fields) if fields else () for fields in metadata]
        shapes = dict.fromkeys(keys)
        names = dict.fromkeys(chain.from_iterable(shapes))
    _check_keys(shapes, names)
    columns = [
        Encoded(METADATA_PREFIX + name, *_sized(found, _any(found)))
        for name, found in _values_by_key(metadata, keys, shapes)
    ]
    start = first + 1
    position = {
        column.name[len(METADATA_PREFIX) :]: place
        for place, column in enumerate(columns, start)
    }
    extras: list[tuple[Sequence[object], str, Callable[[list[Any]], Data]]] = [
        (tags, TAGS, _tags),
        (traces, TRACE_ID, _traces),
        (rest, METADATA, _packed),
    ]
    flags: dict[int, bytes] = {}
    for column, name, encode in extras:
        found = [value for value in column if value]
        if found:
            flags[start + len(columns)] = bytes(map(bool, column))
            columns.append(Encoded(name, *_sized(found, encode(found))))
    return [_shape(keys, shapes, position, flags), *columns]


def _shape(
    keys: list[tuple[str, ...]],
    shapes: Iterable[tuple[str, ...]],
    position: dict[str, int],
    flags: dict[int, bytes],
) -> Encoded:
    """Codes of the distinct sets of optional columns, one a row.

    A row's set is a number: the code of its keys, then a bit for each flag.
    """
    table = {key: code for code, key in enumerate(shapes)}
    sets: Sequence[int] = list(map(table.__getitem__, keys))
    for bits in flags.values():
        sets = [code << 1 | bit for code, bit in zip(sets, bits, strict=True)]
    codes = {code: place for place, code in enumerate(dict.fromkeys(sets))}
    members = list(table)
    places = list(flags)[::-1]
    found = []
    for code in codes:
        there = [place for bit, place in enumerate(places) if code >> bit & 1]
        there += [position[key] for key in members[code >> len(places)]]
        found.append(array("H", sorted(there)).tobytes())
    head = DICT_HEAD.pack(Kind.PACKED, _code_width(len(codes)), len(codes))
    data = head + _codes(map(codes.__getitem__, sets), len(codes)) + _framed(found)
    return Encoded(SHAPE, Kind.SHAPE, len(keys), data)


def _values_by_key(
    metadata: tuple[dict[str, Any] | None, ...],
    keys: list[tuple[str, ...]],
    shapes: Iterable[tuple[str, ...]],
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each key with its values in row order.

    Rows with the same keys are grouped, so that a key that only one group has is not
    looked for in the others' rows.
    """
    owners = Counter(chain.from_iterable(shapes))
    alone = [key for key in shapes if any(owners[name] == 1 for name in key)]
    groups: dict[tuple[str, ...], list[Any]] = {key: [] for key in alone}
    if groups:
        for key, fields in zip(keys, metadata, strict=True):
            if key in groups:
                groups[key].append(fields)
    for key, members in groups.items():
        for name in key:
            if owners[name] == 1:
                yield name, list(map(itemgetter(name), members))
    present = [fields for fields in metadata if fields]
    every = len(list(filter(None, shapes)))
    for name, count in owners.items():
        if count > 1 and count == every:
            yield name, list(map(itemgetter(name), present))
        elif count > 1:
            yield name, [fields[name] for fields in present if name in fields]


def _split_rare(
    metadata: tuple[dict[str, Any] | None, ...], keys: list[tuple[str, ...]]
) -> tuple[tuple[dict[str, Any] | None, ...], tuple[dict[str, Any] | None, ...]]:
    """Keep the commonest keys as columns and the others of each row as one map."""
    counts = Counter(chain.from_iterable(keys))
    kept = {name for name, _ in counts.most_common(BATCH_COLUMNS)}
    common = []
    rare = []
    for fields in metadata:
        pairs = (fields or {}).items()
        common.append({name: value for name, value in pairs if name in kept} or None)
        rare.append({name: value for name, value in pairs if name not in kept} or None)
    return tuple(common), tuple(rare)


def _text_keys(fields: dict[Any, Any] | None) -> dict[str, Any] | None:
    return fields and {str(key): value for key, value in fields.items()}


def _any(values: Sequence[Any]) -> Data:
    """The narrowest kind that gives every value back as it was."""
    types = set(map(type, values))
    if len(types) == 1:
        encode = _BY_TYPE.get(types.pop())
        if encode is not None:
            return encode(values)
    return _packed(values)


def _integers(values: Sequence[int]) -> Data:
    try:
        return Kind.INT64, _PLAIN + array("q", values).tobytes()
    except OverflowError:
        return _packed(values)


def _floats(values: Sequence[float]) -> Data:
    return Kind.FLOAT64, _PLAIN + array("d", values).tobytes()


def _booleans(values: Sequence[bool]) -> Data:
    return Kind.BOOL, bytes(values)


def _strings(values: Sequence[str]) -> Data:
    if len(set(values[:_SAMPLE])) * _DICT_SHARE > 2 * _SAMPLE:
        return _text(values)
    distinct = dict.fromkeys(values)
    if len(distinct) * _DICT_SHARE <= len(values):
        return _dictionary(values, distinct)
    return _text(values)


def _dictionary(
    values: Sequence[str],
    distinct: Iterable[str] | None = None,
    limit: int = METADATA_BYTES,
) -> Data:
    codes = {
        value: code for code, value in enumerate(distinct or dict.fromkeys(values))
    }
    head = DICT_HEAD.pack(Kind.TEXT, _code_width(len(codes)), len(codes))
    numbers = _codes(map(codes.__getitem__, values), len(codes))
    return Kind.DICT, head + numbers + _text(list(codes), limit)[1]


def _tags(values: Sequence[Sequence[str]]) -> Data:
    lists = list(map(tuple, values))
    codes = {value: code for code, value in enumerate(dict.fromkeys(lists))}
    for tags in codes:
        if len(tags) > TAGS_MAX or any(len(tag.encode()) > TAG_BYTES for tag in tags):
            raise ValueError(
                f"more than {TAGS_MAX} tags, or one over {TAG_BYTES} bytes"
            )
    head = DICT_HEAD.pack(Kind.PACKED, _code_width(len(codes)), len(codes))
    numbers = _codes(map(codes.__getitem__, lists), len(codes))
    return Kind.DICT, head + numbers + _packed(list(codes))[1]


def _traces(values: Sequence[str]) -> Data:
    """32 lower-case hex digits are stored as the 16 bytes that they stand for."""
    if set(map(len, values)) == {32}:
        joined = "".join(values)
        with suppress(ValueError):
            raw = bytes.fromhex(joined)
            if raw.hex() == joined:
                return Kind.BYTES16, raw
    return _text(values, TRACE_ID_BYTES)


def _text(values: Sequence[str], limit: int = METADATA_BYTES) -> Data:
    joined = "\n".join(values)
    if joined.isascii():
        lengths = _lengths(list(map(len, values)), limit)
        return Kind.TEXT, lengths + joined.encode() + b"\n"
    parts = [value.encode() for value in values]
    lengths = _lengths(list(map(len, parts)), limit)
    return Kind.TEXT, lengths + b"\n".join(parts) + b"\n"


def _packed(values: Sequence[object]) -> Data:
    return Kind.PACKED, _framed(list(map(pack, values)))


def _framed(parts: Sequence[bytes]) -> bytes:
    return _lengths(list(map(len, parts)), METADATA_BYTES) + b"".join(parts)


def _lengths(values: Sequence[int], limit: int) -> bytes:
    largest = max(values, default=0)
    if largest > limit:
        raise ValueError(f"a value has {largest} bytes; mustn't exceed {limit}")
    width, code, _ = next(row for row in _WIDTHS if largest < row[2])
    return bytes([width]) + array(code, values).tobytes()


def _check_keys(shapes: Iterable[tuple[str, ...]], names: Iterable[str]) -> None:
    if max(map(len, shapes), default=0) > METADATA_KEYS:
        raise ValueError(f"an entry has more than {METADATA_KEYS} metadata keys")
    for name in names:
        if len(name) * 4 > METADATA_KEY_BYTES < len(name.encode()):
            raise ValueError(f"a metadata key has more than {METADATA_KEY_BYTES} bytes")


def _code_width(distinct: int) -> int:
    return 1 if distinct <= 1 << 8 else 2


def _codes(values: Iterable[int], distinct: int) -> bytes:
    if distinct <= 1 << 8:
        return bytes(values)
    return array("H", values).tobytes()


_BY_TYPE: Final[dict[type, Callable[[Sequence[Any]], Data]]] = {
    str: _strings,
    int: _integers,
    float: _floats,
    bool: _booleans,
}
