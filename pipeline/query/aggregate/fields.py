"""The values that a field has in chosen rows of a block, told apart by hashes.

`level` gives the names of levels, `tag` each tag of an entry, any other name one value
a row: `a.b` is the key `a.b` or else the first path that leads to a value. A row
without the field has NOTHING, as a stored null has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import METADATA, METADATA_PREFIX, TAGS, TIMESTAMP, Kind
from pipeline.level import LEVEL_NAMES
from pipeline.query.aggregate.hashing import (
    NOTHING,
    Hashes,
    hash_booleans,
    hash_floats,
    hash_hex,
    hash_integers,
    hash_list,
    hash_texts,
    hash_values,
)
from pipeline.query.matchers import Check
from pipeline.query.text import Ints, Mask
from pipeline.query.values import values_at
from pipeline.query.view import View, splits
from pipeline.store.message_column import MessageColumn
from pipeline.timestamp import format_timestamp

_ABSENT: Final = object()

_PIECE: Final = 8192
"""Texts looked at together, and between two looks at the budget."""


class Keys(NamedTuple):
    """Of each chosen row a value: the hash at its code, or its own without codes."""

    hashes: Hashes
    codes: Ints | None = None

    def by_row(self) -> Hashes:
        """The hash of each row."""
        return self.hashes if self.codes is None else self.hashes[self.codes]


class Candidate(NamedTuple):
    """A column that a field's values may stand in, and the path to them inside."""

    column: str
    rest: str | None
    whole: bool = False
    """The rest is one key, not a path."""


def read_keys(view: View, name: str, rows: Ints) -> Keys:
    """The field's values in these rows; `tag` is read by `read_tags`."""
    if name == "level":
        names = [LEVEL_NAMES.get(n, str(n)).encode() for n in range(256)]
        return Keys(hash_list(names), view.batch.columns["level"].numbers[rows])
    found = list(candidates(view, name))
    if not found:
        return Keys(np.array([NOTHING]), np.zeros(len(rows), np.int64))
    if len(found) == 1 and found[0].rest is None:
        return _column_keys(view, found[0].column, rows)
    hashes: Hashes = np.full(len(rows), NOTHING)
    for places, values in read_paths(view, found, rows):
        hashes[places] = hash_values(values)
    return Keys(hashes)


def read_tags(view: View, rows: Ints) -> tuple[Ints, Keys]:
    """Places in `rows`, one for each tag (at least one), and the tags."""
    column = view.batch.columns.get(TAGS)
    if column is None:
        return np.arange(len(rows)), read_keys(view, TAGS, rows)
    if column.kind is Kind.DICT:
        lists = [list(dict.fromkeys(tags)) for tags in column.dictionary]
        codes = _codes_at(view, TAGS, rows, len(lists))
    else:
        places, ranks = view.batch.ranks_at(TAGS, rows)
        lists = [list(dict.fromkeys(tags)) for tags in column.values(ranks)]
        codes = np.full(len(rows), len(lists), np.int64)
        codes[places] = np.arange(len(places))
    sizes = np.array([max(len(tags), 1) for tags in lists] + [1])
    firsts = np.cumsum(sizes) - sizes
    hashes = hash_values([tag for tags in [*lists, []] for tag in tags or [None]])
    counts = sizes[codes]
    owners = np.repeat(np.arange(len(rows)), counts)
    inside = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owners, Keys(hashes, firsts[codes][owners] + inside)


def read_values(view: View, name: str, rows: Ints) -> list[Any]:
    """The field's values in these rows as Python values; None without one."""
    if name == "level":
        numbers = view.batch.columns["level"].values(rows)
        return [LEVEL_NAMES.get(number, str(number)) for number in numbers]
    found: list[Any] = [None] * len(rows)
    for places, values in read_paths(view, list(candidates(view, name)), rows):
        for place, value in zip(places.tolist(), values, strict=True):
            found[place] = value
    if name == TIMESTAMP:
        return list(map(format_timestamp, found))
    return found


def candidates(view: View, name: str) -> Iterator[Candidate]:
    """Columns that the field's values may stand in; those that count first, first."""
    columns = view.batch.columns
    if not name.startswith(METADATA_PREFIX):
        column = TAGS if name == "tag" else name
        if column in columns:
            yield Candidate(column, None)
        return
    if name in columns:
        yield Candidate(name, None)
    key = name[len(METADATA_PREFIX) :]
    if METADATA in columns:
        yield Candidate(METADATA, key, whole=True)
    for head, rest in splits(key):
        own = METADATA_PREFIX + head
        if own in columns and columns[own].kind in (Kind.PACKED, Kind.DICT):
            yield Candidate(own, rest)
    if METADATA in columns and "." in key:
        yield Candidate(METADATA, key)


