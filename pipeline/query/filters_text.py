"""Filters that look at the text of entries: of the message, or of any field.

Compacted messages are asked by their templates: those that decide alone are not
rebuilt, and of the others only the rows that are left.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import MESSAGE, TAGS, Kind
from pipeline.batch.read import ends_of
from pipeline.query.evidence import (
    Evidence,
    Span,
    anything,
    digit_tokens,
)
from pipeline.query.filters import Filter
from pipeline.query.matchers import ALWAYS, OPEN, Check, Matcher
from pipeline.query.text import Mask
from pipeline.query.values import (
    hex_texts,
    holds_bytes,
    match_dictionary,
    may_be_hex,
)
from pipeline.query.view import View
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header

_REBUILT: Final = 4096
"""Messages rebuilt and looked at together: a millisecond or two."""


class Message(Filter):
    """The message matches."""

    cost = 30

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._digits = digit_tokens(matcher.tokens)

    def span(self, header: Header, evidence: Evidence) -> Span:
        """What templates tell; the filter rules out what they leave open."""
        if not header.tier:
            return anything(header)
        always, opened, rest = evidence.messages(self._matcher, header)
        if not opened and not rest:
            return Span(always, always, "pattern")
        if rest and evidence.lacks(header, self._matcher.tokens):
            rest = 0
        if opened and evidence.lacks(header, self._digits):
            opened = 0
        return Span(always, always + opened + rest, "filter")

    def rows(self, view: View, among: Mask) -> Mask:
        """Those with such a message."""
        column = view.column(MESSAGE)
        assert column is not None
        return match_messages(view, column, self._matcher, among)


class Anywhere(Filter):
    """Some text of the entry matches."""

    cost = 40

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._digits = digit_tokens(matcher.tokens)

    def span(self, header: Header, evidence: Evidence) -> Span:
        """What templates tell, if the filter rules all else out."""
        if not header.tier:
            return anything(header)
        always, opened, _ = evidence.messages(self._matcher, header)
        if always == header.rows:
            return Span(always, always, "pattern")
        if not evidence.lacks(header, self._matcher.tokens):
            return Span(always, header.rows)
        if opened and evidence.lacks(header, self._digits):
            opened = 0
        return Span(always, always + opened, "filter")

    def rows(self, view: View, among: Mask) -> Mask:
        """Those with it in message, tags, trace id or a text of the metadata."""
        mask: Mask = np.zeros(view.rows, np.bool_)
        # with all rows wanted, a column without a hit needs no look at who has it
        everywhere = bool(among.all())
        for name in view.text_columns(among):
            column = view.column(name)
            assert column is not None
            if name == MESSAGE:
                mask |= match_messages(view, column, self._matcher, among & ~mask)
                continue
            if not self._may_be_in(column):
                continue
            if everywhere:
                wanted = np.ones(column.count, np.bool_)
            else:
                wanted = view.gather(name, among & ~mask)
            found = self._values(name, column, wanted, view.check)
            if found.any():
                mask |= view.spread(name, found)
        return mask

    def _may_be_in(self, column: Column) -> bool:
        if column.kind == Kind.BYTES16:
            return may_be_hex(self._matcher.needle)
        return may_be_in(column, self._matcher)

    def _values(self, name: str, column: Column, among: Mask, check: Check) -> Mask:
        if name == TAGS:
            table = list(map(self._matcher.in_texts_of, column.dictionary))
            tagged: Mask = np.array(table, np.bool_)[column.codes]
            return tagged & among
        if column.kind == Kind.BYTES16:
            return self._matcher.match(*hex_texts(column), among, check)
        if column.kind == Kind.DICT:
            return match_dictionary(column, self._matcher, among, check)
        if column.kind == Kind.TEXT:
            return self._matcher.match(column.text, column.ends, among, check)
        chosen = np.flatnonzero(among & holds_bytes(column, self._matcher.needle))
        mask: Mask = np.zeros(column.count, np.bool_)
        for at in range(0, len(chosen), _REBUILT):
            check()
            some = chosen[at : at + _REBUILT]
            mask[some] = list(map(self._matcher.in_texts_of, column.values(some)))
        return mask


def match_messages(view: View, column: Column, matcher: Matcher, among: Mask) -> Mask:
    """Which messages match; only those that their template leaves open are rebuilt."""
    if not isinstance(column, MessageColumn):
        if not may_be_in(column, matcher):
            return np.zeros(column.count, np.bool_)
        return matcher.match(column.text, column.ends, among, view.check)
    codes = column.codes
    verdicts = view.verdicts(matcher, column)
    by_row = verdicts[codes]
    mask: Mask = (by_row == ALWAYS) & among
    opened = (by_row == OPEN) & among
    plain = codes == 0
    alone = opened[plain]
    if alone.any():
        # unstructured messages stand together, and are searched where they stand
        lengths, data = column.unstructured()
        few = None if alone.all() else alone
        mask[plain] = matcher.match(data, ends_of(lengths, 1), few, view.check)
    rows = np.flatnonzero(opened & ~plain)
    for at in range(0, len(rows), _REBUILT):
        view.check()
        some = rows[at : at + _REBUILT]
        lengths, data = column.texts_of(some)
        mask[some] = matcher.match(data, ends_of(lengths, 1), None, view.check)
    return mask


def may_be_in(column: Column, matcher: Matcher) -> bool:
    """Whether a text of the column may match; a cheap no for few bytes."""
    texts = column.kind in (Kind.TEXT, Kind.PACKED)
    return matcher.may_be_in(column.texts.data if texts else column.data)
