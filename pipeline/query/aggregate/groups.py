"""Groups, numbered as they come: which one each row belongs to, by its hash.

Strategy: a hash table in two numpy arrays (open addressing), in which all rows of a
block are looked up at once. A group costs 40 bytes whatever its values are: these are
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

_FREE: Final = np.uint64(0)
_FREE_STANDS_FOR: Final = np.uint64(5)
_SMALLEST: Final = 1 << 10
_FULL: Final = 2
"""Slots a group: twice as many keep the ways short."""


def grown(array: Array, size: int, fill: float = 0) -> Array:
    """The array with room for so many: itself, or twice as long."""
    if size <= len(array):
        return array
    larger = np.full(max(size, 2 * len(array)), fill, array.dtype)
    larger[: len(array)] = array
    return larger  # type: ignore[return-value]  # of the array's own type


class Groups:
    """The groups met so far; raises FieldError for more than `most`."""

    def __init__(self, most: int) -> None:
        self.size = 0
        self._most = most
        self._slots: Hashes = np.zeros(_SMALLEST, np.uint64)
        self._ids: npt.NDArray[np.int32] = np.zeros(_SMALLEST, np.int32)
        self.hashes: Hashes = np.zeros(_SMALLEST // _FULL, np.uint64)
        """Of each group."""
        self._blocks: npt.NDArray[np.int32] = np.zeros(_SMALLEST // _FULL, np.int32)
        self._rows: npt.NDArray[np.int32] = np.zeros(_SMALLEST // _FULL, np.int32)

    def find(self, hashes: Hashes, block: int, rows: Ints) -> Ints:
        """The group of each hash; new ones are first met in these rows of a block."""
        hashes = np.where(hashes == _FREE, _FREE_STANDS_FOR, hashes)
        found = np.empty(len(hashes), np.int64)
        todo, slots = np.arange(len(hashes)), self._first_slots(hashes)
        while len(todo):
            wanted = hashes[todo]
            held = self._slots[slots]
            free = np.flatnonzero(held == _FREE)
            if len(free):
                # several rows may want one slot: the one written last has it
                self._slots[slots[free]] = wanted[free]
                held = self._slots[slots]
                taken = free[held[free] == wanted[free]]
                places, firsts = np.unique(slots[taken], return_index=True)
                first_rows = todo[taken[firsts]]
                self._number(places, hashes[first_rows], block, rows[first_rows])
            hit = held == wanted
            found[todo[hit]] = self._ids[slots[hit]]
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
        if size > self._most:
            problem = f"more than {self._most:,} groups"
            hint = "narrow the time range, or group by fewer fields"
            raise FieldError("q", problem, hint=hint)
        if size > len(self.hashes):
            self.hashes = grown(self.hashes, size)
            self._blocks, self._rows = (
                grown(self._blocks, size),
                grown(self._rows, size),
            )
        new = slice(self.size, size)
        self._ids[places] = np.arange(self.size, size)
        self.hashes[new], self._blocks[new], self._rows[new] = hashes, block, rows
        self.size = size

    def _grow(self) -> None:
        """Make the table four times as large and put all groups into it again."""
        size = len(self._slots)
        while self.size * _FULL > size // _FULL:
            size *= 2
        self._slots = np.zeros(size, np.uint64)
        self._ids = np.zeros(size, np.int32)
        todo = np.arange(self.size)
        slots = self._first_slots(self.hashes[todo])
        while len(todo):
            free = self._slots[slots] == _FREE
            self._slots[slots[free]] = self.hashes[todo[free]]
            placed = self._slots[slots] == self.hashes[todo]
            self._ids[slots[placed]] = todo[placed]
            todo = todo[~placed]
            slots = (slots[~placed] + 1) & (size - 1)
