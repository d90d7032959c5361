"""Conditions as filters, one class each, that answer three questions about a block.

`may_match` asks the counts of the header: False means that the block need not be
opened. `span` asks what else is known of a closed block: how many rows match at least
and at most. `rows` asks the opened block: which of the rows `among` match; it looks no
further than these, so each condition makes those after it cheaper. Filters that depend
on nothing but source and level are `exact`: `cells` of the counts then tell how many
match, without opening anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from pipeline.batch.layout import LEVEL, SOURCE
from pipeline.query.evidence import Evidence, Span, anything
from pipeline.query.numbers import Range
from pipeline.query.text import Mask
from pipeline.query.view import Extracting, View
from pipeline.store.block import Counts
from pipeline.store.reader import Header

_LEVELS = 256


class Filter(ABC):
    """A condition; those with a lower `cost` are asked first."""

    cost: int
    exact: bool = False
    """Whether `cells` tells all."""
    prunes: bool = False
    """Whether the counts can rule a block out."""
    field: str = ""
    """What the counts are asked for."""
    stages: Extracting | None = None
    """What is read out of the texts of entries that match."""
    key: Hashable = None
    """Equal for filters that match the same rows; None: not known to be."""

    def cells(self, counts: Counts) -> Mask:
        """Which cells of the counts hold rows that may match (`exact`: that do)."""
        return np.ones(len(counts.counts), np.bool_)

    def may_match(self, header: Header, counts: Counts) -> bool:  # noqa: ARG002
        """Whether a row of the block may match, as far as its header tells."""
        return bool(self.cells(counts).any())

    def blame(self, counts: Counts) -> str:  # noqa: ARG002
        """The field whose counts rule a block out."""
        return self.field

    def span(self, header: Header, evidence: Evidence) -> Span:  # noqa: ARG002
        """How many of the block's rows match, as patterns and filter tell."""
        return anything(header)

    @abstractmethod
    def rows(self, view: View, among: Mask) -> Mask:
        """Which of the rows `among` match."""


class Everything(Filter):
    """No condition."""

    cost = 0
    exact = True

    def span(self, header: Header, evidence: Evidence) -> Span:  # noqa: ARG002
        """All."""
        return Span(header.rows, header.rows)

    def rows(self, view: View, among: Mask) -> Mask:  # noqa: ARG002
        """All of them."""
        return among


class Levels(Filter):
    """The level is one of these numbers."""

    cost = 1
    exact = True
    prunes = True
    field = "level"

    def __init__(self, levels: Sequence[int]) -> None:
        self._table: Mask = np.zeros(_LEVELS, np.bool_)
        self._table[list(levels)] = True

    def cells(self, counts: Counts) -> Mask:
        """Those of the levels."""
        return np.asarray(self._table[counts.levels])

    def rows(self, view: View, among: Mask) -> Mask:
        """Those of the levels."""
        column = view.column(LEVEL)
        assert column is not None
        wanted: Mask = self._table[column.numbers]
        return wanted & among


class Sources(Filter):
    """The source is one of these names, or one that a test allows."""

    cost = 2
    exact = True
    prunes = True
    field = "source"

    def __init__(
        self, names: Sequence[str], test: Callable[[str], bool] | None = None
    ) -> None:
        self._test = test or frozenset(names).__contains__

    def cells(self, counts: Counts) -> Mask:
        """Those of the sources."""
        return np.asarray(self._table(counts.sources)[counts.source_codes])

    def rows(self, view: View, among: Mask) -> Mask:
        """Those of the sources."""
        column = view.column(SOURCE)
        assert column is not None
        wanted: Mask = self._table(column.dictionary)[column.codes]
        return wanted & among

    def _table(self, names: list[Any]) -> Mask:
        return np.array(list(map(self._test, names)), np.bool_)


