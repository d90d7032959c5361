"""Rows that could not be encoded together, looked at one by one in the sender.

What can be kept is kept: objects that no column holds become their text, a lone
surrogate its escape.  What is beyond a limit is refused with the field's name.
"""

from __future__ import annotations

from typing import Any

from pipeline.batch.encode import Row
from pipeline.entry import Entry, Level, entry_from_map
from pipeline.errors import EntryError
from pipeline.limits import NESTING

_PLAIN = frozenset({type(None), bool, float})
_INTEGERS = range(-(1 << 63), 1 << 64)


def admit(row: Row) -> Entry:
    """An entry that is sure to be stored; raises EntryError when there is none."""
    time, source, level, message, metadata, tags, trace_id = row
    fields: dict[str, Any] = {
        "source": clean_text(source),
        "level": Level.INFO,
        "message": clean_text(message),
        "metadata": clean_value(dict(metadata or {}), 0),
        "tags": [clean_text(tag) for tag in _list(tags)],
        "trace_id": None if trace_id is None else clean_text(trace_id),
    }
    entry = entry_from_map(fields, 0, strict=True)
    return entry._replace(timestamp=time, level=level)


def clean_text(value: object) -> str:
    r"""The value's text in UTF-8; a lone surrogate as \\udcxx."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def clean_value(value: object, depth: int) -> Any:
    """A value that msgpack and JSON hold; anything else becomes text."""
    kind = type(value)
    if kind in _PLAIN or (kind is int and value in _INTEGERS):
        return value
    if isinstance(value, bytes):
        return value
    if depth > NESTING:
        raise EntryError("metadata", "nested too deep", f"at most {NESTING} levels")
    if isinstance(value, dict):
        return {
            clean_text(key): clean_value(item, depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [clean_value(item, depth + 1) for item in value]
    return clean_text(value)


def _list(tags: object) -> list[object]:
    if tags is None:
        return []
    return list(tags) if isinstance(tags, list | tuple | set | frozenset) else [tags]
