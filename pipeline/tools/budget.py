"""The most telling reply that fits into a number of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipeline.tools.tokens import tokens

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Detail:
    """How much a reply tells: characters of a text, rows of a list, what is beside."""

    characters: int
    rows: int
    samples: bool = True


_CHARACTERS: Final = (1_200, 500, 250, 120)
"""Lengths of a text that are tried while all rows are kept."""

_SHORTEST: Final = 60
_TINY: Final = 24
"""Where not one row fits otherwise: a reply without rows leads nowhere."""

ALL_ROWS: Final = 1 << 20


def size(reply: Reply) -> int:
    """Tokens of a reply as JSON."""
    return tokens(msgspec.json.encode(reply))


def fit(build: Callable[[Detail], Reply], most: int) -> Reply:
    """The reply with the most detail among those of at most so many tokens.

    Long values go first, then what stands beside the rows, then rows.
    """
    for characters in _CHARACTERS:
        reply = build(Detail(characters, ALL_ROWS))
        if size(reply) <= most:
            return reply
    characters = _CHARACTERS[-1]
    for detail in (
        Detail(characters, ALL_ROWS, samples=False),
        Detail(_SHORTEST, ALL_ROWS, samples=False),
    ):
        reply = build(detail)
        if size(reply) <= most:
            return reply
    for samples, length in (
        *((True, 250), (False, 250)),
        *((False, _SHORTEST), (False, _TINY)),
    ):
        rows = _most_rows(build, most, length, samples=samples)
        if rows >= _FEW or (rows and length <= _SHORTEST):
            return build(Detail(length, rows, samples))
    return _cut(build(Detail(_SHORTEST, 0, samples=False)), most)


def _cut(reply: Reply, most: int) -> Reply:
    """What even without rows is too long: its largest parts are halved until it fits.

    The notice stays, so does whatever is a number.
    """
    reply = dict(reply)
    while size(reply) > most:
        parts = {
            name: tokens(msgspec.json.encode(value))
            for name, value in reply.items()
            if name not in _KEPT and isinstance(value, str | list | dict) and value
        }
        if not parts:
            break
        name = max(parts, key=parts.__getitem__)
        reply[name] = _half(reply[name])
        reply["truncated"] = True
    return reply


_KEPT: Final = frozenset({"notice", "cursor", "window"})


def _half(value: Any) -> Any:
    """The first half of a text, a list or a map; of one item, that item's."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, only),) = value.items()
            return {key: _half(only)} if _is_long(only) else {}
        return dict(list(value.items())[: len(value) // 2])
    if isinstance(value, list) and len(value) == 1 and _is_long(value[0]):
        return [_half(value[0])]
    return value[: len(value) // 2]


def _is_long(value: Any) -> bool:
    return isinstance(value, str | list | dict) and len(value) > 1


_FEW: Final = 12
"""So many rows at least before longer texts are worth more."""


def _most_rows(
    build: Callable[[Detail], Reply], most: int, characters: int, *, samples: bool
) -> int:
    """The number of rows that fit with texts of this length; found by halving."""
    low, high = 0, 1
    while high < 1_024 and size(build(Detail(characters, high, samples))) <= most:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if size(build(Detail(characters, middle, samples))) <= most:
            low = middle
        else:
            high = middle
    return low
