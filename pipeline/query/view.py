"""One opened block as filters see it: columns of values, and masks of its rows.

Columns of optional fields are dense (they hold only the rows that have a value), so
masks come in two forms: over rows, and over a column's values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import METADATA, METADATA_PREFIX, TIMESTAMP, Kind
from pipeline.query.budget import Budget
from pipeline.query.remembered import Written
from pipeline.query.text import Ints, Mask
from pipeline.store.block import Block
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header

if TYPE_CHECKING:
    from pipeline.query.matchers import Matcher, Verdicts

_FEW_MAPS = 256
"""So many are kept unpacked while their view is."""

TEXT_KINDS = frozenset({Kind.TEXT, Kind.DICT, Kind.BYTES16, Kind.PACKED})


class Extracting(Protocol):
    """What reads fields out of texts: `derived.Stages`, which itself reads views."""

    text: str
    """Equal for those that read the same."""

    def derive(self, view: View, rows: Ints, names: Collection[str] | None) -> View:
        """The view with these fields (None: all) as columns, of these rows."""

    def metadata(
        self, view: View, rows: Ints, names: Collection[str] | None = None
    ) -> Iterator[tuple[Ints, list[dict[str, Any]]]]:
        """(rows, the metadata of each) in pieces."""


class View:
    """A block under a budget, which is checked whenever a column is asked for.

    `verdicts` says what templates of its messages tell of a matcher, and `written` has
    rows that were written for a reply before.
    """

    def __init__(
        self,
        header: Header,
        block: Block,
        budget: Budget,
        verdicts: Callable[[Matcher, MessageColumn], Verdicts],
        written: Written,
        stages: Extracting | None = None,
    ) -> None:
        self.header = header
        self.stages = stages
        self.written = written
        self.verdicts = verdicts
        self.block = block
        self.batch = block.batch
        self.rows = block.rows
        self._budget = budget
        self._unpacked: tuple[bytes, list[Any]] = b"", []

    def at(self, rows: Ints, names: Collection[str] | None) -> View:
        """The view with what stages read of these fields (None: any) in these rows.

        The rows ascend.
        """
        if self.stages is None:
            return self
        return self.stages.derive(self, rows, names)

    def rare_keys(self, ranks: Ints) -> list[Any]:
        """Maps of the keys that have no column; each of those keys asks for the same.

        A row of 1,000 such keys takes 0.2 ms to unpack, and describe asks for 200.
        """
        column = self.batch.columns[METADATA]
        if len(ranks) > _FEW_MAPS:
            return column.values(ranks)
        wanted = ranks.tobytes()
        if self._unpacked[0] != wanted:
            self._unpacked = wanted, column.values(ranks)
        return self._unpacked[1]

    def check(self) -> None:
        """Raise when the question is over its limits: asked between pieces of work."""
        self._budget.check()

    def column(self, name: str) -> Column | None:
        """The column, or None where no row has it."""
        self._budget.check()
        return self.batch.column(name)

    def text_columns(self, among: Mask) -> list[str]:
        """Columns in which a bare word is looked for: those that these rows have."""
        skipped = {TIMESTAMP, "source", "level"}
        columns = self.batch.columns
        names = [
            name
            for name in self.batch.names_among(among)
            if name not in skipped and columns[name].kind in TEXT_KINDS
        ]
        # PACKED values are unpacked one by one where their bytes have the word
        return sorted(names, key=lambda name: columns[name].kind == Kind.PACKED)

    def metadata_columns(self, key: str) -> list[tuple[str, str | None]]:
        """(column, rest of the key inside its values) wherever the key can be.

        The key may be a column of its own, a path into maps (`a.b` in the column of
        `a`), or be among the rare keys that share one column.
        """
        found: list[tuple[str, str | None]] = []
        if METADATA_PREFIX + key in self.batch.columns:
            found.append((METADATA_PREFIX + key, None))
        for head, rest in splits(key):
            name = METADATA_PREFIX + head
            column = self.batch.columns.get(name)
            if column is not None and column.kind == Kind.PACKED:
                found.append((name, rest))
        if METADATA in self.batch.columns:
            found.append((METADATA, key))
        return found

    def spread(self, name: str, values: Mask) -> Mask:
        """A mask over the column's values as one over rows."""
        present = self.batch.present(name)
        if present is None:
            return values
        rows: Mask = np.zeros(self.rows, np.bool_)
        rows[present] = values
        return rows

    def gather(self, name: str, rows: Mask) -> Mask:
        """A mask over rows as one over the column's values."""
        present = self.batch.present(name)
        return rows if present is None else np.asarray(rows[present])

    def timestamps(self) -> Ints:
        """Of all rows, in ns."""
        return self.batch.columns[TIMESTAMP].numbers


def splits(key: str) -> list[tuple[str, str]]:
    """All ways to cut a key at one of its dots."""
    places = [place for place, character in enumerate(key) if character == "."]
    return [(key[:place], key[place + 1 :]) for place in places]
