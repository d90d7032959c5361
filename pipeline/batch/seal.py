"""Many checked batches joined into one block, its columns packed tight and compressed.

Dense columns are joined by concatenation; only dictionary codes and shapes are
renumbered.  Integers then become the smallest width that holds them, as offsets or as
differences, in byte planes, and decimal fractions become integers: all in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.decode import Batch
from pipeline.batch.encode import Encoded, assemble
from pipeline.batch.layout import (
    DICT_HEAD,
    LEVEL,
    NARROW_HEAD,
    NUMBER,
    REQUIRED,
    SHAPE,
    SOURCE,
    TIMESTAMP,
    Kind,
    Numbers,
)
from pipeline.batch.pack import pack
from pipeline.batch.read import UNSIGNED, Ints, bad, slices
from pipeline.compression import compress

_GROWTH: Final = 4
"""A dictionary beside text columns is written out unless that takes this many times the
bytes: 1,000 rows of one text of 256 KiB must not become 256 MiB."""

COUNTED: Final = (TIMESTAMP, LEVEL, SOURCE)
"""Columns that a block's header is made from once they are joined."""

_SCALES: Final = (1, 2, 3, 4, 6)
"""Decimal places tried for floats: prices, milliseconds, ratios, seconds."""


def seal(batches: Sequence[Batch], level: int) -> bytes:
    """One payload with the rows of all batches, in order; `level` is zstd's.

    All rows must fit limits.BATCH_ROWS, all names limits.BLOCK_COLUMNS: the caller
    decides where a block ends.
    """
    rows = sum(batch.rows for batch in batches)
    return assemble(join(batches), rows, partial(compress, level=level))


def join(batches: Sequence[Batch]) -> Iterator[Encoded]:
    """The columns of all batches, one after another; NUMBER is left to the block."""
    names = dict.fromkeys(name for batch in batches for name in batch.columns)
    optional = [
        name for name in names if name not in REQUIRED and name not in (SHAPE, NUMBER)
    ]
    for name in REQUIRED:
        yield _joined(name, batches)
    if optional:
        yield join_shapes(batches, optional)
    for name in optional:
        yield _joined(name, batches)


def _joined(name: str, batches: Sequence[Batch]) -> Encoded:
    """One column of all, which then holds no more than what came for it."""
    columns = columns_of(name, batches)
    joined = join_column(name, columns)
    if name not in COUNTED:
        for column in columns:
            column.forget()
    return joined


def columns_of(name: str, batches: Sequence[Batch]) -> list[Column]:
    """The columns of that name, those of joined batches one by one."""
    return [
        part
        for batch in batches
        if name in batch.columns
        for part in batch.columns[name].parts
    ]


def join_column(name: str, columns: Sequence[Column]) -> Encoded:
    """One column of the values of all, in their order."""
    present = sum(column.count for column in columns)
    kinds = {column.kind for column in columns}
    if kinds == {Kind.DICT, Kind.TEXT}:
        if _written_out(columns) > _GROWTH * sum(len(each.data) for each in columns):
            return Encoded(name, Kind.DICT, present, _join_dictionaries(columns))
        return Encoded(name, Kind.TEXT, present, _join_texts(list(map(_bare, columns))))
    if len(kinds) > 1:
        return Encoded(name, *_join_mixed(columns, kinds))
    kind = kinds.pop()
    return Encoded(name, kind, present, _JOIN[kind](columns))


def _join_mixed(columns: Sequence[Column], kinds: set[Kind]) -> tuple[Kind, int, bytes]:
    if kinds == {Kind.TEXT, Kind.BYTES16}:
        texts = [value.encode() for column in columns for value in column.values()]
        return Kind.TEXT, len(texts), framed(texts, b"\n")
    parts: list[bytes] = []
    for column in columns:
        if column.kind is Kind.PACKED:
            parts += slices(column.texts, 0)
        else:
            parts += map(pack, column.values())
    return Kind.PACKED, len(parts), framed(parts, b"")


def _written_out(columns: Sequence[Column]) -> int:
    """Bytes of the dictionary columns' texts, each repeated as often as it stands."""
    total = 0
    for column in columns:
        if column.kind is Kind.DICT:
            codes, _, texts = column.dictionary_parts
            total += int(texts.lengths[codes].sum())
    return total


def _bare(column: Column) -> tuple[Ints, bytes]:
    """Lengths and bytes of a text column, with a dictionary written out."""
    if column.kind == Kind.TEXT:
        return column.texts.lengths, column.texts.data
    codes, _, texts = column.dictionary_parts
    words = [part + b"\n" for part in slices(texts, 1)]
    return texts.lengths[codes], b"".join(map(words.__getitem__, codes.tolist()))


def _join_texts(parts: Sequence[tuple[Ints, bytes]]) -> bytes:
    lengths = np.concatenate([lengths for lengths, _ in parts])
    return b"".join([_lengths(lengths), *(data for _, data in parts)])


def _join_text_columns(columns: Sequence[Column]) -> bytes:
    return _join_texts([column.texts for column in columns])


def _join_integers(columns: Sequence[Column]) -> bytes:
    return integers(np.concatenate([column.numbers for column in columns]))


def _join_floats(columns: Sequence[Column]) -> bytes:
    return floats(np.concatenate([column.numbers for column in columns]))


