"""The full check of a batch that came from outside, before anything of it is kept.

`parse` has compared the lengths of the directory; here every column is decoded far
enough that no later reader can fail: kinds, counts, UTF-8, msgpack, shapes, limits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.decode import Batch
from pipeline.batch.layout import (
    LEVEL,
    MESSAGE,
    METADATA,
    NUMBER,
    REQUIRED,
    SHAPE,
    SOURCE,
    TAGS,
    TIMESTAMP,
    TRACE_ID,
    Kind,
)
from pipeline.batch.read import Ints, Texts, bad, ends_of, slices, unpack
from pipeline.limits import (
    MESSAGE_BYTES,
    METADATA_BYTES,
    NESTING,
    SOURCE_BYTES,
    TAG_BYTES,
    TRACE_ID_BYTES,
)
from pipeline.limits import (
    TAGS as TAGS_MAX,
)

_NEWLINE: Final = 0x0A
_LEVELS: Final = 24
"""OpenTelemetry's severity numbers go from 1 to 24."""

_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    TIMESTAMP: (Kind.INT64,),
    LEVEL: (Kind.U8,),
    SOURCE: (Kind.DICT,),
    MESSAGE: (Kind.TEXT,),
    TAGS: (Kind.DICT,),
    TRACE_ID: (Kind.TEXT, Kind.BYTES16),
    METADATA: (Kind.PACKED,),
    NUMBER: (Kind.INT64,),
    SHAPE: (Kind.SHAPE,),
}
_VALUE_KINDS: Final = frozenset(
    {Kind.INT64, Kind.FLOAT64, Kind.BOOL, Kind.DICT, Kind.TEXT, Kind.PACKED}
)
_TEXT_BYTES: Final = {
    MESSAGE: MESSAGE_BYTES,
    SOURCE: SOURCE_BYTES,
    TRACE_ID: TRACE_ID_BYTES,
}
_FULL: Final = (*REQUIRED, NUMBER, SHAPE)


def check(batch: Batch) -> None:
    """Raise FrameError unless every value of the batch can be read."""
    for name, column in batch.columns.items():
        if name in _FULL and column.count != batch.rows:
            raise bad(f"{name}: {column.count} values for {batch.rows} rows")
        _check_column(name, column)
    _check_shapes(batch)


def _check_column(name: str, column: Column) -> None:
    allowed = _KINDS.get(name)
    if column.kind not in (_VALUE_KINDS if allowed is None else allowed):
        raise bad(f"{name} can't be of kind {column.kind.name}")
    limit = _TEXT_BYTES.get(name, METADATA_BYTES)
    if column.kind == Kind.TEXT:
        check_texts(name, column.texts, limit)
    elif column.kind == Kind.PACKED:
        check_packed(name, column.texts, limit)
    elif column.kind == Kind.DICT:
        _check_dictionary(name, column, limit)
    elif column.kind == Kind.SHAPE:
        _check_members(column)
    elif column.kind == Kind.BYTES16:
        _ = column.raw
    else:
        _check_numbers(name, column)


def _check_numbers(name: str, column: Column) -> None:
    numbers = column.numbers
    if name == LEVEL and not 0 < int(numbers.min()) <= int(numbers.max()) <= _LEVELS:
        raise bad(f"levels must be 1 to {_LEVELS}")
    if name == NUMBER and (int(numbers[0]) < 0 or bool((np.diff(numbers) <= 0).any())):
        raise bad("row numbers must ascend from 0 or more")


def check_texts(name: str, texts: Texts, limit: int) -> None:
    """Each value is UTF-8, has its newline and is within the limit (bytes)."""
    _check_longest(name, texts, limit)
    borders = np.frombuffer(texts.data, np.uint8)[ends_of(texts.lengths, 1)]
    if np.count_nonzero(borders == _NEWLINE) != len(borders):
        raise bad(f"{name}: a value has no newline at its end")
    # An ASCII border follows each value, so the whole is UTF-8 only if each value is.
    try:
        texts.data.decode()
    except UnicodeDecodeError as error:
        raise bad(f"{name} is not UTF-8: {error.reason}") from None


