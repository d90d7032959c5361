"""Entries as compact lines: what all have in common once, the rest in one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.tools.text import clean, pairs, value_text

Log = dict[str, Any]

_MILLISECONDS: Final = len("2026-11-22T10:00:00.000")


def moment(text: str | None) -> str | None:
    """A time to the millisecond, which is enough to tell what came first."""
    return text and text[:_MILLISECONDS] + "Z"


def shared(logs: Sequence[Log], characters: int) -> dict[str, str]:
    """Fields that all entries have alike, when there are several."""
    if len(logs) < 2:
        return {}
    found: dict[str, str] = {}
    for name in ("source", "level", "trace_id"):
        values = {log.get(name) for log in logs}
        if len(values) == 1 and (value := values.pop()):
            found[name] = clean(str(value), characters)
    if len(dates := {log["timestamp"][:10] for log in logs}) == 1:
        found["date"] = dates.pop()
    for key, value in (logs[0].get("metadata") or {}).items():
        # neither an entry's own field nor another key is hidden by one that reads alike
        is_plain = key not in _OWN and clean(key, 60) == key
        if is_plain and all(_has(log, key, value) for log in logs[1:]):
            found[key] = value_text(key, value, min(characters, 120))
        if len(found) >= _SHARED:
            break
    return found


_SHARED: Final = 8
_OWN: Final = frozenset({"source", "level", "trace_id", "date"})


def _has(log: Log, key: str, value: Any) -> bool:
    metadata = log.get("metadata") or {}
    return key in metadata and metadata[key] == value


def lines(
    logs: Sequence[Log],
    common: Mapping[str, str],
    characters: int,
    *,
    ids: bool = True,
) -> list[str]:
    """A line for each entry, without what all have in common."""
    return [line(log, common, characters, ids=ids) for log in logs]


def line(
    log: Log, common: Mapping[str, str], characters: int, *, ids: bool = True
) -> str:
    """Time, level, source, message, metadata, trace_id and id."""
    start = len("2026-11-22T") if "date" in common else 0
    parts = [log["timestamp"][start:_MILLISECONDS]]
    if log.get("context"):
        parts.append("·")  # it only stands near a match
    if "level" not in common:
        parts.append(log["level"])
    if "source" not in common:
        parts.append(clean(log["source"], min(60, characters)))
    parts.append(clean(log["message"], characters))
    known = (frozenset(common) - _OWN) | _said(log)
    if text := pairs(log.get("metadata") or {}, characters // 2, known):
        parts.append(text)
    trace = log.get("trace_id")
    if trace and "trace_id" not in common:
        parts.append(f"trace={clean(trace, 80)}")
    if ids and not log.get("context"):
        parts.append(f"id={log['id']}")
    return " ".join(parts)


def _said(log: Log) -> frozenset[str]:
    """Keys whose values the message has: they need not be said twice."""
    message = log["message"][:2_000]
    return frozenset(
        key
        for key, value in (log.get("metadata") or {}).items()
        if isinstance(value, str) and 3 < len(value) < 200 and value in message
    )
