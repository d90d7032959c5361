"""Which group each row of a block belongs to, and the values that a group stands for.

Strategy: fields whose values are codes (source, level, tags, whatever repeats) are put
together into one code a row first, so that only combinations are looked up; others are
looked up row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pipeline.batch.distinct import distinct
from pipeline.entry import json_value
from pipeline.errors import StoreError
from pipeline.level import LEVEL_NAMES
from pipeline.query.aggregate.fields import (
    Keys,
    read_keys,
    read_tags,
    read_values,
)
from pipeline.query.aggregate.groups import Groups
from pipeline.query.aggregate.hashing import Hashes, hash_list, join
from pipeline.query.matchers import Check
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.text import Ints
from pipeline.query.view import View
from pipeline.store.block import Counts
from pipeline.store.reader import Header

VALUES_BYTES: Final = 12 << 20
"""Of all values of a table."""

MANY_GROUPS: Final = 1 << 17
"""With more, the memory of blocks kept open is wanted for the groups."""

_AT_ONCE: Final = 512
_NAMED_AT_ONCE: Final = 1 << 14
"""Values read between two looks at the budget, and at how long they are."""

NAMED: Final = -1
"""In place of a block: values that were told, not read."""

CELL_FIELDS: Final = frozenset({"source", "level"})
"""Fields that headers count entries by."""

_LEVELS: Final = tuple(LEVEL_NAMES.get(number, str(number)) for number in range(256))

_ONE: Final = np.array([7], np.uint64)
"""The hash of the only group where nothing is grouped by."""


class ValuesError(FieldError):
    """The values to show are too long together."""

    def __init__(self) -> None:
        problem = f"values of groups longer than {VALUES_BYTES >> 20} MiB together"
        super().__init__("q", problem, hint="add a limit, or group by shorter fields")


class Grouping:
    """The groups by some fields, over the blocks of a scan."""

    def __init__(self, fields: Sequence[str], most: int) -> None:
        self.fields = tuple(dict.fromkeys(fields))
        self._most = most
        self.groups = Groups(most)
        self._headers: list[Header] = []
        self._named: list[tuple[Any, ...]] = []

    def read(self, view: View, rows: Ints) -> tuple[Ints, Keys]:
        """Rows (again for each of their tags) and the key of each."""
        if not self.fields:
            return rows, Keys(_ONE, np.zeros(len(rows), np.int64))
        parts: dict[str, Keys] = {}
        if "tag" in self.fields:
            owners, parts["tag"] = read_tags(view, rows)
            rows = rows[owners]
        for field in self.fields:
            if field not in parts:
                parts[field] = read_keys(view, field, rows)
        return rows, together([parts[field] for field in self.fields], len(rows))

    def find(self, header: Header, rows: Ints, keys: Keys) -> Ints:
        """The group of each row."""
        block = len(self._headers)
        self._headers.append(header)
        if keys.codes is None:
            return self.groups.find(keys.hashes, block, rows)
        # of each code any row that has it
        holders = np.full(len(keys.hashes), -1, np.int64)
        holders[keys.codes] = rows
        used = np.flatnonzero(holders >= 0)
        numbers = np.zeros(len(keys.hashes), np.int64)
        numbers[used] = self.groups.find(keys.hashes[used], block, holders[used])
        found: Ints = numbers[keys.codes]
        return found

    def name(self, hashes: Hashes, values: list[tuple[Any, ...]]) -> Ints:
        """The groups of values that are known without a block."""
        places = np.arange(len(self._named), len(self._named) + len(values))
        self._named += values
        return self.groups.find(hashes, NAMED, places)

    def begin(self) -> None:
        """Have the one group of all, even without an entry."""
        self.name(_ONE, [()])

    def name_cells(self, counts: Counts, check: Check) -> Ints:
        """The group of each cell, by source or level or both."""
        values: list[list[str]] = []
        parts: list[Keys] = []
        for field in self.fields:
            is_level = field == "level"
            names = list(_LEVELS) if is_level else counts.sources
            codes = counts.levels if is_level else counts.source_codes
            values.append(names)
            hashes = hash_list([name.encode() for name in names])
            parts.append(Keys(hashes, codes.astype(np.int64)))
        keys = together(parts, len(counts.counts)).by_row()
        unique, cells, places = np.unique(keys, return_index=True, return_inverse=True)
        self.groups.check(len(unique))
        named: list[tuple[str, ...]] = []
        for at in range(0, len(cells), _NAMED_AT_ONCE):
            check()
            some = cells[at : at + _NAMED_AT_ONCE]
            named += zip(
                *(
                    map(names.__getitem__, part.codes[some].tolist())
                    for names, part in zip(values, parts, strict=True)
                    if part.codes is not None
                ),
                strict=True,
            )
        found: Ints = self.name(unique, named)[places]
        return found

    def values(self, scan: Scan, chosen: Ints) -> list[tuple[Any, ...]]:
        """The values that these groups stand for.

        Raises StoreError, and ValuesError where they are longer than VALUES_BYTES.
        """
        found: list[tuple[Any, ...]] = [()] * len(chosen)
        size = 0
        blocks, rows = self.groups.places(chosen)
        for block in distinct(blocks).tolist():
            inside = np.flatnonzero(blocks == block)
            if block == NAMED:
                for place in inside.tolist():
                    found[place] = tuple(map(json_value, self._named[rows[place]]))
                continue
            view = scan.open(self._headers[block])
            if view is None:
                raise StoreError("a block went away while it was asked")
            for at in range(0, len(inside), _AT_ONCE):
                view.check()
                some = inside[at : at + _AT_ONCE]
                read = view.at(distinct(rows[some]), self.fields)
                values = self._read(read, rows[some], self.groups.hashes[chosen[some]])
                for place, value in zip(some.tolist(), values, strict=True):
                    found[place] = tuple(map(json_value, value))
                    size += sum(len(v) for v in value if type(v) in (str, bytes))
                if size > VALUES_BYTES:
                    raise ValuesError
            if self.groups.size > MANY_GROUPS:
                view.batch.forget(())
        return found

    def _read(self, view: View, rows: Ints, hashes: Hashes) -> list[tuple[Any, ...]]:
        columns = {field: read_values(view, field, rows) for field in self.fields}
        if "tag" in columns:
            columns["tag"] = self._tags(view, rows, columns["tag"], hashes)
        return list(zip(*(columns[field] for field in self.fields), strict=True))

    def _tags(
        self, view: View, rows: Ints, tags: list[Any], hashes: Hashes
    ) -> list[str | None]:
        """Of each row the tag that makes its key this one."""
        found: list[str | None] = []
        for row, names, wanted in zip(rows.tolist(), tags, hashes, strict=True):
            _, keys = self.read(view, np.array([row]))
            place = int(np.flatnonzero(keys.by_row() == wanted)[0])
            found.append(list(dict.fromkeys(names))[place] if names else None)
        return found


def together(parts: list[Keys], rows: int) -> Keys:
    """One key of several."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part.hashes) for part in parts]
    coded = all(part.codes is not None for part in parts)
    if not coded or np.prod(sizes, dtype=np.float64) > max(4 * rows, 1 << 12):
        hashes = parts[0].by_row()
        for part in parts[1:]:
            hashes = join(hashes, part.by_row())
        return Keys(hashes)
    codes: Ints = np.zeros(rows, np.int64)
    for part, size in zip(parts, sizes, strict=True):
        codes = codes * size + (part.codes if part.codes is not None else 0)
    used = np.flatnonzero(np.bincount(codes, minlength=int(np.prod(sizes))))
    table = np.zeros(int(np.prod(sizes)), np.int64)
    table[used] = np.arange(len(used))
    places = np.unravel_index(used, sizes)
    hashes = parts[0].hashes[places[0]]
    for part, at in zip(parts[1:], places[1:], strict=True):
        hashes = join(hashes, part.hashes[at])
    return Keys(hashes, table[codes])
