"""A batch of some rows of another: what a deletion leaves of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from pipeline.batch.column import Column, Field
from pipeline.batch.decode import Batch, Mask
from pipeline.batch.layout import DICT_HEAD, NUMBER, REQUIRED, SHAPE, Codec, Kind
from pipeline.batch.read import UNSIGNED, Ints, slices
from pipeline.batch.seal import floats, framed, integers


def select(batch: Batch, keep: Mask) -> Batch:
    """The kept rows, of which there must be one; the columns are read one at a time."""
    rows = int(keep.sum())
    columns: dict[str, Column] = {}
    for name, column in batch.columns.items():
        if name in (SHAPE, NUMBER):
            continue
        present = batch.present(name)
        places = np.flatnonzero(keep if present is None else keep[present])
        if len(places):
            data = pick(column, places)
            columns[name] = _made(name, column.kind, len(places), data)
            column.forget()
    if SHAPE in batch.columns:
        columns = shaped(batch, keep, columns)
    return Batch(rows, columns, sum(len(each.data) for each in columns.values()), b"")


def pick(column: Column, places: Ints) -> bytes:
    """The bytes of a column of these values of it."""
    return _PICK[column.kind](column, places)


def _made(name: str, kind: Kind, count: int, data: bytes) -> Column:
    size = len(data)
    return Column(Field(name, kind, Codec.PLAIN, count, size, size), data)


def shaped(batch: Batch, keep: Mask, columns: dict[str, Column]) -> dict[str, Column]:
    """The columns with the shapes of the kept rows, over the columns that are left."""
    shape = batch.columns[SHAPE]
    used, codes = np.unique(shape.codes[keep], return_inverse=True)
    required = [name for name in columns if name in REQUIRED]
    optional = [name for name in columns if name not in required]
    if not optional:
        return columns
    names = list(batch.columns)
    place = {name: at for at, name in enumerate([*required, SHAPE, *optional])}
    members = [
        np.array(
            sorted(
                place[names[old]]
                for old in shape.dictionary[code].tolist()
                if names[old] in place
            ),
            "<u2",
        ).tobytes()
        for code in used.tolist()
    ]
    width = 1 if len(members) <= 1 << 8 else 2
    head = DICT_HEAD.pack(Kind.PACKED, width, len(members))
    data = head + codes.astype(UNSIGNED[width]).tobytes() + framed(members, b"")
    shapes = _made(SHAPE, Kind.SHAPE, len(codes), data)
    ordered = {name: columns[name] for name in required}
    return {**ordered, SHAPE: shapes, **{name: columns[name] for name in optional}}


def _pick_integers(column: Column, places: Ints) -> bytes:
    return integers(column.numbers[places])


def _pick_floats(column: Column, places: Ints) -> bytes:
    return floats(column.numbers[places])


def _pick_fixed(column: Column, places: Ints) -> bytes:
    chosen: bytes = column.numbers[places].astype(np.uint8).tobytes()
    return chosen


def _pick_raw(column: Column, places: Ints) -> bytes:
    return column.raw[places].tobytes()


def _pick_texts(column: Column, places: Ints) -> bytes:
    data, border = column.texts.data, b"\n" if column.kind is Kind.TEXT else b""
    borders = zip(
        column.starts[places].tolist(), column.ends[places].tolist(), strict=True
    )
    return framed([data[start:end] for start, end in borders], border)


def _pick_dictionary(column: Column, places: Ints) -> bytes:
    codes, kind, texts = column.dictionary_parts
    used, numbers = np.unique(codes[places], return_inverse=True)
    border = int(kind == Kind.TEXT)
    words = slices(texts, border)
    width = 1 if len(used) <= 1 << 8 else 2
    head = DICT_HEAD.pack(kind, width, len(used))
    chosen = [words[code] for code in used.tolist()]
    framed_words = framed(chosen, b"\n" * border)
    numbered: bytes = numbers.astype(UNSIGNED[width]).tobytes()
    return head + numbered + framed_words


Pick = Callable[[Any, Ints], bytes]

_PICK: Final[dict[Kind, Pick]] = {
    Kind.INT64: _pick_integers,
    Kind.FLOAT64: _pick_floats,
    Kind.BOOL: _pick_fixed,
    Kind.U8: _pick_fixed,
    Kind.BYTES16: _pick_raw,
    Kind.TEXT: _pick_texts,
    Kind.PACKED: _pick_texts,
    Kind.DICT: _pick_dictionary,
}