class Times(Filter):
    """The timestamp is within bounds, in ns."""

    cost = 3

    def __init__(self, bounds: Range) -> None:
        self._bounds = bounds

    def span(self, header: Header, evidence: Evidence) -> Span:  # noqa: ARG002
        """None or all, where the block's first and last time tell."""
        inside = [self._bounds.holds(ns) for ns in (header.minimum, header.maximum)]
        if all(inside):
            return Span(header.rows, header.rows)
        low, high = self._bounds.low, self._bounds.high
        later = high is not None and header.minimum > high
        earlier = low is not None and header.maximum < low
        same = header.minimum == header.maximum
        return Span(0, 0 if later or earlier or same else header.rows, "time")

    def rows(self, view: View, among: Mask) -> Mask:
        """Those within."""
        column = view.column("timestamp")
        assert column is not None
        return self._bounds.numbers(column) & among


class Every(Filter):
    """All of the filters match."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = sorted(filters, key=_cost)
        self.cost = max(map(_cost, filters))
        self.exact = all(part.exact for part in filters)
        self.prunes = any(part.prunes for part in filters)

    def cells(self, counts: Counts) -> Mask:
        """Those that none rules out."""
        mask = super().cells(counts)
        for part in self._filters:
            mask &= part.cells(counts)
        return mask

    def blame(self, counts: Counts) -> str:
        """The first that rules it out alone, else what all of them together mean."""
        alone = (p.blame(counts) for p in self._filters if not p.cells(counts).any())
        return next(alone, "level and source")

    def may_match(self, header: Header, counts: Counts) -> bool:
        """Whether none rules the block out, nor all of them together."""
        together = super().may_match(header, counts)
        return together and all(p.may_match(header, counts) for p in self._filters)

    def span(self, header: Header, evidence: Evidence) -> Span:
        """No more than the rarest has; no fewer than must be common to all."""
        missing, best = 0, Span(header.rows, header.rows)
        for part in self._filters:
            found = part.span(header, evidence)
            missing += header.rows - found.low
            if found.high < best.high:
                best = found
            if not found.high:
                return found
        return best._replace(low=max(0, header.rows - missing))

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that pass all, the cheap ones first."""
        for part in self._filters:
            if not among.any():
                break
            among = part.rows(view, among)
        return among


class Either(Filter):
    """At least one of the filters matches."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = sorted(filters, key=_cost)
        self.cost = max(map(_cost, filters))
        self.exact = all(part.exact for part in filters)
        self.prunes = all(part.prunes for part in filters)
        self.field = self._filters[0].field

    def cells(self, counts: Counts) -> Mask:
        """Those that at least one allows."""
        mask: Mask = np.zeros(len(counts.counts), np.bool_)
        for part in self._filters:
            mask |= part.cells(counts)
        return mask

    def may_match(self, header: Header, counts: Counts) -> bool:
        """Whether at least one allows the block."""
        return any(part.may_match(header, counts) for part in self._filters)

    def span(self, header: Header, evidence: Evidence) -> Span:
        """At least what the most frequent has, at most all together."""
        low, high, by = 0, 0, ""
        for part in self._filters:
            found = part.span(header, evidence)
            low, high = max(low, found.low), high + found.high
            by = found.by or by
            if low == header.rows:
                break
        return Span(low, min(high, header.rows), by)

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that pass one; each is asked only for rows that none has passed."""
        mask: Mask = np.zeros(view.rows, np.bool_)
        for part in self._filters:
            rest = among & ~mask
            if not rest.any():
                break
            mask |= part.rows(view, rest)
        return mask


class Without(Filter):
    """The filter doesn't match."""

    def __init__(self, inside: Filter) -> None:
        self._inside = inside
        self.cost = inside.cost
        self.exact = self.prunes = inside.exact
        self.field = inside.field

    def cells(self, counts: Counts) -> Mask:
        """All, unless the filter decides by source and level alone."""
        every = super().cells(counts)
        return ~self._inside.cells(counts) if self.exact else every

    def span(self, header: Header, evidence: Evidence) -> Span:
        """All but what it matches."""
        low, high, by = self._inside.span(header, evidence)
        return Span(header.rows - high, header.rows - low, by)

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that don't pass it."""
        return among & ~self._inside.rows(view, among)


def _cost(part: Filter) -> int:
    return part.cost