def check_packed(name: str, texts: Texts, limit: int) -> None:
    """Each value is one msgpack object, not nested too deep.

    Only one value at a time is an object: 64 MiB of empty lists would be 4 GiB of them.
    """
    _check_longest(name, texts, limit)
    suspects = frozenset(_suspects(texts).tolist())
    for place, value in enumerate(map(unpack, slices(texts, 0))):
        if place in suspects:
            _check_value(name, value, NESTING)
        if name == METADATA and not isinstance(value, dict):
            raise bad(f"{name} must hold maps")
        if name == TAGS:
            _check_tags(value)


def _suspects(texts: Texts) -> Ints:
    """Values that may be nested too deep or hold what is not allowed.

    Looking at each byte's class in numpy spares most values the walk in Python: depth
    needs as many bytes that open a container, and every extension, blob or key of
    another kind has its own byte.
    """
    classes = _CLASSES[np.frombuffer(texts.data, np.uint8)]
    before = np.concatenate([[0], np.cumsum(classes)])
    ends = ends_of(texts.lengths, 0)
    return np.flatnonzero(before[ends] - before[ends - texts.lengths] > NESTING)


def _check_longest(name: str, texts: Texts, limit: int) -> None:
    longest = int(np.maximum.reduce(texts.lengths))
    if longest > limit:
        raise bad(f"{name} has {longest} bytes; mustn't exceed {limit}")


def _check_value(name: str, value: object, depth: int) -> None:
    kind = type(value)
    if kind in _SCALARS:
        return
    if depth == 0:
        raise bad(f"{name} is nested deeper than {NESTING}")
    if kind is list:
        for item in value:  # type: ignore[attr-defined]
            _check_value(name, item, depth - 1)
    elif kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                raise bad(f"{name}: a map's key must be text")
            _check_value(name, item, depth - 1)
    else:
        raise bad(f"{name}: msgpack extension types can't be stored")


def _byte_classes() -> Ints:
    """Weight of each byte: 1 opens a container, more than NESTING needs a look."""
    weights = np.zeros(256, np.int64)
    weights[0x80:0xA0] = 1
    weights[0xDC:0xE0] = 1
    weights[0xC4:0xCA] = NESTING + 1
    weights[0xD4:0xD9] = NESTING + 1
    return weights


_CLASSES: Final = _byte_classes()
_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})


def _check_dictionary(name: str, column: Column, limit: int) -> None:
    _, kind, texts = column.dictionary_parts
    if (kind == Kind.PACKED) != (name == TAGS):
        raise bad(f"{name}: its dictionary can't be of kind {kind}")
    if name == TAGS:
        check_packed(name, texts, limit)
        return
    check_texts(name, texts, limit)
    if name == SOURCE and int(texts.lengths.min()) == 0:
        raise bad("a source is empty")


def _check_tags(tags: object) -> None:
    if not isinstance(tags, list) or len(tags) > TAGS_MAX:
        raise bad(f"tags must be a list of at most {TAGS_MAX}")
    for tag in tags:
        if not isinstance(tag, str) or len(tag.encode()) > TAG_BYTES:
            raise bad(f"a tag must be text of at most {TAG_BYTES} bytes")


def _check_members(column: Column) -> None:
    """What `column.dictionary` reads as u16 is made of whole ones."""
    _, kind, texts = column.dictionary_parts
    if kind != Kind.PACKED or bool((texts.lengths % 2).any()):
        raise bad("a shape must be a list of u16 positions")


def _check_shapes(batch: Batch) -> None:
    """Each optional column has as many values as there are rows of its shapes."""
    names = list(batch.columns)
    optional = [place for place, name in enumerate(names) if name not in _FULL]
    shape = batch.columns.get(SHAPE)
    if shape is None:
        if optional:
            raise bad("optional columns need the column `shape`")
        return
    members = shape.dictionary
    sizes = np.fromiter(map(len, members), np.int64, len(members))
    places = np.concatenate(members).astype(np.int64)
    owners = np.repeat(np.arange(len(members)), sizes)
    pairs = owners * len(names) + places
    if len(places) and (
        int(places.max()) >= len(names) or bool((np.diff(pairs) <= 0).any())
    ):
        raise bad("a shape's columns must ascend and exist")
    weights = np.bincount(shape.codes, minlength=len(members))[owners]
    found = np.bincount(places, weights, len(names)).astype(np.int64)
    for place, name in enumerate(names):
        expected = batch.columns[name].count if place in optional else 0
        if int(found[place]) != expected:
            raise bad(f"{name}: {expected} values; the shapes have {int(found[place])}")
