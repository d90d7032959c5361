"""Conditions as filters, one class each, that answer two questions about a block.

`may_match` asks the header alone: False means that the block need not be opened.
`rows` asks the opened block: which of the rows `among` match; it looks no further than
these, so each condition makes those after it cheaper. Filters that depend on nothing
but source and level are `exact`: `cells` of the counts then tell how many match,
without opening anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import LEVEL, MESSAGE, SOURCE, TAGS, TRACE_ID, Kind
from pipeline.query.text import Mask, Needle, equal_values, leaf_texts
from pipeline.query.values import Wanted, holds_bytes, match_text
from pipeline.query.view import View
from pipeline.store.block import Counts
from pipeline.store.reader import Header

_LEVELS = 256
_HEX_DIGITS = 32


class Filter(ABC):
    """A condition; those with a lower `cost` are asked first."""

    cost: int
    exact: bool = False
    """Whether `cells` tells all."""
    prunes: bool = False
    """Whether the counts can rule a block out."""

    def cells(self, counts: Counts) -> Mask:
        """Which cells of the counts hold rows that may match (`exact`: that do)."""
        return np.ones(len(counts.counts), np.bool_)

    def may_match(self, header: Header, counts: Counts) -> bool:  # noqa: ARG002
        """Whether a row of the block may match, as far as its header tells."""
        return bool(self.cells(counts).any())

    @abstractmethod
    def rows(self, view: View, among: Mask) -> Mask:
        """Which of the rows `among` match."""


class Everything(Filter):
    """No condition."""

    cost = 0
    exact = True

    def rows(self, view: View, among: Mask) -> Mask:  # noqa: ARG002
        """All of them."""
        return among


class Levels(Filter):
    """The level is one of these numbers."""

    cost = 1
    exact = True
    prunes = True

    def __init__(self, levels: Sequence[int]) -> None:
        self._table: Mask = np.zeros(_LEVELS, np.bool_)
        self._table[list(levels)] = True

    def cells(self, counts: Counts) -> Mask:
        """Those of the levels."""
        return np.asarray(self._table[counts.levels])

    def rows(self, view: View, among: Mask) -> Mask:
        """Those of the levels."""
        wanted: Mask = self._table[view.batch.columns[LEVEL].numbers]
        return wanted & among


class Sources(Filter):
    """The source is one of these names."""

    cost = 2
    exact = True
    prunes = True

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def cells(self, counts: Counts) -> Mask:
        """Those of the sources."""
        return np.asarray(self._table(counts.sources)[counts.source_codes])

    def rows(self, view: View, among: Mask) -> Mask:
        """Those of the sources."""
        column = view.batch.columns[SOURCE]
        wanted: Mask = self._table(column.dictionary)[column.codes]
        return wanted & among

    def _table(self, names: list[Any]) -> Mask:
        return np.array([name in self._names for name in names], np.bool_)


class Tag(Filter):
    """One of the tags is this one."""

    cost = 3

    def __init__(self, tag: str) -> None:
        self._tag = tag

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that have the tag."""
        column = view.column(TAGS)
        if column is None:
            return np.zeros(view.rows, np.bool_)
        table = np.array([self._tag in tags for tags in column.dictionary], np.bool_)
        return view.spread(TAGS, table[column.codes]) & among


class TraceId(Filter):
    """The trace id is this one."""

    cost = 10

    def __init__(self, trace_id: str) -> None:
        self._text = trace_id.encode()
        self._raw = _maybe_raw(trace_id)

    def rows(self, view: View, among: Mask) -> Mask:
        """Those of the trace."""
        column = view.column(TRACE_ID)
        if column is None:
            return np.zeros(view.rows, np.bool_)
        if column.kind == Kind.TEXT:
            lengths = column.texts.lengths
            values = equal_values(column.text, column.ends, lengths, self._text)
        else:
            values = equal_raw(column.raw, self._raw)
        return view.spread(TRACE_ID, values) & among


class Metadata(Filter):
    """The metadata of a key, or of a path into maps, is or has this value."""

    cost = 20

    def __init__(self, key: str, wanted: Wanted) -> None:
        self._key = key
        self._wanted = wanted

    def rows(self, view: View, among: Mask) -> Mask:
        """Those with such a value."""
        mask: Mask = np.zeros(view.rows, np.bool_)
        for name, rest in view.metadata_columns(self._key):
            column = view.column(name)
            assert column is not None
            values = view.gather(name, among & ~mask)
            if values.any():
                found = self._wanted.in_column(column, values, rest)
                mask |= view.spread(name, found)
        return mask


