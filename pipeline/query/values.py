"""One condition on a value of metadata, over any kind of column.

Text has the wanted text as whole tokens; numbers are equal by value (7 is 7.0);
booleans and null are themselves. Of a list or map any value inside may match.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import Kind
from pipeline.query.text import Ints, Mask, Needle, find_folded
from pipeline.query.view import splits

_LITERAL_CHARACTERS: Final = 64
"""No number that can be stored is written longer by anybody."""

_WORDS: Final[dict[str, Any]] = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}
_NOTHING: Final = object()


class Wanted:
    """The value that a condition asks for; `typed` ones may be more than text."""

    def __init__(self, value: str, *, typed: bool) -> None:
        self.needle = Needle(value) if value else None
        self.typed = typed
        self._literal = _literal(value) if typed else _NOTHING

    def matches(self, value: Any) -> bool:
        """Whether one Python value is the wanted one, or has it inside."""
        if type(value) is str:
            return self._in_text(value)
        if type(value) is dict:
            return any(map(self.matches, value.values()))
        if type(value) is list:
            return any(map(self.matches, value))
        return self._is_literal(value)

    def in_column(self, column: Column, among: Mask, rest: str | None) -> Mask:
        """Which values of a column match; `rest` is a path into them."""
        if column.kind == Kind.PACKED:
            return self._in_packed(column, among, rest)
        if column.kind in (Kind.TEXT, Kind.DICT):
            return match_text(column, self.needle, among)
        return self._in_numbers(column) & among

    def _in_text(self, value: str) -> bool:
        if self.needle is None:
            return not value
        return self.needle.found_in(value.encode())

    def _is_literal(self, value: Any) -> bool:
        literal = self._literal
        if literal is None or isinstance(literal, bool) or isinstance(value, bool):
            return value is literal
        if not isinstance(value, int | float):
            return False
        if isinstance(literal, float) and math.isnan(literal):
            return math.isnan(value)
        return bool(value == literal)

    def _in_numbers(self, column: Column) -> Mask:
        nowhere: Mask = np.zeros(column.count, np.bool_)
        literal = self._literal
        if column.kind == Kind.BOOL or isinstance(literal, bool):
            same = column.kind == Kind.BOOL and isinstance(literal, bool)
            return np.asarray(column.numbers == literal) if same else nowhere
        if not isinstance(literal, int | float):
            return nowhere
        if isinstance(literal, float) and math.isnan(literal):
            return np.asarray(np.isnan(column.numbers))
        # numpy would compare after a conversion that rounds: convert exactly or not
        exact = _as_int64(literal) if column.kind == Kind.INT64 else _as_float(literal)
        return nowhere if exact is None else np.asarray(column.numbers == exact)

    def _in_packed(self, column: Column, among: Mask, rest: str | None) -> Mask:
        """Unpack the values whose bytes may hold the key and the text, and look."""
        if rest is not None:
            among = among & holds_bytes(column, rest.rpartition(".")[2].encode())
        if self.needle is not None and not self.typed:
            among = among & holds_bytes(column, self.needle.folded)
        chosen = np.flatnonzero(among)
        mask: Mask = np.zeros(column.count, np.bool_)
        mask[chosen] = [
            any(map(self.matches, (value,) if rest is None else values_at(value, rest)))
            for value in column.values(chosen)
        ]
        return mask


def values_at(value: Any, key: str) -> list[Any]:
    """What a map holds at a key that is `a.b` itself or the path a, then b."""
    if type(value) is not dict:
        return []
    found = [value[key]] if key in value else []
    for head, rest in splits(key):
        if head in value:
            found += values_at(value[head], rest)
    return found


def match_text(column: Column, needle: Needle | None, among: Mask) -> Mask:
    """Which texts of a TEXT or DICT column have it; None asks for the empty text."""
    if column.kind == Kind.DICT:
        _, _, texts = column.dictionary_parts
        ends = np.cumsum(texts.lengths + 1) - 1
        empty = np.asarray(texts.lengths == 0)
        table = empty if needle is None else needle.match(texts.data, ends)
        return np.asarray(table[column.codes]) & among
    if needle is None:
        return np.asarray(column.texts.lengths == 0) & among
    return needle.match(column.text, column.ends, among)


def holds_bytes(column: Column, text: bytes) -> Mask:
    """Which values of a PACKED column may have the text, in any case, inside."""
    mask: Mask = np.ones(column.count, np.bool_)
    if text:
        ends = np.cumsum(column.texts.lengths)
        mask[:] = False
        mask[find_values(column.texts.data, ends, text)] = True
    return mask


def find_values(data: bytes, ends: Ints, text: bytes) -> Ints:
    """The values in which the places of a text begin."""
    return np.searchsorted(ends, find_folded(data, text.lower()), "right")


def _literal(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LITERAL_CHARACTERS:
        return _NOTHING
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return number if math.isfinite(number) else _NOTHING


def _as_int64(number: float) -> int | None:
    if isinstance(number, float) and not number.is_integer():
        return None
    return int(number) if -(1 << 63) <= number < 1 << 63 else None


def _as_float(number: float) -> float | None:
    try:
        same = float(number)
    except OverflowError:
        return None
    return same if same == number else None
