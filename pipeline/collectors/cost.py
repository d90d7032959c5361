"""What a row costs in memory while it waits: some four times what it takes encoded.

Pure.  Walking a row's metadata costs a third of a log() call, so that only some rows
are walked and the others counted like them (accumulator.py).
"""

from __future__ import annotations

from sys import getsizeof
from typing import Any, Final

from pipeline.batch.encode import Row

_BARE: Final = getsizeof((None,) * 7) + getsizeof(1 << 60) + getsizeof("") + 8
"""A row's tuple, its time, the head of its message and the place in a list."""

_UNKNOWN: Final = 200
"""Of an object whose size nothing tells."""

_LOOKED_AT: Final = 200
"""Values of one row that are looked at; the others count like them."""

_PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None)})
_LISTS: Final = frozenset({list, tuple, set, frozenset})
_KNOWN: Final = _PLAIN | _LISTS | {dict}


def cost_beside_message(row: Row) -> int:
    """About the bytes that a row holds, without those of its message."""
    metadata, tags, trace_id = row[4:]
    cost = _BARE
    if metadata:
        values = metadata.values()
        if _PLAIN.issuperset(map(type, values)):  # half the time of looking at each
            cost += getsizeof(metadata) + sum(map(getsizeof, values))
        else:
            cost += _cost_of(metadata)
    if tags:
        cost += _cost_of(tags)
    if trace_id:
        cost += getsizeof(trace_id)
    return cost


def _cost_of(value: Any) -> int:
    """Of a value with all that it holds; a key of a map is shared by the rows."""
    first = cost = getsizeof(value) if type(value) in _KNOWN else _UNKNOWN
    waiting = _within(value)
    looked_at = 0
    while waiting and looked_at < _LOOKED_AT:
        item = waiting.pop()
        looked_at += 1
        cost += getsizeof(item) if type(item) in _KNOWN else _UNKNOWN
        waiting += _within(item)
    if waiting:
        cost += (cost - first) * len(waiting) // looked_at
    return cost


def _within(value: Any) -> list[Any]:
    kind = type(value)
    if kind is dict:
        return list(value.values())
    return list(value) if kind in _LISTS else []
