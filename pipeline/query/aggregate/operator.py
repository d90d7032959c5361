"""What an operator of `stats` is: it sees rows with their groups, and gives a column.

State is one or more arrays with a place for each group; what a block adds is worked
out by numpy for all of its rows at once.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from pipeline.query.aggregate.fields import read_keys, read_tags
from pipeline.query.aggregate.hashing import Hashes
from pipeline.query.aggregate.numbers import Numbers, read_numbers
from pipeline.query.text import Ints
from pipeline.query.view import View


class Part:
    """Rows of one block, the group of each, and the values that operators share."""

    def __init__(self, view: View, rows: Ints) -> None:
        self.view = view
        self.rows = rows
        self.groups: Ints = rows
        """Set when all columns are read: a damaged one must not count by half."""
        self.size = 0
        """Groups so far: numbers below it may stand in `groups`."""
        self._numbers: dict[str, Numbers] = {}
        self._hashes: dict[str, tuple[Ints | None, Hashes]] = {}

    def numbers(self, field: str) -> Numbers:
        """The numbers of a field, read once."""
        if field not in self._numbers:
            self._numbers[field] = read_numbers(self.view, field, self.rows)
        return self._numbers[field]

    def hashes(self, field: str) -> Hashes:
        """The hash of each value of a field, read once; of tags one for each."""
        return self._read_hashes(field)[1]

    def owners(self, field: str) -> Ints:
        """The group of each of these."""
        places = self._read_hashes(field)[0]
        return self.groups if places is None else self.groups[places]

    def _read_hashes(self, field: str) -> tuple[Ints | None, Hashes]:
        if field not in self._hashes:
            if field == "tag":
                owners, keys = read_tags(self.view, self.rows)
                self._hashes[field] = owners, keys.by_row()
            else:
                keys = read_keys(self.view, field, self.rows)
                self._hashes[field] = None, keys.by_row()
        return self._hashes[field]


class Operator(Protocol):
    """One function of `stats` over one field."""

    group_bytes: int
    """Memory of each group."""

    def read(self, part: Part) -> None:
        """Have the part read what `add` needs; raises FrameError."""

    def add(self, part: Part) -> None:
        """Take these rows in."""

    def column(self, groups: Ints) -> list[Any]:
        """What is known of these groups, as replies carry it."""

    @property
    def error(self) -> float | None:
        """Largest relative error of an estimate; None when exact."""


def plain(values: Any) -> list[Any]:
    """Numbers for a reply: whole ones as integers, what is none by its name."""
    return [_plain(value) for value in values]


def _plain(value: float | None) -> Any:
    if value is None or type(value) is int:
        return value
    number = float(value)
    if not np.isfinite(number):
        return "NaN" if number != number else ("Infinity", "-Infinity")[number < 0]
    return int(number) if number.is_integer() and abs(number) < 1 << 63 else number
