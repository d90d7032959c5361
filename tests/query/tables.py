"""Tables of entries worked out one entry at a time: slow, plain and independent."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from pipeline.entry import LEVEL_NAMES, Entry, format_timestamp, json_value
from tests.query.oracle import Stored

ABSENT = object()


def first_value(fields: dict[str, Any], key: str) -> Any:
    """What the key leads to: itself, or else the first path."""
    if key in fields:
        return fields[key]
    for place, character in enumerate(key):
        inner = fields.get(key[:place]) if character == "." else None
        if isinstance(inner, dict):
            found = first_value(inner, key[place + 1 :])
            if found is not ABSENT:
                return found
    return ABSENT


def values_of(entry: Entry, field: str) -> list[Any]:
    """The values that an entry counts for: of tags all, else one; None for none."""
    if field == "tag":
        return list(dict.fromkeys(entry.tags or [])) or [None]
    if field == "level":
        return [LEVEL_NAMES[entry.level]]
    if field in ("source", "message", "trace_id"):
        return [getattr(entry, field)]
    found = first_value(entry.metadata or {}, field.removeprefix("metadata."))
    return [None if found is ABSENT else found]


def canon(value: Any) -> str:
    """One text for each value that is told from others; 7 is 7.0, and no text."""
    if isinstance(value, bytes):
        return f"bytes {value!r}"
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"number {value}"
    return json.dumps(json_value(value), sort_keys=True)


def shown(value: Any) -> str:
    """As `canon` of what a reply has for the value."""
    value = json_value(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


Groups = dict[tuple[str, ...], tuple[tuple[Any, ...], list[Entry]]]


def group(rows: Sequence[Stored], fields: Sequence[str]) -> Groups:
    """Entries by their values; by tag an entry stands in several groups."""
    groups: Groups = {} if fields else {(): ((), [])}
    for row in rows:
        keys: list[tuple[Any, ...]] = [()]
        for field in fields:
            more = values_of(row.entry, field)
            keys = [(*key, value) for key in keys for value in more]
        for key in keys:
            name = tuple(map(canon, key))
            groups.setdefault(name, (key, []))[1].append(row.entry)
    return groups


def is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and not math.isnan(value))


def call(  # noqa: PLR0911 - one line a function
    function: str, field: str | None, entries: Sequence[Entry]
) -> Any:
    """One function over the entries of a group."""
    if field is None:
        return len(entries)
    if field == "timestamp":
        times = [entry.timestamp for entry in entries]
        return format_timestamp({"min": min, "max": max}[function](times))
    values = [v for e in entries for v in values_of(e, field) if v is not None]
    if function == "count":
        return len(values)
    if function == "count_uniq":
        return len(set(map(canon, values)))
    numbers = sorted(filter(is_number, values))
    if not numbers:
        return None
    if function in ("p50", "p95", "p99"):
        return numbers[-(-len(numbers) * int(function[1:]) // 100) - 1]
    total = sum(n for n in numbers if type(n) is int)
    broken = [n for n in numbers if type(n) is float]
    both = total + sum(broken) if broken else total
    return {
        "sum": both,
        "avg": both / len(numbers),
        "min": numbers[0],
        "max": numbers[-1],
    }[function]


def same(left: Any, right: Any) -> bool:
    """Whether a reply's number is this one; decimals add up in another order."""
    if isinstance(left, str) or left is None:
        return json_value(right) == left or (
            isinstance(right, float) and math.isinf(right) is (left[1:] != "aN")
        )
    if type(right) is int and type(left) is int:
        return left == right
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