class Message(Filter):
    """The message has this word or phrase, or is empty."""

    cost = 30

    def __init__(self, text: str) -> None:
        self._needle = Needle(text) if text else None

    def rows(self, view: View, among: Mask) -> Mask:
        """Those with such a message."""
        column = view.column(MESSAGE)
        assert column is not None
        if self._needle is not None and not self._needle.may_be_in(column.data):
            return np.zeros(view.rows, np.bool_)
        return match_text(column, self._needle, among)


class Anywhere(Filter):
    """Some text of the entry has this word or phrase."""

    cost = 40

    def __init__(self, text: str) -> None:
        self._needle = Needle(text)
        self._raw = _maybe_raw(text.lower()) if text.isascii() else None

    def rows(self, view: View, among: Mask) -> Mask:
        """Those with it in message, tags, trace id or a text of the metadata."""
        mask: Mask = np.zeros(view.rows, np.bool_)
        # with all rows wanted, a column without a hit needs no look at who has it
        everywhere = bool(among.all())
        for name in view.text_columns(among):
            column = view.column(name)
            assert column is not None
            if not self._may_be_in(column):
                continue
            if everywhere:
                found = self._values(name, column, np.ones(column.count, np.bool_))
            else:
                found = self._values(name, column, view.gather(name, among & ~mask))
            if found.any():
                mask |= view.spread(name, found)
        return mask

    def _may_be_in(self, column: Column) -> bool:
        if column.kind == Kind.BYTES16:
            return self._raw is not None
        return self._needle.may_be_in(column.data)

    def _values(self, name: str, column: Column, among: Mask) -> Mask:
        if column.kind == Kind.BYTES16:
            return equal_raw(column.raw, self._raw) & among
        if name == TAGS:
            table = np.array(list(map(self._in_texts, column.dictionary)), np.bool_)
            return np.asarray(table[column.codes]) & among
        if column.kind != Kind.PACKED:
            return match_text(column, self._needle, among)
        chosen = np.flatnonzero(among & holds_bytes(column, self._needle.folded))
        mask: Mask = np.zeros(column.count, np.bool_)
        mask[chosen] = list(map(self._in_texts, column.values(chosen)))
        return mask

    def _in_texts(self, value: Any) -> bool:
        texts = leaf_texts(value)
        return any(self._needle.found_in(text.encode()) for text in texts)


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

    def may_match(self, header: Header, counts: Counts) -> bool:
        """Whether none rules the block out, nor all of them together."""
        together = super().may_match(header, counts)
        return together and all(p.may_match(header, counts) for p in self._filters)

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

    def cells(self, counts: Counts) -> Mask:
        """Those that at least one allows."""
        mask: Mask = np.zeros(len(counts.counts), np.bool_)
        for part in self._filters:
            mask |= part.cells(counts)
        return mask

    def may_match(self, header: Header, counts: Counts) -> bool:
        """Whether at least one allows the block."""
        return any(part.may_match(header, counts) for part in self._filters)

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

    def cells(self, counts: Counts) -> Mask:
        """All, unless the filter decides by source and level alone."""
        every = super().cells(counts)
        return ~self._inside.cells(counts) if self.exact else every

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that don't pass it."""
        return among & ~self._inside.rows(view, among)


_ASCII_HEX = frozenset("0123456789abcdef")


def _maybe_raw(text: str) -> bytes | None:
    """The 16 bytes that a text of 32 lower-case hex digits stands for."""
    if len(text) != _HEX_DIGITS or not _ASCII_HEX.issuperset(text):
        return None
    return bytes.fromhex(text)


def equal_raw(raw: np.ndarray[Any, np.dtype[np.uint8]], value: bytes | None) -> Mask:
    """Which rows of 16 bytes are the value."""
    if value is None:
        return np.zeros(len(raw), np.bool_)
    halves = np.ascontiguousarray(raw).view("<u8")
    first, second = np.frombuffer(value, "<u8")
    same: Mask = (halves[:, 0] == first) & (halves[:, 1] == second)
    return same


def _cost(part: Filter) -> int:
    return part.cost
