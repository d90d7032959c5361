"""Filters on one field beside the message: tag, trace id, metadata."""

from __future__ import annotations

import numpy as np

from pipeline.batch.layout import TAGS, TRACE_ID, Kind
from pipeline.query.evidence import Evidence, Span, anything
from pipeline.query.filters import Filter
from pipeline.query.matchers import Anything, Matcher, Whole
from pipeline.query.text import Bytes, Mask
from pipeline.query.values import hex_texts, match_column
from pipeline.query.view import View
from pipeline.store.reader import Header

_HEX_DIGITS = 32
_ASCII_HEX = frozenset("0123456789abcdef")


class _Tokened(Filter):
    """A filter whose matches have all the matcher's tokens in the filter of a block."""

    _matcher: Matcher

    def span(self, header: Header, evidence: Evidence) -> Span:
        """None, where the filter rules one of the tokens out."""
        if evidence.lacks(header, self._matcher.tokens):
            return Span(0, 0, "filter")
        return anything(header)


class Tag(_Tokened):
    """One of the tags matches."""

    cost = 4

    def __init__(self, tag: str | Matcher) -> None:
        self._matcher = Whole(tag) if isinstance(tag, str) else tag

    def rows(self, view: View, among: Mask) -> Mask:
        """Those that have the tag."""
        column = view.column(TAGS)
        if column is None:
            return np.zeros(view.rows, np.bool_)
        match = self._matcher.in_text
        table = [any(match(tag.encode()) for tag in tags) for tags in column.dictionary]
        return view.spread(TAGS, np.array(table, np.bool_)[column.codes]) & among


class TraceId(_Tokened):
    """The trace id is this one, or matches."""

    cost = 10

    def __init__(self, trace_id: str | Matcher) -> None:
        named = isinstance(trace_id, str)
        self._matcher = Whole(trace_id) if isinstance(trace_id, str) else trace_id
        self._named = named
        self._raw = _maybe_raw(trace_id) if isinstance(trace_id, str) else None

    def rows(self, view: View, among: Mask) -> Mask:
        """Those of the trace."""
        column = view.column(TRACE_ID)
        if column is None:
            return np.zeros(view.rows, np.bool_)
        if column.kind == Kind.BYTES16 and self._named:
            values = equal_raw(column.raw, self._raw)
        elif column.kind == Kind.BYTES16:
            values = self._matcher.match(*hex_texts(column), None, view.check)
        else:
            values = match_column(column, self._matcher, None, None, view.check)
        return view.spread(TRACE_ID, values) & among


class Metadata(_Tokened):
    """The metadata of a key, or of a path into maps, matches or has a match inside."""

    cost = 20

    def __init__(self, key: str, matcher: Matcher) -> None:
        self._key = key
        self._matcher = matcher

    def rows(self, view: View, among: Mask) -> Mask:
        """Those with such a value."""
        mask: Mask = np.zeros(view.rows, np.bool_)
        for name, rest in view.metadata_columns(self._key):
            if rest is None and isinstance(self._matcher, Anything):
                mask |= self._present(view, name)
                continue
            column = view.column(name)
            assert column is not None
            values = view.gather(name, among & ~mask)
            if values.any():
                found = match_column(column, self._matcher, values, rest, view.check)
                mask |= view.spread(name, found)
        return mask & among

    def _present(self, view: View, name: str) -> Mask:
        """Rows with any value but null: only PACKED columns have one."""
        column = view.batch.columns[name]
        everything: Mask = np.ones(column.count, np.bool_)
        if column.kind == Kind.PACKED:
            every = np.ones(column.count, np.bool_)
            everything = match_column(column, self._matcher, every, None, view.check)
        return view.spread(name, everything)


def _maybe_raw(text: str) -> bytes | None:
    """The 16 bytes that a text of 32 lower-case hex digits stands for."""
    if len(text) != _HEX_DIGITS or not _ASCII_HEX.issuperset(text):
        return None
    return bytes.fromhex(text)


def equal_raw(raw: Bytes, value: bytes | None) -> Mask:
    """Which rows of 16 bytes are the value."""
    if value is None:
        return np.zeros(len(raw), np.bool_)
    halves = np.ascontiguousarray(raw).view("<u8")
    first, second = np.frombuffer(value, "<u8")
    same: Mask = (halves[:, 0] == first) & (halves[:, 1] == second)
    return same