def _join_fixed(columns: Sequence[Column]) -> bytes:
    return b"".join([column.data for column in columns])


def _join_dictionaries(columns: Sequence[Column]) -> bytes:
    """DICT columns, and TEXT columns taken as dictionaries whose every row differs."""
    codes: dict[bytes, int] = {}
    parts = []
    kind: int = Kind.TEXT
    for column in columns:
        texts, numbers = column.texts if column.kind is Kind.TEXT else None, None
        if texts is None:
            numbers, kind, texts = column.dictionary_parts
        words = slices(texts, 1 if kind == Kind.TEXT else 0)
        table = np.array(
            [codes.setdefault(word, len(codes)) for word in words], np.uint16
        )
        parts.append(table if numbers is None else table[numbers])
    joined = framed(list(codes), b"\n" if kind == Kind.TEXT else b"")
    return _dictionary(np.concatenate(parts), kind, len(codes)) + joined


def _dictionary(codes: Any, kind: int, distinct: int) -> bytes:
    width = 1 if distinct <= 1 << 8 else 2
    head = DICT_HEAD.pack(kind, width, distinct)
    numbers: bytes = codes.astype(UNSIGNED[width]).tobytes()
    return head + numbers


def join_shapes(batches: Sequence[Batch], optional: Sequence[str]) -> Encoded:
    """The shapes of all rows, over REQUIRED, SHAPE and the optional columns."""
    place = {name: len(REQUIRED) + 1 + index for index, name in enumerate(optional)}
    codes: dict[bytes, int] = {}
    parts = []
    for batch in batches:
        shape = batch.columns.get(SHAPE)
        if shape is None:
            table = [codes.setdefault(b"", len(codes))]
            parts.append(np.full(batch.rows, table[0], np.uint16))
            continue
        new = np.array([place.get(name, 0) for name in batch.columns], "<u2")
        if any(len(each) and int(each.max()) >= len(new) for each in shape.dictionary):
            raise bad("a shape's columns must exist")
        shapes = [np.sort(new[members]).tobytes() for members in shape.dictionary]
        table = [codes.setdefault(members, len(codes)) for members in shapes]
        parts.append(np.array(table, np.uint16)[shape.codes])
        shape.forget()
    numbers = np.concatenate(parts)
    data = _dictionary(numbers, Kind.PACKED, len(codes)) + framed(list(codes), b"")
    return Encoded(SHAPE, Kind.SHAPE, len(numbers), data)


_JOIN: Final[dict[Kind, Callable[[Sequence[Column]], bytes]]] = {
    Kind.INT64: _join_integers,
    Kind.FLOAT64: _join_floats,
    Kind.BOOL: _join_fixed,
    Kind.DICT: _join_dictionaries,
    Kind.TEXT: _join_text_columns,
    Kind.PACKED: _join_text_columns,
    Kind.BYTES16: _join_fixed,
    Kind.U8: _join_fixed,
}


def framed(parts: Sequence[bytes], border: bytes) -> bytes:
    """TEXT (`border` is a newline) or PACKED data of these values."""
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    return b"".join([_lengths(lengths), *(part + border for part in parts)])


def _lengths(lengths: Ints) -> bytes:
    largest = int(lengths.max())
    width = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
    return bytes([width]) + lengths.astype(UNSIGNED[width]).tobytes()


def integers(values: Ints) -> bytes:
    """INT64 data in the encoding that takes the fewest bytes a value."""
    low, width = _range(values)
    if len(values) > 1 and width > 1:
        steps = np.diff(values)
        step_low, step_width = _range(steps)
        # A difference that overflows wraps around, and so does the sum that undoes it.
        if step_width < width:
            first = values[:1].tobytes()
            planes = _narrow(steps, step_low, step_width)
            return bytes([Numbers.DELTA]) + first + planes
    return bytes([Numbers.NARROW]) + _narrow(values, low, width)


def _range(values: Ints) -> tuple[int, int]:
    low = int(values.min())
    span = int(values.max()) - low
    if span == 0:
        return low, 0
    return low, next(width for width in (1, 2, 4, 8) if span < 1 << 8 * width)


def _narrow(values: Ints, low: int, width: int) -> bytes:
    head = NARROW_HEAD.pack(low, width)
    if width == 0:
        return head
    offsets = (values.view(np.uint64) - np.uint64(low & 0xFFFFFFFFFFFFFFFF)).astype(
        UNSIGNED[width]
    )
    planes = offsets.view(np.uint8).reshape(len(values), width).T
    return head + planes.tobytes()


def floats(values: Any) -> bytes:
    """FLOAT64 data; as integers where all are decimals of few places."""
    for scale in _SCALES:
        if _is_decimal(values[:16], scale) and _is_decimal(values, scale):
            whole = np.rint(values * 10.0**scale).astype(np.int64)
            return bytes([Numbers.DECIMAL, scale]) + integers(whole)
    plain: bytes = values.tobytes()
    return bytes([Numbers.PLAIN]) + plain


def _is_decimal(values: Any, scale: int) -> bool:
    with np.errstate(all="ignore"):
        whole = np.rint(values * 10.0**scale)
        same = whole / 10.0**scale == values
    small = np.abs(whole) < 1 << 52
    positive = ~(np.signbit(values) & (values == 0))
    return bool((same & small & positive).all())
