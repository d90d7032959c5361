"""The numbers that a field has in chosen rows: int64 and float64 stay apart.

NaN, texts, booleans, lists and maps are no numbers; null is no value at all. Integers
beyond int64 count as decimals. Of `timestamp` the numbers are ns since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column
from pipeline.batch.layout import Kind
from pipeline.query.aggregate.fields import candidates, read_paths
from pipeline.query.text import Ints
from pipeline.query.view import View

Floats = npt.NDArray[np.float64]

_INT64 = 1 << 63


class Numbers(NamedTuple):
    """Numbers and their places in the rows; how many values are none."""

    int_places: Ints
    ints: Ints
    float_places: Ints
    floats: Floats
    skipped: int

    def together(self) -> tuple[Ints, Floats]:
        """All as float64."""
        if not len(self.ints):
            return self.float_places, self.floats
        if not len(self.floats):
            return self.int_places, self.ints.astype(np.float64)
        return (
            np.concatenate([self.int_places, self.float_places]),
            np.concatenate([self.ints.astype(np.float64), self.floats]),
        )


_NO_PLACES: Ints = np.empty(0, np.int64)
_NO_FLOATS: Floats = np.empty(0, np.float64)


def read_numbers(view: View, name: str, rows: Ints) -> Numbers:
    """The field's numbers in these rows."""
    found = list(candidates(view, name))
    if len(found) == 1 and found[0].rest is None:
        column = view.batch.columns[found[0].column]
        if column.kind is not Kind.PACKED:
            return _of_column(column, *view.batch.ranks_at(found[0].column, rows))
    parts = [
        _of_values(places, values) for places, values in read_paths(view, found, rows)
    ]
    if not parts:
        return Numbers(_NO_PLACES, _NO_PLACES, _NO_PLACES, _NO_FLOATS, 0)
    return Numbers(
        np.concatenate([part.int_places for part in parts]),
        np.concatenate([part.ints for part in parts]),
        np.concatenate([part.float_places for part in parts]),
        np.concatenate([part.floats for part in parts]),
        sum(part.skipped for part in parts),
    )


def _of_column(column: Column, places: Ints, ranks: Ints) -> Numbers:
    if column.kind is Kind.INT64:
        values = column.numbers[ranks]
        return Numbers(places, values, _NO_PLACES, _NO_FLOATS, 0)
    if column.kind is Kind.FLOAT64:
        floats = column.numbers[ranks]
        good = np.flatnonzero(~np.isnan(floats))
        skipped = len(floats) - len(good)
        if skipped:
            places, floats = places[good], floats[good]
        return Numbers(_NO_PLACES, _NO_PLACES, places, floats, skipped)
    if column.kind is Kind.DICT:
        return _of_dictionary(column, places, ranks)
    return Numbers(_NO_PLACES, _NO_PLACES, _NO_PLACES, _NO_FLOATS, len(ranks))


def _of_dictionary(column: Column, places: Ints, ranks: Ints) -> Numbers:
    """The dictionary's few values are looked at, and taken by the rows' codes."""
    _, kind, texts = column.dictionary_parts
    if kind == Kind.TEXT:
        return Numbers(_NO_PLACES, _NO_PLACES, _NO_PLACES, _NO_FLOATS, len(ranks))
    size = len(texts.lengths)
    inside = _of_values(np.arange(size), column.dictionary)
    ints, floats = np.zeros(size, np.int64), np.zeros(size)
    kinds = np.zeros(size, np.int8)
    kinds[[at for at, v in enumerate(column.dictionary) if v is not None]] = 3
    kinds[inside.int_places], kinds[inside.float_places] = 1, 2
    ints[inside.int_places], floats[inside.float_places] = inside.ints, inside.floats
    codes = column.codes[ranks]
    found = kinds[codes]
    whole, broken = found == 1, found == 2
    return Numbers(
        *(places[whole], ints[codes[whole]], places[broken], floats[codes[broken]]),
        int(np.count_nonzero(found == 3)),
    )


def _of_values(places: Ints, values: Sequence[Any]) -> Numbers:
    ints = [
        at for at, v in enumerate(values) if type(v) is int and -_INT64 <= v < _INT64
    ]
    floats = [
        at
        for at, v in enumerate(values)
        if (type(v) is float and v == v) or (type(v) is int and v >= _INT64)
    ]
    nothing = sum(value is None for value in values)
    return Numbers(
        places[ints],
        np.array([values[at] for at in ints], np.int64),
        places[floats],
        np.array([values[at] for at in floats], np.float64),
        len(values) - len(ints) - len(floats) - nothing,
    )
