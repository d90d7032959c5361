"""RE2 over whole columns of text: a pattern, the rows it is found in, what it needs.

Strategy: the bytes of many values are searched at once; a hit within a value decides
this value, one that crosses a border is decided by the value alone. `^` and `$` are
made to stop at the newlines between values, so patterns with them go the same way where
no value has a newline inside.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from pipeline.query.expressions import compile_pattern
from pipeline.query.literals import Traits, traits_of
from pipeline.query.text import Ints, Mask

_PIECE: Final = 1 << 16
"""Bytes searched at a time: a slow pattern takes 30 ms for them."""

_AGAIN: Final = 4
"""Further hits in a value after which the search begins anew at the next one: that
takes as long as some hits."""

_CROSSINGS: Final = 16
"""Hits over borders in a piece after which its values are searched one by one."""

_NEWLINE: Final = 0x0A


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
        values = _Values(data, ends)
        alone = self.traits.alone or (self.traits.edges and not values.single)
        search = self._alone if alone else self._together
        found: list[int] = []
        at = 0
        while at < len(data):
            check()
            stop = values.end(min(at + _PIECE, len(data)) - 1) + 1
            found += search(values, at, stop)
            at = stop
        mask: Mask = np.zeros(len(ends), np.bool_)
        mask[np.searchsorted(ends, np.array(found, np.int64))] = True
        return mask

    def _together(self, values: _Values, at: int, stop: int) -> Iterator[int]:
        """A place in each value with a hit: after it, the next value is searched."""
        search, data = self._many.finditer, values.data
        crossings, again = 0, 0
        hits = search(data, at, stop)
        while (hit := next(hits, None)) is not None:
            start, end = hit.span()
            if start < at:  # in the value of the hit before
                again += 1
                if end > at or again > _AGAIN:  # it took bytes of the next value
                    hits, again = search(data, at, stop), 0
                continue
            if start >= stop:
                return
            last = values.end(start)
            if end <= last or self.found_in(data[values.begin(start) : last]):
                yield start
            at = last + 1
            if end > last:
                crossings += 1
                hits = search(data, at, stop)
            if crossings > _CROSSINGS:
                yield from self._alone(values, at, stop)
                return

    def _alone(self, values: _Values, at: int, stop: int) -> Iterator[int]:
        while at < stop:
            last = values.end(at)
            if self.found_in(values.data[at:last]):
                yield at
            at = last + 1


class _Values:
    """Values with a newline behind each, and which of them has a place."""

    def __init__(self, data: bytes, ends: Ints) -> None:
        self.data = data
        newlines = np.frombuffer(data, np.uint8) == _NEWLINE
        self.single = np.count_nonzero(newlines) == len(ends)
        """Whether no value has a newline inside: then none need be counted."""
        self._ends: list[int] = [] if self.single else ends.tolist()

    def begin(self, place: int) -> int:
        """Where the value with the place begins."""
        if self.single:
            return self.data.rfind(b"\n", 0, place) + 1
        value = bisect_left(self._ends, place)
        return self._ends[value - 1] + 1 if value else 0

    def end(self, place: int) -> int:
        """Where the newline behind it stands."""
        if self.single:
            return self.data.find(b"\n", place)
        return self._ends[bisect_left(self._ends, place)]
