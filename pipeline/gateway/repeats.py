"""A key that stands twice in a map: JSON lets it pass, and a value would be lost.

The decoder keeps the last one without a word. Looking at each key costs five times the
decoding, so both questions first compare sizes, which tell in nearly all cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from pipeline.gateway.lenient import FLAWS
from pipeline.gateway.split import MalformedError, split_map

_COLON: Final = re.compile(rb'"[ \t\r\n]*+:')
_SMALLEST: Final = len('"":0,')


class _RepeatedError(ValueError):
    """Ends the decoding."""


def repeated_member(text: Raw, members: Mapping[str, Raw]) -> str | None:
    """The key that stands twice in the map itself, not deeper, or None."""
    needed = 1 + sum(
        len(name.encode()) + len(memoryview(value)) + len('"":,')
        for name, value in members.items()
    )
    if len(memoryview(text)) - needed < _SMALLEST:
        return None
    seen: set[str] = set()
    try:
        for written, _ in split_map(bytes(text)):
            key = msgspec.json.decode(written, type=str)
            if key in seen:
                return key
            seen.add(key)
    except (MalformedError, *FLAWS):  # too many tokens, or a key that is no param's
        return None
    return None


def repeats_key(text: Raw, value: Any) -> bool:
    """Whether a map anywhere in the text has a key twice; `value` is it decoded."""
    # each key ends in such a colon, and so may parts of strings
    if len(_COLON.findall(memoryview(text))) == _keys_in(value):
        return False
    try:
        json.loads(
            bytes(text).decode(),
            object_pairs_hook=_once,
            parse_int=str,  # a long one would take quadratic time
        )
    except _RepeatedError:
        return True
    except RecursionError:  # refused anyway, for its depth
        return False
    return False


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _RepeatedError


def _keys_in(value: Any) -> int:
    count = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            count += len(item)
            waiting.extend(item.values())
        elif type(item) is list:
            waiting.extend(item)
    return count
