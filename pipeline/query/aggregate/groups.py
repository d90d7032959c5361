"""Groups, numbered as they come: which one each row belongs to, by its hash.

Strategy: a hash table in numpy arrays (open addressing), in which all rows of a block
are looked up at once. A group costs some 32 bytes whatever its values are: these are
read again, from a row that was the first of its group, for the groups that are shown.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.query.aggregate.hashing import Hashes
from pipeline.query.requests import FieldError
from pipeline.query.text import Ints

Array = TypeVar("Array", bound=npt.NDArray[Any])

_SMALLEST: Final = 1 << 10
_FULL: Final = 2
"""Slots a group: twice as many keep the ways short."""

_MOVED: Final = 1 << 16
"""Groups put into a larger table at once."""


class ManyGroupsError(FieldError):
    """There is no place for more groups."""

    def __init__(self, most: int) -> None:
        hint = "narrow the time range, or group by fewer fields"
        super().__init__("q", f"more than {most:,} groups", hint=hint)


def grown(array: Array, size: int, fill: float = 0) -> Array:
    """The array with room for so many: itself, or one a quarter longer."""
    if size <= len(array):
        return array
    larger = np.full(max(size, len(array) + len(array) // 4), fill, array.dtype)
    larger[: len(array)] = array
    return larger  # type: ignore[return-value]  # of the array's own type


class Groups:
    """The groups met so far; raises ManyGroupsError for more than `most`."""

    def __init__(self, most: int) -> None:
        self.size = 0
        self._most = most
        self._slots: npt.NDArray[np.int32] = np.zeros(_SMALLEST, np.int32)
        """1 + the group in each slot, 0 where there is none."""
        self.hashes: Hashes = np.zeros(_SMALLEST // _FULL, np.uint64)
        """Of each group."""
        self._blocks: npt.NDArray[np.int32] = np.zeros(_SMALLEST // _FULL, np.int32)
        self._rows: npt.NDArray[np.int32] = np.zeros(_SMALLEST // _FULL, np.int32)

    def check(self, size: int) -> None:
        """Raise ManyGroupsError unless there may be so many."""
        if size > self._most:
            raise ManyGroupsError(self._most)

    def find(self, hashes: Hashes, block: int, rows: Ints) -> Ints:
        """The group of each hash; new ones are first met in these rows of a block."""
        found = np.empty(len(hashes), np.int64)
        todo, slots = np.arange(len(hashes)), self._first_slots(hashes)
        while len(todo):
            wanted = hashes[todo]
            held = self._slots[slots]
            free = np.flatnonzero(held == 0)
            if len(free):
                # several rows may want one slot: the first has it, written last
                places, claims = slots[free], np.arange(len(free), dtype=np.int32)
                self._slots[places[::-1]] = claims[::-1]
                taken = free[self._slots[places] == claims]
                self._slots[places] = 0
                rows_of = rows[todo[taken]]
                self._number(slots[taken], wanted[taken], block, rows_of)
                held = self._slots[slots]
            hit = self.hashes[held - 1] == wanted
            found[todo[hit]] = held[hit] - 1
            todo = todo[~hit]
            slots = (slots[~hit] + 1) & (len(self._slots) - 1)
            if self.size * _FULL > len(self._slots):
                self._grow()
                slots = self._first_slots(hashes[todo])
        return found

    def places(self, groups: Ints) -> tuple[Ints, Ints]:
        """(block, row) of an entry of each group."""
        blocks, rows = self._blocks[groups], self._rows[groups]
        return blocks.astype(np.int64), rows.astype(np.int64)

    def _first_slots(self, hashes: Hashes) -> Ints:
        return (hashes & np.uint64(len(self._slots) - 1)).astype(np.int64)

    def _number(self, places: Ints, hashes: Hashes, block: int, rows: Ints) -> None:
        size = self.size + len(places)
        self.check(size)
        if size > len(self.hashes):
            self.hashes = grown(self.hashes, size)
            self._blocks, self._rows = (
                grown(self._blocks, size),
                grown(self._rows, size),
            )
        new = slice(self.size, size)
        self._slots[places] = np.arange(self.size + 1, size + 1)
        self.hashes[new], self._blocks[new], self._rows[new] = hashes, block, rows
        self.size = size

    def _grow(self) -> None:
        """Make the table large enough and put all groups into it again."""
        size = len(self._slots)
        while self.size * _FULL > size:
            size *= 2
        self._slots = np.zeros(size, np.int32)
        for first in range(0, self.size, _MOVED):
            numbers = np.arange(first, min(first + _MOVED, self.size), dtype=np.int32)
            self._put(numbers + np.int32(1))

    def _put(self, numbers: npt.NDArray[np.int32]) -> None:
        """Into the table, where all of them are new."""
        slots = self._first_slots(self.hashes[numbers - 1])
        while len(numbers):
            free = self._slots[slots] == 0
            self._slots[slots[free]] = numbers[free]
            left = self._slots[slots] != numbers
            numbers = numbers[left]
            slots = (slots[left] + 1) & (len(self._slots) - 1)
