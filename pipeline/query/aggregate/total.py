"""`sum` and `avg`: integers add up exactly, whatever their size."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pipeline.query.aggregate.groups import grown
from pipeline.query.aggregate.operator import Part, plain
from pipeline.query.text import Ints

_EXACT: Final = 1 << 53
"""Sums of whole numbers in float64 are exact up to here."""

_HALF: Final = 32
_LOW: Final = (1 << _HALF) - 1
_CARRIED: Final = 512
"""Blocks: each adds at most _EXACT."""


class Total:
    """Sum and number of the numbers of a field."""

    group_bytes = 32
    error = None

    def __init__(self, field: str) -> None:
        self._field = field
        # a sum is high * 2^32 + low + broken
        self._high: Ints = np.zeros(1, np.int64)
        self._low: Ints = np.zeros(1, np.int64)
        self._broken = np.zeros(1, np.float64)
        self._numbers: Ints = np.zeros(1, np.int64)
        self._added = 0

    def read(self, part: Part) -> None:
        """The field's numbers."""
        part.numbers(self._field)

    def add(self, part: Part) -> None:
        """Add the numbers of these rows up."""
        numbers = part.numbers(self._field)
        self._high, self._low, self._broken, self._numbers = (
            grown(self._high, part.size),
            grown(self._low, part.size),
            grown(self._broken, part.size),
            grown(self._numbers, part.size),
        )
        if len(numbers.ints):
            groups, values = part.groups[numbers.int_places], numbers.ints
            largest = max(int(values.max()), -int(values.min()))
            if largest * len(values) < _EXACT:
                _sum_into(self._low, groups, values)
            else:
                _sum_into(self._high, groups, values >> _HALF)
                _sum_into(self._low, groups, values & _LOW)
            self._carry()
            _sum_into(self._numbers, groups, None)
        if len(numbers.floats):
            groups = part.groups[numbers.float_places]
            sums = np.bincount(groups, numbers.floats)
            with np.errstate(invalid="ignore", over="ignore"):  # of infinities
                self._broken[: len(sums)] += sums
            _sum_into(self._numbers, groups, None)

    def _carry(self) -> None:
        """Before a sum of so many blocks could be beyond int64."""
        self._added += 1
        if self._added % _CARRIED == 0:
            self._high += self._low >> _HALF
            self._low &= _LOW

    def sums(self, groups: Ints) -> list[int | float | None]:
        """Of these groups; None where there is no number."""
        high, low = self._high[groups].tolist(), self._low[groups].tolist()
        broken, numbers = self._broken[groups].tolist(), self._numbers[groups].tolist()
        return [
            ((h << _HALF) + w + b if b else (h << _HALF) + w) if n else None
            for h, w, b, n in zip(high, low, broken, numbers, strict=True)
        ]

    def column(self, groups: Ints) -> list[Any]:
        """The sums."""
        return plain(self.sums(groups))


class Average(Total):
    """Sum over number."""

    def column(self, groups: Ints) -> list[Any]:
        """The averages."""
        numbers = self._numbers[groups].tolist()
        return plain(
            None if total is None else total / number
            for total, number in zip(self.sums(groups), numbers, strict=True)
        )


def _sum_into(state: Ints, groups: Ints, weights: Ints | None) -> None:
    sums = np.bincount(groups, weights)
    state[: len(sums)] += sums.astype(np.int64)
