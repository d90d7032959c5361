"""`p50`, `p95` and `p99`: exact up to EXACT_VALUES numbers, then within a known error.

The percentile is a number of the group: the smallest that so many per cent are not
above. Beyond the bound numbers become cells: a cell is what numbers have in common in
sign, exponent and the first bits of their mantissa, and its middle stands for all of
them. Cells of two parts add up, and as bits are dropped there are fewer of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pipeline.query.aggregate.numbers import Floats
from pipeline.query.aggregate.operator import Part, plain
from pipeline.query.requests import FieldError
from pipeline.query.text import Ints
from pipeline.timestamp import format_timestamp

EXACT_VALUES: Final = 1 << 20
"""12 bytes each while they are gathered, and three times that when they are sorted."""

CELLS_MAX: Final = 1 << 19

_FOLDED_AT_ONCE: Final = 1 << 18
"""Numbers, once there are cells that they are added to."""

_BITS: Final = 10
"""Of the mantissa, at first; the error is half of the last of them: 0.05 %."""

_BITS_MIN: Final = 4
_MANTISSA: Final = 52
_PLACE: Final = 32
"""Bits of a key below its group: a cell's number, or a value's rank."""

_SIGN: Final = (1 << 63) - 1


class ManyNumbersError(FieldError):
    """There is no place for the numbers of all groups."""

    def __init__(self) -> None:
        problem = f"more than {CELLS_MAX:,} groups of numbers for percentiles"
        super().__init__("q", problem, hint="narrow the time range")


class Quantiles:
    """The numbers of a field, by group."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.share = 1
        """So many fields of a table share what may be held."""
        self.bits: int | None = None
        """Of the mantissa that cells keep; None while there are no cells."""
        self._groups: list[Ints] = []
        self._values: list[Floats] = []
        self._held = 0
        self._keys: Ints = np.empty(0, np.int64)
        self._weights: Ints = np.empty(0, np.int64)
        self._last: Part | None = None
        self._sorted: tuple[Ints, Ints, Floats] | None = None

    def add(self, part: Part) -> None:
        """Take these numbers in, once for all percentiles of the field."""
        if part is self._last:
            return
        self._last = part
        places, values = part.numbers(self.field).together()
        self._groups.append(part.groups[places].astype(np.int32))
        self._values.append(values)
        self._held += len(values)
        most = EXACT_VALUES if self.bits is None else _FOLDED_AT_ONCE
        if self._held > most // self.share:
            self._fold()

    def at(self, percent: int, groups: Ints) -> list[Any]:
        """The percentile of each group; None where there are no numbers."""
        self._last = None
        if self._sorted is None:
            self._sorted = self._cells() if self.bits is not None else self._exact()
        keys, ends, values = self._sorted
        first = np.searchsorted(keys, groups)
        last = np.searchsorted(keys, groups, "right")
        if not len(keys):
            return [None] * len(groups)
        before = np.where(first > 0, ends[first - 1], 0)
        count = np.where(last > 0, ends[last - 1], 0) - before
        # whole numbers: 0.95 * 20 is not 19 in floats
        rank = before + (count * percent + 99) // 100
        found = values[np.minimum(np.searchsorted(ends, rank), len(values) - 1)]
        if self.field == "timestamp":
            shown: list[Any] = [format_timestamp(int(value)) for value in found]
        else:
            shown = plain(found.tolist())
        return [
            value if some else None
            for value, some in zip(shown, (count > 0).tolist(), strict=True)
        ]

    def _exact(self) -> tuple[Ints, Ints, Floats]:
        """Of all numbers, by group and size: group, how many up to here, and it."""
        groups, values = self._take()
        order = np.argsort(values)
        values = values[order]
        # one sort of whole numbers: by group and then by rank
        keys = groups[order].astype(np.int64)
        del groups, order
        keys <<= _PLACE
        keys += np.arange(len(values))
        keys.sort()
        values = values[keys & ((1 << _PLACE) - 1)]
        keys >>= _PLACE
        return keys, np.arange(1, len(keys) + 1), values

    def _cells(self) -> tuple[Ints, Ints, Floats]:
        self._fold()
        bits = self.bits or _BITS
        shift = _MANTISSA - bits
        cells = (self._keys & ((1 << _PLACE) - 1)) - (1 << _PLACE - 1)
        ordered = (cells << shift) + (1 << shift - 1)
        values = (ordered ^ ((ordered >> 63) & _SIGN)).view(np.float64)
        # the cells of infinities, whose middle is no number, and of zero
        values = np.where(
            np.isnan(values), np.where(cells < 0, -np.inf, np.inf), values
        )
        values[cells == 0] = 0.0
        return self._keys >> _PLACE, np.cumsum(self._weights), values

    def _take(self) -> tuple[Ints, Floats]:
        groups = np.concatenate([*self._groups, np.empty(0, np.int32)])
        self._groups = []
        values = np.concatenate([*self._values, np.empty(0, np.float64)])
        self._values, self._held = [], 0
        return groups, values

    def _fold(self) -> None:
        """Turn the numbers into cells, those of a block at a time: they take memory."""
        if self.bits is None:
            self.bits = _BITS
        keys = np.empty(self._held, np.int64)
        at = 0
        while self._groups:
            groups, values = self._groups.pop(), self._values.pop()
            # -0.0 is below 0.0 by its bits
            numbers = (values + 0.0).view(np.int64)
            ordered = numbers ^ ((numbers >> 63) & _SIGN)
            cells = (ordered >> _MANTISSA - self.bits) + (1 << _PLACE - 1)
            here = slice(at, at + len(cells))
            keys[here] = (groups.astype(np.int64) << _PLACE) + cells
            at += len(cells)
        self._held = 0
        keys.sort()
        firsts = _firsts(keys)
        weights = np.diff(firsts, append=len(keys))
        keys = keys[firsts]
        del firsts
        if len(self._keys):
            keys = np.concatenate([self._keys, keys])
            weights = np.concatenate([self._weights, weights])
            keys, weights = _add_up(keys, weights)
        self._keys, self._weights = keys, weights
        while len(self._keys) > CELLS_MAX // self.share:
            self._coarsen()

    def _coarsen(self) -> None:
        if self.bits is None or self.bits == _BITS_MIN:
            raise ManyNumbersError
        self.bits -= 1
        half = 1 << _PLACE - 1
        cells = (((self._keys & ((1 << _PLACE) - 1)) - half) >> 1) + half
        keys = (self._keys >> _PLACE << _PLACE) + cells
        self._keys, self._weights = _add_up(keys, self._weights)


