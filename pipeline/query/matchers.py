"""What a value has to be: one class a form of condition, over any kind of column.

A matcher knows single values and whole columns of texts, and judges templates: those
that every message of theirs matches, those that none can, and those that are open.
Numbers are compared by value and exactly; of a list or map any value inside may match.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.batch.column import Column
from pipeline.compression import Bytes as Buffer
from pipeline.query.numbers import Range, equal_numbers, maybe_literal
from pipeline.query.regex import Pattern
from pipeline.query.text import (
    Ints,
    Mask,
    Needle,
    equal_values,
    having,
    values_at,
)
from pipeline.store.templates import VARIABLE

Check = Callable[[], None]
Verdicts = npt.NDArray[np.uint8]

NEVER: Final = 0
OPEN: Final = 1
ALWAYS: Final = 2
"""What a template tells of its messages."""


class Matcher(ABC):
    """A condition on a value."""

    tokens: Sequence[bytes] = ()
    """Folded tokens that every text that matches has as a whole."""

    needle: bytes = b""
    """Folded bytes that every value that matches has, if texts alone may match."""

    numeric = False
    """Whether values other than texts may match."""

    needed: Sequence[Sequence[Tokens]] = ()
    """Of each of these a text that matches has one."""

    @property
    def key(self) -> object:
        """What is equal for matchers that match the same."""
        return self

    def matches(self, value: Any) -> bool:
        """Whether one Python value is wanted, or has a wanted one inside."""
        if type(value) is str:
            return self.in_text(value.encode())
        if type(value) is dict:
            return any(map(self.matches, value.values()))
        if type(value) is list:
            return any(map(self.matches, value))
        return self.numeric and self.is_value(value)

    def in_texts_of(self, value: Any) -> bool:
        """Whether a text of the value matches, whatever the rest of it is."""
        return any(self.in_text(text.encode()) for text in leaf_texts(value))

    @abstractmethod
    def in_text(self, value: bytes) -> bool:
        """Whether one text matches."""

    def is_value(self, value: Any) -> bool:  # noqa: ARG002
        """Whether a number, boolean, null or bytes matches."""
        return False

    def in_numbers(self, column: Column) -> Mask:
        """Which values of an INT64, FLOAT64 or BOOL column match."""
        return np.zeros(column.count, np.bool_)

    def may_be_in(self, data: Buffer) -> bool:  # noqa: ARG002
        """Whether a text within the data may match; a cheap no for few bytes."""
        return True

    def match(self, data: bytes, ends: Ints, among: Mask | None, check: Check) -> Mask:
        """Which texts match; `ends` are the places of the newlines behind each."""
        places = range(len(ends)) if among is None else np.flatnonzero(among).tolist()
        starts = np.concatenate([[0], ends + 1])
        mask: Mask = np.zeros(len(ends), np.bool_)
        for number, place in enumerate(places):
            if number % _BETWEEN_CHECKS == 0:
                check()
            mask[place] = self.in_text(data[starts[place] : ends[place]])
        return mask

    def judge(self, data: bytes, ends: Ints) -> Verdicts:
        """NEVER, OPEN or ALWAYS for each template."""
        fixed = ~having(data, ends, VARIABLE)
        found = self.match(data, ends, fixed, _unchecked)
        verdicts = np.where(found, ALWAYS, NEVER).astype(np.uint8)
        verdicts[~fixed] = OPEN
        return verdicts


_BETWEEN_CHECKS: Final = 1024


class Empty(Matcher):
    """The empty text."""

    def in_text(self, value: bytes) -> bool:
        """Whether it has nothing."""
        return not value


class Tokens(Matcher):
    """A text at borders of tokens, or without them."""

    def __init__(self, needle: Needle) -> None:
        self.searched = needle
        self.needed = [[self]]
        self.needle = needle.folded
        self.tokens = needle.tokens

    @property
    def key(self) -> object:
        """The text and its borders."""
        return self.searched.key

    def in_text(self, value: bytes) -> bool:
        """Whether it has the text."""
        return self.searched.found_in(value)

    def may_be_in(self, data: Buffer) -> bool:
        """Whether the data may have it."""
        return self.searched.may_be_in(data)

    def match(self, data: bytes, ends: Ints, among: Mask | None, check: Check) -> Mask:
        """All at once."""
        check()
        return self.searched.match(data, ends, among)

    def judge(self, data: bytes, ends: Ints) -> Verdicts:
        """Static text decides, but where the text could touch a variable."""
        # a variable is a token like those around the needle, and so is its byte 0xFF
        verdicts: Verdicts = np.zeros(len(ends), np.uint8)
        verdicts[self._touching(data, ends)] = OPEN
        verdicts[self.searched.match(data, ends)] = ALWAYS
        return verdicts

    def _touching(self, data: bytes, ends: Ints) -> Mask:
        """Templates in which a variable could be a part of what is looked for."""
        mask: Mask = np.zeros(len(ends), np.bool_)
        pattern = self.searched.in_template
        if VARIABLE not in pattern.pattern:
            return mask  # that is static text, and found as such
        if self.searched.is_run:
            return having(data, ends, VARIABLE)
        data = data if self.searched.exact else data.lower()
        if b"\n" not in self.needle:
            hits = [hit.start() for hit in pattern.finditer(data)]
            mask[np.searchsorted(ends, np.array(hits, np.int64))] = True
            return mask
        starts = np.concatenate([[0], ends[:-1] + 1]).tolist()
        for place, end in enumerate(ends.tolist()):
            mask[place] = pattern.search(data, starts[place], end) is not None
        return mask


class Typed(Tokens):
    """A number, boolean or null, or the text that is written the same."""

    numeric = True

    def __init__(self, text: str) -> None:
        super().__init__(Needle(text))
        self.tokens = ()
        self.needle = b""  # as msgpack, numbers don't read as they are written
        self._literal = maybe_literal(text)

    def is_value(self, value: Any) -> bool:
        """Whether it is the same by value, as 7 is 7.0."""
        literal = self._literal
        if literal is None or isinstance(literal, bool) or isinstance(value, bool):
            return value is literal
        if not isinstance(value, int | float):
            return False
        return bool(value == literal) or (value != value and literal != literal)

    def in_numbers(self, column: Column) -> Mask:
        """Those that are the same by value."""
        return equal_numbers(column, self._literal)


class Bounds(Matcher):
    """Less, greater or between: numbers with numbers, texts by code point."""

    def __init__(self, bounds: Range) -> None:
        self._bounds = bounds
        self.numeric = not bounds.textual

    def in_text(self, value: bytes) -> bool:
        """Whether the text is within text bounds."""
        return self._bounds.textual and self._bounds.holds(value)

    def is_value(self, value: Any) -> bool:
        """Whether the number is within."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self._bounds.holds(value)

    def in_numbers(self, column: Column) -> Mask:
        """Those within."""
        return self._bounds.numbers(column)

    def match(self, data: bytes, ends: Ints, among: Mask | None, check: Check) -> Mask:
        """None without text bounds."""
        if not self._bounds.textual:
            return np.zeros(len(ends), np.bool_)
        return super().match(data, ends, among, check)