def read_paths(
    view: View, found: list[Candidate], rows: Ints
) -> Iterator[tuple[Ints, list[Any]]]:
    """(places in rows, values) from each candidate; no place comes twice."""
    todo = np.arange(len(rows))
    for candidate in found:
        places, ranks = view.batch.ranks_at(candidate.column, rows[todo])
        if not len(places):
            continue
        values = _values(view, candidate.column, ranks)
        places = todo[places]
        if candidate.rest is not None:
            inside = [_inside(value, candidate) for value in values]
            has = np.array([value is not _ABSENT for value in inside])
            places = places[has]
            values = [value for value in inside if value is not _ABSENT]
        yield places, values
        todo = np.setdiff1d(todo, places, assume_unique=True)


def _values(view: View, column: str, ranks: Ints) -> list[Any]:
    if column == METADATA:
        return view.rare_keys(ranks)
    return view.batch.columns[column].values(ranks)


def _inside(value: Any, candidate: Candidate) -> Any:
    key = candidate.rest or ""
    if candidate.whole:
        return value.get(key, _ABSENT) if type(value) is dict else _ABSENT
    found = values_at(value, key)
    return found[0] if found else _ABSENT


def _codes_at(view: View, name: str, rows: Ints, nothing: int) -> Ints:
    """Codes of a DICT column in these rows, `nothing` where there is none."""
    column = view.batch.columns[name]
    present: Mask | None = view.batch.present(name)
    if present is None:
        return column.codes[rows].astype(np.int64)
    codes = np.full(view.rows, nothing, np.int64)
    codes[present] = column.codes
    found: Ints = codes[rows]
    return found


def _column_keys(view: View, name: str, rows: Ints) -> Keys:
    column = view.batch.columns[name]
    if column.kind is Kind.DICT:
        _, kind, texts = column.dictionary_parts
        if kind == Kind.TEXT:
            starts = np.cumsum(texts.lengths + 1) - texts.lengths - 1
            hashes = hash_texts(starts, texts.lengths, texts.data)
        else:
            hashes = hash_values(column.dictionary)
        codes = _codes_at(view, name, rows, len(hashes))
        return Keys(np.append(hashes, NOTHING), codes)
    places, ranks = view.batch.ranks_at(name, rows)
    hashes = np.full(len(rows), NOTHING)
    if len(places):
        if column.kind is Kind.TEXT:
            hashes[places] = _hash_texts(column, ranks, view.check)
        else:
            hashes[places] = _HASHERS[column.kind](column, ranks)
    return Keys(hashes)


def _hash_texts(column: Column, ranks: Ints, check: Check) -> Hashes:
    hashes = np.empty(len(ranks), np.uint64)
    for at in range(0, len(ranks), _PIECE):
        check()
        texts = texts_at(column, ranks[at : at + _PIECE])
        hashes[at : at + _PIECE] = hash_texts(*texts)
    return hashes


def texts_at(column: Column, ranks: Ints) -> tuple[Ints, Ints, bytes]:
    """Starts and lengths of these values of a TEXT column, in bytes that hold them.

    Compacted messages are rebuilt for it, and not kept: those of a block take 10 MB.
    """
    if isinstance(column, MessageColumn):
        lengths, data = column.texts_of(ranks)
        return np.cumsum(lengths + 1) - lengths - 1, lengths, data
    starts, ends = column.starts[ranks], column.ends[ranks]
    first, last = int(starts.min()), int(ends.max())
    return starts - first, ends - starts, column.text[first:last]


_HASHERS: Final[dict[Kind, Callable[[Column, Ints], Hashes]]] = {
    Kind.INT64: lambda column, ranks: hash_integers(column.numbers[ranks]),
    Kind.FLOAT64: lambda column, ranks: hash_floats(column.numbers[ranks]),
    Kind.BOOL: lambda column, ranks: hash_booleans(column.numbers[ranks]),
    Kind.BYTES16: lambda column, ranks: hash_hex(column.raw[ranks]),
    Kind.PACKED: lambda column, ranks: hash_values(column.values(ranks)),
}