def _add_up(keys: Ints, weights: Ints) -> tuple[Ints, Ints]:
    """Each key once, in order, with the sum of its weights."""
    if not len(keys):
        return keys, weights
    order = np.argsort(keys)
    keys, weights = keys[order], weights[order]
    firsts = _firsts(keys)
    return keys[firsts], np.add.reduceat(weights, firsts)


def _firsts(keys: Ints) -> Ints:
    """Where each key that is in order begins."""
    if not len(keys):
        return keys
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))


class Percentile:
    """One of a field's percentiles."""

    group_bytes = 24
    """A group has a cell at least, of 16 bytes."""

    def __init__(self, quantiles: Quantiles, percent: int) -> None:
        self._quantiles = quantiles
        self._percent = percent

    def read(self, part: Part) -> None:
        """The field's numbers."""
        part.numbers(self._quantiles.field)

    def add(self, part: Part) -> None:
        """Take these numbers in."""
        self._quantiles.add(part)

    def column(self, groups: Ints) -> list[Any]:
        """The percentiles."""
        return self._quantiles.at(self._percent, groups)

    @property
    def error(self) -> float | None:
        """Half of a cell's width over its value; None when exact."""
        bits = self._quantiles.bits
        return None if bits is None else 0.5 ** (bits + 1)
