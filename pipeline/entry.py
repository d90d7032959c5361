"""An entry: the row that goes in and comes out, checked once at the border.

`entry_from_map` is that border for plain senders, JSON-RPC and standard input; behind
it rows travel as columns (`pipeline.batch`), and `entry_to_json` is how they go out.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline import limits
from pipeline.errors import EntryError
from pipeline.identity import decode_id, encode_id
from pipeline.level import LEVEL_NAMES, Level, parse_level
from pipeline.timestamp import format_timestamp, parse_timestamp

__all__ = [
    "LEVEL_NAMES",
    "Entry",
    "Level",
    "check_metadata",
    "cut_message",
    "decode_id",
    "encode_id",
    "entry_from_map",
    "entry_to_json",
    "format_timestamp",
    "parse_level",
    "parse_timestamp",
]


class Entry(NamedTuple):
    """One log entry: nanoseconds since 1970, and a level on OpenTelemetry's scale."""

    timestamp: int
    source: str
    level: int
    message: str
    metadata: dict[str, Any] | None
    tags: list[str] | None
    trace_id: str | None


_TIMESTAMP: Final = ("timestamp", "time", "ts", "@timestamp")
_SOURCE: Final = ("source",)
_LEVEL: Final = ("level", "severity")
_MESSAGE: Final = ("message", "msg")
_METADATA: Final = ("metadata",)
_TAGS: Final = ("tags",)
_TRACE_ID: Final = ("trace_id", "traceId")
_KNOWN: Final = frozenset(
    _TIMESTAMP + _SOURCE + _LEVEL + _MESSAGE + _METADATA + _TAGS + _TRACE_ID
)

_NO_NUMBER: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def entry_from_map(
    fields: Mapping[str, Any],
    now: int,
    source: str | None = None,
    *,
    strict: bool = False,
) -> Entry:
    """Check one map from outside and make an entry of it; `source` is the default.

    Without a time the entry has `now`, without a level INFO; an unknown level becomes
    INFO and is kept as `metadata.level_text`. Keys that no field has go to metadata,
    or are refused when `strict`. Raises EntryError, which names the field.
    """
    used: list[str] = []

    def take(names: tuple[str, ...]) -> Any:
        for name in names:
            if name in fields:
                used.append(name)
                return fields[name]
        return None

    timestamp, level = take(_TIMESTAMP), take(_LEVEL)
    named, message = take(_SOURCE), take(_MESSAGE)
    metadata, tags, trace_id = take(_METADATA), take(_TAGS), take(_TRACE_ID)
    if metadata is not None and not isinstance(metadata, dict):
        raise EntryError("metadata", _kind(metadata), "a map")
    if len(used) != len(fields):
        metadata = _with_rest(fields, used, metadata or {}, strict=strict)
    number = int(Level.INFO) if level is None else parse_level(level)
    if number is None:
        number, metadata = _unknown_level(level, metadata or {})
    if metadata:
        check_metadata(metadata)
    return Entry(
        parse_timestamp(timestamp, now),
        _check_source(source if named is None else named),
        number,
        _check_text("message", message, limits.MESSAGE_BYTES),
        metadata or {},
        _check_tags(tags) if tags else [],
        None
        if trace_id is None
        else _check_text("trace_id", trace_id, limits.TRACE_ID_BYTES),
    )


def entry_to_json(entry: Entry, identity: str) -> dict[str, Any]:
    """The map that replies carry; every value of it has a faithful form in JSON."""
    timestamp, source, level, message, metadata, tags, trace_id = entry
    return {
        "id": identity,
        "timestamp": format_timestamp(timestamp),
        "source": source,
        "level": LEVEL_NAMES.get(level, str(level)),
        "message": message,
        "metadata": {key: json_value(value) for key, value in metadata.items()}
        if metadata
        else {},
        "tags": tags or [],
        "trace_id": trace_id,
    }