class Expression(Matcher):
    """A regular expression."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._pattern = Pattern(pattern)
        needed = [
            [
                Tokens(Needle(text, left=False, right=False, exact=True))
                for text in texts
            ]
            for texts in self._pattern.traits.literals
        ]
        needed.sort(key=_shortest, reverse=True)
        self.needed = needed
        sure = [each[0] for each in needed if len(each) == 1]
        self.tokens = [token for each in sure for token in each.tokens]
        self.needle = max((each.needle for each in sure), key=len, default=b"")

    @property
    def key(self) -> object:
        """The pattern."""
        return "pattern", self.pattern

    def in_text(self, value: bytes) -> bool:
        """Whether it is found in it."""
        return self._pattern.found_in(value)

    def may_be_in(self, data: Buffer) -> bool:
        """Whether the data have all that it needs."""
        return all(any(each.may_be_in(data) for each in texts) for texts in self.needed)

    def match(self, data: bytes, ends: Ints, among: Mask | None, check: Check) -> Mask:
        """All at once, where one value in four is left these alone."""
        for texts in self.needed[:_NEEDED]:
            if len(data) <= _LONG or _are_few(among):
                break
            having = [each.match(data, ends, among, check) for each in texts]
            among = np.asarray(np.logical_or.reduce(having))
            if not among.any():
                return among
        if among is not None and _are_few(among):
            return self._match_few(data, ends, among, check)
        mask = self._pattern.match(data, ends, check)
        return mask if among is None else mask & among

    def _match_few(self, data: bytes, ends: Ints, among: Mask, check: Check) -> Mask:
        chosen = np.flatnonzero(among)
        mask: Mask = np.zeros(len(ends), np.bool_)
        if len(chosen):
            mask[chosen] = self._pattern.match(*values_at(data, ends, chosen), check)
        return mask

    def judge(self, data: bytes, ends: Ints) -> Verdicts:
        """What it needs is missing, or it is found between variables."""
        found = self._pattern.match(data, ends, _unchecked)
        fixed = ~having(data, ends, VARIABLE)
        verdicts = np.full(len(ends), OPEN, np.uint8)
        for texts in self.needed:
            best = np.maximum.reduce([each.judge(data, ends) for each in texts])
            verdicts[best == NEVER] = NEVER
        if self._pattern.traits.free:
            # no pattern matches 0xFF, so a match lies between variables
            verdicts[found] = ALWAYS
        verdicts[fixed] = np.where(found, ALWAYS, NEVER)[fixed]
        return verdicts


_FEW: Final = 4
"""Values are copied where one in so many is left: a slice each."""

_LONG: Final = 1 << 14
"""Bytes whose search takes longer than that for a text that the pattern needs."""

_NEEDED: Final = 2


def _are_few(among: Mask | None) -> bool:
    return among is not None and int(np.count_nonzero(among)) * _FEW < len(among)


class Whole(Matcher):
    """A name: the whole text in its case."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self.needle = self._text.lower()
        self.tokens = Needle(text).tokens if text else ()

    def in_text(self, value: bytes) -> bool:
        """Whether it is the same."""
        return value == self._text

    def match(self, data: bytes, ends: Ints, among: Mask | None, check: Check) -> Mask:
        """All at once."""
        check()
        lengths = np.diff(ends, prepend=-1) - 1
        mask = equal_values(data, ends, lengths, self._text)
        return mask if among is None else mask & among


