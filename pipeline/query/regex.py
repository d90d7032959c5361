"""RE2 over whole columns of text: a pattern, the rows it is found in, what it needs.

Strategy: the bytes of many values are searched at once; a hit within a value decides
this value, one that crosses a border is decided by the value alone. `^` and `$` are
made to stop at the newlines between values, so patterns with them go the same way where
no value has a newline inside.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from pipeline.query.expressions import compile_pattern
from pipeline.query.literals import Traits, traits_of
from pipeline.query.text import Ints, Mask

_PIECE: Final = 1 << 16
"""Bytes searched at a time: a slow pattern takes 30 ms for them."""

_AGAIN: Final = 4
"""Further hits in rows after which the search begins anew at the next row: that takes
as long as some hits."""

_CROSSINGS: Final = 16
"""Hits over borders in a piece after which its values are searched one by one."""


class Pattern:
    """A regular expression to look for in values."""

    def __init__(self, pattern: str) -> None:
        self.traits: Traits = traits_of(pattern)
        self._one = compile_pattern(pattern)
        self._many = self._one
        if self.traits.edges:
            self._many = compile_pattern(f"(?m:{pattern})")

    def found_in(self, value: bytes) -> bool:
        """Whether one value has it."""
        return self._one.search(value) is not None

    def match(self, data: bytes, ends: Ints, check: Callable[[], None]) -> Mask:
        """Which values have it; `ends` are the places of the newlines behind each."""
        mask: Mask = np.zeros(len(ends), np.bool_)
        starts = np.concatenate([[0], ends + 1])
        alone = self.traits.alone
        if self.traits.edges and not alone:
            alone = data.count(b"\n") != len(ends)
        for first, last in _pieces(starts):
            check()
            bounds = starts[first : last + 1].tolist()
            rows = self._alone(data, bounds) if alone else self._rows(data, bounds)
            mask[[first + row for row in rows]] = True
        return mask

    def _rows(self, data: bytes, bounds: list[int]) -> Iterator[int]:
        """Rows with a hit: after each, the search goes on at the next row."""
        base = bounds[0]
        piece = data[base : bounds[-1]]
        bounds = [place - base for place in bounds]
        at, crossings, again = 0, 0, 0
        hits = self._many.finditer(piece)
        while (hit := next(hits, None)) is not None:
            start, end = hit.span()
            if start < at:  # in the row of the hit before
                again += 1
                if end > at or again > _AGAIN:  # it took bytes of the next row
                    hits, again = self._many.finditer(piece, at), 0
                continue
            row = bisect_right(bounds, start) - 1
            if row >= len(bounds) - 1:
                return
            at = bounds[row + 1]
            if end < at or self.found_in(piece[bounds[row] : at - 1]):
                yield row
            if end >= at:
                crossings += 1
                if at >= len(piece):
                    return
                hits = self._many.finditer(piece, at)
            if crossings > _CROSSINGS:
                rest = bounds[row + 1 :]
                yield from (row + 1 + more for more in self._alone(piece, rest))
                return

    def _alone(self, data: bytes, bounds: list[int]) -> Iterator[int]:
        for row, (start, end) in enumerate(pairwise(bounds)):
            if self.found_in(data[start : end - 1]):
                yield row


def _pieces(starts: Ints) -> Iterator[tuple[int, int]]:
    """Whole rows, about _PIECE bytes at a time."""
    borders = np.flatnonzero(np.diff(starts[:-1] // _PIECE)) + 1
    rows = [0, *borders.tolist(), len(starts) - 1]
    for first, last in pairwise(rows):
        if first < last:
            yield first, last
