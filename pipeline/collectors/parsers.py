"""Structured lines, JSON and logfmt, become the fields of an entry; pure.

The message field becomes the message, the rest metadata. What turns out not to be what
it looked like is None, and the caller keeps the line as text.
"""

from __future__ import annotations

import json
import re
from datetime import tzinfo
from types import UnionType
from typing import Any, Final

from pipeline.civil import LOCAL
from pipeline.errors import EntryError
from pipeline.level import Level, parse_level
from pipeline.timestamp import parse_timestamp

_TIME_KEYS: Final = (
    *("timestamp", "time", "ts", "@timestamp", "@t", "t", "datetime", "date"),
    *("asctime", "eventTime", "__REALTIME_TIMESTAMP"),
)
"""Of pino, bunyan, zap, Logstash, Serilog, MongoDB, Python, CloudTrail, journald."""

_LEVEL_KEYS: Final = (
    *("level", "severity", "lvl", "levelname", "level_name", "log.level", "loglevel"),
    *("severity_text", "severityText", "@l", "PRIORITY"),
)
_MESSAGE_KEYS: Final = ("message", "msg", "event", "MESSAGE", "@m", "short_message")
_TRACE_KEYS: Final = ("trace_id", "traceId", "trace.id")

_LOGFMT_KEYS: Final = frozenset(
    {"level", "lvl", "severity", "msg", "message", "time", "ts", "timestamp", "at", "t"}
)
"""One of these tells a logfmt line from text that happens to hold equals signs."""

_NUMBER_IS_TIME: Final = 100_000_000
"""Smaller numbers under `time` are durations; as seconds this is March 1973."""

_PAIR: Final = re.compile(
    r'([^\s="]+)(=)?(?:(?<==)("(?:[^"\\]|\\.)*"|[^\s"]*))?(?:\s+|$)'
)
_CANONICAL: Final = re.compile(r"-?\d{1,18}(?:\.\d{1,17})?", re.ASCII)
_WORDS: Final = {"true": True, "false": False, "null": None}


def parse_json(line: str) -> dict[str, Any] | None:
    """The object that a line is, or None; twice the same key is no object to keep."""
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_logfmt(line: str, *, certain: bool = False) -> dict[str, Any] | None:
    """The pairs of a logfmt line, or None if it is none.

    Unless `certain`, every word has to be a pair and one key a usual one. Numbers and
    booleans are taken as such where writing them gives the same text again.
    """
    fields: dict[str, Any] = {}
    end = 0
    while found := _PAIR.match(line, end):
        key, equals, value = found.groups()
        if key in fields or not (equals or certain):
            return None
        try:
            fields[key] = _logfmt_value(value) if equals else True
        except ValueError:
            return None
        end = found.end()
    if end < len(line) or not fields:
        return None
    usual = len(fields) > 1 and not _LOGFMT_KEYS.isdisjoint(fields)
    return fields if certain or usual else None


def fields_from_map(
    data: dict[str, Any], line: str, now: int, zone: tzinfo = LOCAL
) -> dict[str, Any]:
    """The fields of an entry out of one logger's own map, for `entry_from_map`.

    Times, levels and messages are found under the names that loggers give them; what
    can't be read as such stays metadata. Without a message it is the whole line.
    """
    rest = dict(data)
    fields: dict[str, Any] = {"metadata": rest}
    timestamp = _take_time(rest, now, zone)
    if timestamp is not None:
        fields["timestamp"] = timestamp
    level = _take(rest, _LEVEL_KEYS, str | int | float)
    if level is not None:
        known = parse_level(level)
        fields["level"] = level if known is None else Level(known)
    message = _take(rest, _MESSAGE_KEYS, str)
    fields["message"] = line if message is None else message
    trace_id = _take(rest, _TRACE_KEYS, str)
    if trace_id is not None:
        fields["trace_id"] = trace_id
    _take_nested(rest, fields)
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key twice")
    return fields


def _logfmt_value(text: str) -> str | int | float | bool | None:
    if text.startswith('"'):
        value = json.loads(text, strict=False)
        assert isinstance(value, str)
        return value
    if text in _WORDS:
        return _WORDS[text]
    if _CANONICAL.fullmatch(text):
        number = float(text) if "." in text else int(text)
        return number if str(number) == text else text
    return text


def _take(
    rest: dict[str, Any],
    names: tuple[str, ...],
    kinds: type | UnionType,
) -> Any:
    """Remove and give the first of these keys whose value is of the kinds."""
    for name in names:
        value = rest.get(name)
        if isinstance(value, kinds) and not isinstance(value, bool):
            return rest.pop(name)
    return None


def _take_time(rest: dict[str, Any], now: int, zone: tzinfo) -> int | None:
    for name in _TIME_KEYS:
        value = rest.get(name)
        if isinstance(value, dict):  # MongoDB's {"$date": "..."}
            value = value.get("$date")
        if value is None or (
            isinstance(value, int | float) and abs(value) < _NUMBER_IS_TIME
        ):
            continue
        try:
            timestamp = parse_timestamp(value, now, zone)
        except EntryError:
            continue
        del rest[name]
        return timestamp
    return None


def _take_nested(rest: dict[str, Any], fields: dict[str, Any]) -> None:
    """Lift tags that are a list of text, and metadata that is a map, to their place."""
    tags = rest.get("tags")
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        fields["tags"] = rest.pop("tags")
    inner = rest.get("metadata")
    if isinstance(inner, dict) and rest.keys().isdisjoint(inner):
        del rest["metadata"]
        rest.update(inner)