class Start(Matcher):
    """The beginning of a name; A-Z and a-z alike."""

    def __init__(self, text: str) -> None:
        self.needle = text.encode().lower()

    def in_text(self, value: bytes) -> bool:
        """Whether it begins so."""
        return value[: len(self.needle)].lower() == self.needle


class Anything(Matcher):
    """Any value but null."""

    numeric = True

    def matches(self, value: Any) -> bool:
        """Also empty lists and maps."""
        return value is not None

    def in_text(self, value: bytes) -> bool:  # noqa: ARG002
        """Any."""
        return True

    def in_numbers(self, column: Column) -> Mask:
        """All."""
        return np.ones(column.count, np.bool_)

    def match(self, data: bytes, ends: Ints, among: Mask | None, check: Check) -> Mask:  # noqa: ARG002
        """All."""
        return np.ones(len(ends), np.bool_) if among is None else among


def _shortest(texts: Sequence[Tokens]) -> int:
    return min(len(each.needle) for each in texts)


def leaf_texts(value: Any) -> list[str]:
    """The texts inside a value of metadata: itself, or those of its lists and maps."""
    if type(value) is str:
        return [value]
    if type(value) is dict:
        return [text for item in value.values() for text in leaf_texts(item)]
    if type(value) is list:
        return [text for item in value for text in leaf_texts(item)]
    return []


def _unchecked() -> None:
    """Templates are few."""
