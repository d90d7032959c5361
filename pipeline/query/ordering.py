"""Which rows may be the first in an order, told by numbers instead of by values.

A key becomes levels of numbers that sort as its values do: whether there is none, then
the value, of texts eight bytes at a time. A level is looked at for those rows only that
the levels before could not tell apart, so that of a million texts a few are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column
from pipeline.batch.layout import Kind
from pipeline.level import LEVEL_NAMES, parse_level
from pipeline.query.aggregate.fields import candidates, texts_at
from pipeline.query.aggregate.hashing import Hashes
from pipeline.query.pipes import SortKey, resolve_field
from pipeline.query.tables import rank
from pipeline.query.text import Ints
from pipeline.query.view import View

Codes = npt.NDArray[Any]


class Level(NamedTuple):
    """Numbers of some of the rows, by their places among them."""

    codes: Callable[[Ints], Codes]
    bound: Any = None
    """The number of the border: what is above it comes after it."""


_WORD: Final = 8
_SIGN: Final = (1 << 63) - 1
_WORDS_MAX: Final = 64
"""Texts that begin with so many equal words are compared as texts."""

_MASKS: Final = np.array(
    [(1 << 64) - (1 << 8 * (_WORD - n)) for n in range(9)], np.uint64
)
_SEVERITIES: Final = np.array(
    [
        -1 if found is None else found
        for found in (parse_level(LEVEL_NAMES.get(n, str(n))) for n in range(256))
    ]
)


def first_rows(
    view: View,
    keys: Sequence[SortKey],
    rows: Ints,
    most: int,
    *,
    newest: bool,
    border: Any = None,
) -> Ints:
    """The rows that may be among the first `most`, and few others, in their order.

    Rows that are equal in all keys are told apart by time. `border` is a value of the
    first key: rows behind it are not wanted.
    """
    chosen: list[Ints] = []
    todo = np.arange(len(rows))
    is_near = border is not None
    for level in _levels(view, keys, rows, border, newest=newest):
        bound = level.bound if is_near else None
        if not len(todo) or (len(todo) <= most and bound is None):
            break
        view.check()
        codes = level.codes(todo)
        if bound is not None:
            todo, codes = todo[codes <= bound], codes[codes <= bound]
        last = bound
        if len(todo) > most:
            last = np.partition(codes, most - 1)[most - 1]
        is_near = is_near and bound is not None and last == bound
        below = todo[codes < last]
        chosen.append(below)
        todo = todo[codes == last]
        most -= len(below)
    return np.asarray(rows[np.sort(np.concatenate([*chosen, todo]))])


def _levels(
    view: View, keys: Sequence[SortKey], rows: Ints, border: Any, *, newest: bool
) -> Iterator[Level]:
    for key in keys:
        for level in _of_key(view, key, rows, border):
            if level is None:
                return  # rows that are equal so far are compared by their values
            yield level
        border = None
    times = view.timestamps()[rows]
    yield Level(lambda at: ~times[at] if newest else times[at])


def _of_key(
    view: View, key: SortKey, rows: Ints, border: Any
) -> Iterator[Level | None]:
    """Levels; None among them where no number tells the rest apart."""
    field = resolve_field(key.name)
    found = list(candidates(view, field))
    if not found:
        return
    column = view.batch.columns[found[0].column]
    if len(found) > 1 or found[0].rest is not None or column.kind is Kind.PACKED:
        yield None
        return
    places, ranks = view.batch.ranks_at(found[0].column, rows)
    absent = np.ones(len(rows), np.bool_)
    absent[places] = False
    if len(places) < len(rows):  # they come last, whichever way the others are sorted
        yield Level(
            lambda at: absent[at].astype(np.int64), None if border is None else 0
        )
    where = np.cumsum(~absent) - 1
    for level in _column_levels(column, field, ranks, border):
        yield None if level is None else _turned(level, absent, where, key.descending)


def _turned(
    level: Level, absent: npt.NDArray[np.bool_], where: Ints, descending: bool
) -> Level:
    """Told of all rows; those left are either all with a value or all without."""

    def codes(at: Ints) -> Codes:
        if absent[at[0]]:
            return np.zeros(len(at), np.int64)
        found = level.codes(where[at])
        return ~found if descending else found

    bound = level.bound
    return Level(codes, ~bound if descending and bound is not None else bound)


def _column_levels(
    column: Column, field: str, ranks: Ints, border: Any
) -> Iterator[Level | None]:
    if field == "level":
        severities = _SEVERITIES[column.numbers[ranks]]
        yield Level(lambda at: severities[at]) if severities.min() >= 0 else None
    elif column.kind is Kind.DICT:
        order = _dictionary_order(column)
        yield Level(lambda at: order[column.codes[ranks[at]]])
    elif column.kind is Kind.TEXT:
        data = border.encode() if isinstance(border, str) else None
        yield from _text_levels(lambda at: texts_at(column, ranks[at]), data)
    elif column.kind is Kind.BYTES16:
        raw = np.ascontiguousarray(column.raw).view(">u8").astype(np.uint64)
        yield Level(lambda at: raw[ranks[at], 0])
        yield Level(lambda at: raw[ranks[at], 1])
    elif column.kind in (Kind.INT64, Kind.BOOL):
        is_number = type(border) is int and column.kind is Kind.INT64
        bound = np.int64(border) if is_number and abs(border) < 1 << 63 else None
        yield Level(lambda at: column.numbers[ranks[at]].astype(np.int64), bound)
    elif column.kind is Kind.FLOAT64 and not np.isnan(column.numbers).any():
        # -0.0 is below 0.0 by its bits
        bits = (column.numbers[ranks] + 0.0).view(np.int64)
        ordered = bits ^ ((bits >> 63) & _SIGN)
        yield Level(lambda at: ordered[at])
    else:
        yield None


def _dictionary_order(column: Column) -> Ints:
    """The place of each distinct value; no value behind all others."""
    ranks = [rank(value) for value in column.dictionary]
    places = {one: place for place, one in enumerate(sorted(set(ranks)))}
    return np.array([places[one] for one in ranks], np.int64)


def _text_levels(
    read: Callable[[Ints], tuple[Ints, Ints, bytes]], border: bytes | None
) -> Iterator[Level | None]:
    """Eight bytes at a time, read once for the rows that are first asked for."""
    kept: list[tuple[Ints, Ints, Ints, Hashes]] = []

    def word(at: Ints, n: int) -> Codes:
        if not kept:
            kept.append((at, *_words(*read(at))))
        known, starts, lengths, words = kept[0]
        among = np.searchsorted(known, at)
        left = np.clip(lengths[among] - n * _WORD, 0, _WORD)
        begins = np.minimum(starts[among] + n * _WORD, len(words) - 1)
        return words[begins].astype(np.uint64) & _MASKS[left]

    def length(at: Ints) -> Codes:
        known, _, lengths, _ = kept[0]
        return np.asarray(lengths[np.searchsorted(known, at)])

    for n in range(_WORDS_MAX):
        bound = None
        if border is not None:
            part = border[n * _WORD : (n + 1) * _WORD].ljust(_WORD, b"\0")
            bound = np.uint64(int.from_bytes(part, "big"))
        yield Level(partial(word, n=n), bound)
        if kept and int(kept[0][2].max()) <= (n + 1) * _WORD:
            # what is equal so far differs at most in NULs at the end
            yield Level(length, None if border is None else np.int64(len(border)))
            return
    yield None


def _words(starts: Ints, lengths: Ints, data: bytes) -> tuple[Ints, Ints, Hashes]:
    padded = np.frombuffer(data + b"\0" * _WORD, np.uint8)
    words = np.ndarray((len(padded) - _WORD + 1,), ">u8", padded, 0, (1,))
    return starts, lengths, words