def cut_message(message: str) -> tuple[str, int]:
    """The message as far as the limit allows, and how many bytes of it are gone."""
    # a character has at most four bytes: shorter text needs no counting
    if len(message) <= limits.MESSAGE_BYTES // 4:
        return message, 0
    encoded = message.encode("utf-8", "backslashreplace")
    if len(encoded) <= limits.MESSAGE_BYTES:
        return message, 0
    kept = encoded[: limits.MESSAGE_BYTES].decode("utf-8", "ignore")
    return kept, len(encoded) - len(kept.encode())


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raise EntryError unless keys, values, depth and size are within the limits."""
    if len(metadata) > limits.METADATA_KEYS:
        expected = f"at most {limits.METADATA_KEYS:,} keys"
        raise EntryError("metadata", f"{len(metadata):,} keys", expected)
    size = 3
    for key, value in metadata.items():
        size += _key_bytes(key, "metadata")
        # most values are short text or numbers: they need no call that walks them
        kind = type(value)
        if kind is str and value.isascii():
            size += len(value) + 5
        elif kind is float or kind is bool:
            size += 9
        else:
            size += _measure(value, f"metadata.{key}", 2)
    if size > limits.METADATA_BYTES:
        expected = f"at most {limits.METADATA_BYTES:,} bytes as msgpack"
        raise EntryError("metadata", f"about {size:,} bytes", expected)


def _with_rest(
    fields: Mapping[str, Any],
    used: list[str],
    metadata: dict[str, Any],
    *,
    strict: bool,
) -> dict[str, Any]:
    """Metadata with the top-level keys that no field has taken."""
    merged = dict(metadata)
    for key, value in fields.items():
        if key in used:
            continue
        if strict:
            _refuse_key(key)
        if key in merged:
            raise EntryError(str(key), "also a key of metadata", "one of the two")
        merged[key] = value
    return merged


def _refuse_key(key: object) -> None:
    if key in _KNOWN:
        raise EntryError(str(key), "the same field under two names", "one of them")
    expected = "timestamp, source, level, message, metadata, tags or trace_id"
    raise EntryError(str(key)[: limits.METADATA_KEY_BYTES], "unknown field", expected)


def _unknown_level(
    level: object, metadata: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    if not isinstance(level, str | int | float):
        raise EntryError("level", _kind(level), "the name or number of a level")
    if isinstance(level, int):
        _measure(level, "level", 1)
    return int(Level.INFO), {"level_text": str(level), **metadata}


def _check_text(field: str, value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise EntryError(field, _kind(value), "text")
    size = _text_bytes(value, field)
    if size > limit:
        raise EntryError(field, f"{size:,} bytes", f"at most {limit:,} bytes")
    return value


def _check_source(value: object) -> str:
    source = _check_text("source", value, limits.SOURCE_BYTES)
    if not source:
        raise EntryError("source", "empty", "the name of a service")
    return source


def _check_tags(value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise EntryError("tags", _kind(value), "a list of text")
    if len(value) > limits.TAGS:
        raise EntryError("tags", f"{len(value):,} tags", f"at most {limits.TAGS} tags")
    return [
        _check_text(f"tags.{index}", tag, limits.TAG_BYTES)
        for index, tag in enumerate(value)
    ]


def _kind(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def _text_bytes(text: str, field: str) -> int:
    """Bytes of the text as UTF-8, which lone surrogates have none of."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        problem = f"a lone surrogate at character {error.start}"
        raise EntryError(field, problem, "text that UTF-8 can hold") from None


def _key_bytes(key: object, path: str) -> int:
    if not isinstance(key, str):
        raise EntryError(path, f"a key of type {type(key).__name__}", "keys of text")
    size = _text_bytes(key, path)
    if size > limits.METADATA_KEY_BYTES:
        expected = f"at most {limits.METADATA_KEY_BYTES} bytes"
        raise EntryError(path, f"a key of {size:,} bytes", expected)
    return size + 3


def _measure(value: object, path: str, depth: int) -> int:
    """Bytes of one value as msgpack, rounded up; refuses what can't be stored."""
    if value is None or isinstance(value, bool | float):
        return 9
    if isinstance(value, str):
        return _text_bytes(value, path) + 5
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 64:
            return 9
        raise EntryError(path, "an integer beyond 64 bits", "text for such a number")
    if isinstance(value, bytes):
        return len(value) + 5
    if depth > limits.NESTING:
        expected = f"at most {limits.NESTING} levels"
        raise EntryError(path[:200], "nested too deep", expected)
    if isinstance(value, dict):
        return 5 + sum(
            _key_bytes(key, path) + _measure(item, f"{path}.{key}", depth + 1)
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return 5 + sum(_measure(item, path, depth + 1) for item in value)
    raise EntryError(path, _kind(value), "text, a number, a boolean, a list or a map")


def json_value(value: Any) -> Any:
    """The value as JSON can carry it: protobuf's names for what is no JSON number."""
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is float:
        # finite: infinities and NaN give NaN here
        return value if value - value == 0.0 else _NO_NUMBER[repr(value)]
    if kind is dict:
        return {key: json_value(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [json_value(item) for item in value]
    return base64.b64encode(value).decode("ascii") if kind is bytes else value
