"""Numbers of columns compared with those of questions, exactly whatever their kinds.

numpy would compare an int64 with a float after a conversion that rounds; here the bound
is brought to the column's kind instead, so that the comparison means the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import Kind
from pipeline.query.text import Mask

NOTHING: Final = object()
"""The literal of a text that is none: no value is it."""

_LITERAL_CHARACTERS: Final = 64
"""No number that can be stored is written longer by anybody."""

_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1
_WORDS: Final[dict[str, Any]] = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}


def maybe_literal(text: str) -> Any:
    """The value that is written so, or NOTHING."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LITERAL_CHARACTERS:
        return NOTHING
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return number if math.isfinite(number) else NOTHING


def equal_numbers(column: Column, literal: Any) -> Mask:
    """Which values of a column of numbers or booleans are the literal."""
    nowhere: Mask = np.zeros(column.count, np.bool_)
    if column.kind == Kind.BOOL or isinstance(literal, bool):
        same = column.kind == Kind.BOOL and isinstance(literal, bool)
        return np.asarray(column.numbers == literal) if same else nowhere
    if not isinstance(literal, int | float):
        return nowhere
    if isinstance(literal, float) and math.isnan(literal):
        return np.asarray(np.isnan(column.numbers))
    return Range(literal, literal).numbers(column)


@dataclass(frozen=True, slots=True)
class Range:
    """What lies between two bounds, of which one may be missing.

    Bounds are both numbers or both texts as UTF-8, which sorts as code points do.
    """

    low: Any = None
    high: Any = None
    low_included: bool = True
    high_included: bool = True

    @property
    def textual(self) -> bool:
        """Whether texts are compared."""
        return isinstance(self.low, bytes) or isinstance(self.high, bytes)

    def holds(self, value: Any) -> bool:
        """Whether one value of the bounds' kind is within."""
        low, high = self.low, self.high
        return (
            low is None or (value >= low if self.low_included else value > low)
        ) and (high is None or (value <= high if self.high_included else value < high))

    def numbers(self, column: Column) -> Mask:
        """Which values of an INT64 or FLOAT64 column are within; of others none."""
        if self.textual or column.kind not in (Kind.INT64, Kind.FLOAT64):
            return np.zeros(column.count, np.bool_)
        if column.kind == Kind.INT64:
            return self._integers(column)
        return self._floats(column)

    def _integers(self, column: Column) -> Mask:
        low, high = _INT64_MIN, _INT64_MAX
        if self.low is not None:
            low = max(low, _above(self.low, included=self.low_included))
        if self.high is not None:
            high = min(high, -_above(-self.high, included=self.high_included))
        numbers = column.numbers
        if low > high:
            return np.zeros(len(numbers), np.bool_)
        mask: Mask = numbers >= low
        if high < _INT64_MAX:
            mask &= numbers <= high
        return mask

    def _floats(self, column: Column) -> Mask:
        numbers = column.numbers
        mask: Mask = ~np.isnan(numbers)
        if self.low is not None:
            bound, included = _nearest(self.low, included=self.low_included)
            mask &= numbers >= bound if included else numbers > bound
        if self.high is not None:
            bound, included = _nearest(-self.high, included=self.high_included)
            mask &= numbers <= -bound if included else numbers < -bound
        return mask


_BEYOND: Final = 1 << 64


def _above(bound: float, *, included: bool) -> int:
    """The lowest integer that is at least, or above, the bound."""
    if isinstance(bound, float):
        if math.isinf(bound):
            return _BEYOND if bound > 0 else -_BEYOND
        whole = math.ceil(bound)
        return whole if included or whole != bound else whole + 1
    return bound if included else bound + 1


def _nearest(bound: float, *, included: bool) -> tuple[float, bool]:
    """A double and whether it is within, so that doubles from it on are the same."""
    try:
        nearest = float(bound)
    except OverflowError:
        nearest = math.inf if bound > 0 else -math.inf
    if nearest == bound:
        return nearest, included
    return nearest, nearest > bound
