"""A matcher over the columns of metadata, and paths into their maps."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.layout import Kind
from pipeline.batch.read import ends_of
from pipeline.query.matchers import Check, Matcher
from pipeline.query.text import Ints, Mask, find_folded
from pipeline.query.view import splits

_UNPACKED: Final = 2048
"""Values unpacked between two looks at the budget."""

_HEX_BYTES: Final = 33


def match_column(
    column: Column, matcher: Matcher, among: Mask | None, rest: str | None, check: Check
) -> Mask:
    """Which values of a column match; `rest` is a path into them."""
    wanted: Mask = np.ones(column.count, np.bool_) if among is None else among
    if column.kind == Kind.PACKED:
        return _match_packed(column, matcher, wanted, rest, check)
    if column.kind == Kind.DICT:
        return match_dictionary(column, matcher, wanted, check)
    if column.kind == Kind.TEXT:
        return matcher.match(column.text, column.ends, among, check) & wanted
    return matcher.in_numbers(column) & wanted if matcher.numeric else ~wanted & wanted


def match_dictionary(
    column: Column, matcher: Matcher, among: Mask, check: Check
) -> Mask:
    """Of a DICT column: each distinct value is looked at once."""
    _, kind, texts = column.dictionary_parts
    if kind == Kind.TEXT:
        table = matcher.match(texts.data, ends_of(texts.lengths, 1), None, check)
    else:
        table = np.array(list(map(matcher.matches, column.dictionary)), np.bool_)
    return np.asarray(table[column.codes]) & among


def _match_packed(
    column: Column, matcher: Matcher, among: Mask, rest: str | None, check: Check
) -> Mask:
    """Unpack the values whose bytes may hold the key and the text, and look."""
    if rest is not None:
        among = among & holds_bytes(column, rest.rpartition(".")[2].encode())
    if not matcher.numeric:
        among = among & holds_bytes(column, matcher.needle)
    chosen = np.flatnonzero(among)
    mask: Mask = np.zeros(column.count, np.bool_)
    for at in range(0, len(chosen), _UNPACKED):
        check()
        some = chosen[at : at + _UNPACKED]
        mask[some] = [
            any(
                map(
                    matcher.matches,
                    (value,) if rest is None else values_at(value, rest),
                )
            )
            for value in column.values(some)
        ]
    return mask


def hex_texts(column: Column) -> tuple[bytes, Ints]:
    """A BYTES16 column as 32 hex digits each, and a newline behind."""
    digits = np.frombuffer(column.raw.tobytes().hex().encode(), np.uint8)
    lines = np.full((column.count, _HEX_BYTES), ord("\n"), np.uint8)
    lines[:, :-1] = digits.reshape(column.count, _HEX_BYTES - 1)
    ends = np.arange(1, column.count + 1) * _HEX_BYTES - 1
    return lines.tobytes(), ends


def may_be_hex(needle: bytes) -> bool:
    """Whether 32 hex digits can have these bytes inside."""
    return len(needle) < _HEX_BYTES and not needle.strip(b"0123456789abcdef")


def values_at(value: Any, key: str) -> list[Any]:
    """What a map holds at a key that is `a.b` itself or the path a, then b."""
    if type(value) is not dict:
        return []
    found = [value[key]] if key in value else []
    for head, rest in splits(key):
        if head in value:
            found += values_at(value[head], rest)
    return found


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
