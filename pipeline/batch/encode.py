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
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
)
from pipeline.batch.values import (
    Data,
    Encode,
    code_width,
    encode_codes,
    encode_dictionary,
    encode_integers,
    encode_packed,
    encode_tags,
    encode_text,
    encode_traces,
    encode_values,
    framed,
    text_of,
)
from pipeline.limits import (
    BATCH_COLUMNS,
    MESSAGE_BYTES,
    METADATA_KEY_BYTES,
    METADATA_KEYS,
    SOURCE_BYTES,
)

if TYPE_CHECKING:
    from pipeline.redaction import Redactor

Row = tuple[int, str, int, str, dict[str, Any] | None, Sequence[str] | None, str | None]
Compress = Callable[[bytes], bytes]

_COMPRESS_FROM: Final = 64
"""Bytes: below, zstd's own header eats the gain."""


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
    redactor: Redactor | None = None,
) -> bytes:
    """A payload of all rows; `numbers` are offsets from the sequence.

    With `compress` each column that is worth it becomes one zstd frame. With a
    `redactor` no column has secrets.

    Raises TypeError or AttributeError when a field is not of its type, and ValueError
    when it is beyond a limit or has a lone surrogate; the caller then looks at the rows
    one by one.
    """
    times, sources, levels, messages, metadata, tags, traces = zip(*rows, strict=True)
    columns = [
        Encoded(TIMESTAMP, *_sized(times, encode_integers(times))),
        Encoded(
            SOURCE, *_sized(sources, encode_dictionary(sources, limit=SOURCE_BYTES))
        ),
        Encoded(LEVEL, *_sized(levels, (Kind.U8, bytes(levels)))),
        Encoded(MESSAGE, *_sized(messages, encode_text(messages, MESSAGE_BYTES))),
    ]
    if numbers is not None:
        columns.append(Encoded(NUMBER, *_sized(numbers, encode_integers(numbers))))
    texts: dict[str, Sequence[Any]] = {MESSAGE: messages}
    if any(metadata) or any(tags) or any(traces):
        columns += _optional(metadata, tags, traces, len(columns), redactor, texts)
    if redactor is not None:
        _redact(columns, texts, redactor)
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
    redactor: Redactor | None,
    texts: dict[str, Sequence[Any]],
) -> list[Encoded]:
    """The columns that not every row has, and the shapes that say which rows do.

    Values that a redactor has to look at go to `texts`, too.
    """
    keys = [tuple(fields) if fields else () for fields in metadata]
    shapes = dict.fromkeys(keys)
    names = dict.fromkeys(chain.from_iterable(shapes))
    if not all(type(name) is str for name in names):
        metadata = tuple(_text_keys(fields) for fields in metadata)
        return _optional(metadata, tags, traces, first, redactor, texts)
    rest: tuple[dict[str, Any] | None, ...] = ()
    if len(names) > BATCH_COLUMNS:
        metadata, rest = _split_rare(metadata, keys)
        keys = [tuple(fields) if fields else () for fields in metadata]
        shapes = dict.fromkeys(keys)
        names = dict.fromkeys(chain.from_iterable(shapes))
    _check_keys(shapes, names)
    columns = []
    for key, found in _values_by_key(metadata, keys, shapes):
        name = METADATA_PREFIX + key
        if redactor is not None and redactor.looks_at(key):
            texts[name] = found
        columns.append(Encoded(name, *_sized(found, _field(key, found, redactor))))
    start = first + 1
    position = {
        column.name[len(METADATA_PREFIX) :]: place
        for place, column in enumerate(columns, start)
    }
    extras: list[tuple[Sequence[object], str, Encode]] = [
        (tags, TAGS, encode_tags),
        (traces, TRACE_ID, encode_traces),
        (rest, METADATA, encode_packed),
    ]
    flags: dict[int, bytes] = {}
    for column, name, encode in extras:
        found = [value for value in column if value]
        if found:
            flags[start + len(columns)] = bytes(map(bool, column))
            columns.append(Encoded(name, *_sized(found, encode(found, redactor))))
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
    head = DICT_HEAD.pack(Kind.PACKED, code_width(len(codes)), len(codes))
    data = head + encode_codes(map(codes.__getitem__, sets), len(codes)) + framed(found)
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


def _field(name: str, values: Sequence[Any], redactor: Redactor | None) -> Data:
    """The values of one key; those of a telling one are masked whatever they are."""
    if redactor is None or redactor.spares(name):
        return encode_values(values)
    if redactor.hides(name):
        return encode_values(redactor.hidden(name, values))
    return encode_values(values, redactor)


def _redact(
    columns: list[Encoded], texts: dict[str, Sequence[str]], redactor: Redactor
) -> None:
    """Encode columns anew that have secrets in their texts.

    That is seldom, and then one or two: all texts are looked at together, as bytes,
    once they are encoded. `texts` are the values of each column that may be text.
    """
    seen: dict[int, memoryview] = {}
    for place, (name, kind, present, data) in enumerate(columns):
        text = text_of(kind, data, present) if name in texts else None
        if text is not None:
            seen[place] = text
    if not redactor.suspects(b"\n".join(seen.values())):
        return
    for place, text in seen.items():
        found = redactor.suspects(bytes(text))
        if found:
            name = columns[place].name
            values = redactor.masked(texts[name], found)
            is_message = name == MESSAGE
            again = encode_text(values, MESSAGE_BYTES) if is_message else None
            columns[place] = Encoded(
                name, *_sized(values, again or encode_values(values))
            )


def _check_keys(shapes: Iterable[tuple[str, ...]], names: Iterable[str]) -> None:
    if max(map(len, shapes), default=0) > METADATA_KEYS:
        raise ValueError(f"an entry has more than {METADATA_KEYS} metadata keys")
    for name in names:
        if len(name) * 4 > METADATA_KEY_BYTES < len(name.encode()):
            raise ValueError(f"a metadata key has more than {METADATA_KEY_BYTES} bytes")
