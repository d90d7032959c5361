"""The same questions answered one entry at a time: slow, plain and independent."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipeline.entry import Entry, encode_id, parse_level
from pipeline.query.syntax import (
    And,
    Between,
    Compare,
    Condition,
    Exact,
    Exists,
    Field,
    Node,
    Not,
    Or,
    Pair,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
)

COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOKEN = "[0-9A-Za-z_\x80-\U0010ffff]"


class Stored(NamedTuple):
    """An entry with the number that its producer gave it."""

    entry: Entry
    producer: bytes
    number: int

    @property
    def key(self) -> tuple[int, bytes, int]:
        return self.entry.timestamp, self.producer, self.number

    @property
    def id(self) -> str:
        return encode_id(*self.key)


def lower(text: str) -> str:
    return text.encode().lower().decode()


def has_text(value: str, word: str, *, open_end: bool = False) -> bool:
    """Whether a value has a text, as whole tokens; with an open end, as a beginning."""
    pattern = re.escape(word)
    first = re.match(f"{TOKEN}+", word)
    last = re.search(f"{TOKEN}+\\Z", word)
    if first is not None and first.group().isascii():
        pattern = f"(?<!{TOKEN}){pattern}"
    if last is not None and last.group().isascii() and not open_end:
        pattern = f"{pattern}(?!{TOKEN})"
    return re.search(pattern, value) is not None


def in_text(value: str, wanted: Condition) -> bool:
    """Whether a text is what a condition asks for."""
    match wanted:
        case Text("") | Typed(""):
            return not value
        case Text(text) | Typed(text):
            return has_text(lower(value), lower(text))
        case Exact(text):
            return has_text(value, text)
        case Prefix(text):
            return has_text(lower(value), lower(text), open_end=True)
    return in_name(value, wanted)


def in_name(value: str, wanted: Condition) -> bool:
    """Whether a name, which is compared as a whole, is what is asked for."""
    match wanted:
        case Text(text) | Exact(text):
            return value == text
        case Prefix(text):
            return lower(value).startswith(lower(text))
        case Substring(text):
            return lower(text) in lower(value)
        case Regex(pattern):
            return re.search(pattern, value, re.ASCII) is not None
    return is_between(value, wanted)


def is_between(value: Any, wanted: Condition) -> bool:
    """Whether a number or text lies where a comparison says."""
    match wanted:
        case Exists():
            return True
        case Compare(op, limit):
            return comparable(value, limit) and COMPARED[op](value, limit)
        case Between(low, high, low_included, high_included):
            above, below = ">=" if low_included else ">", "<=" if high_included else "<"
            return (low is None or is_between(value, Compare(above, low))) and (
                high is None or is_between(value, Compare(below, high))
            )
    return False


def comparable(value: Any, limit: Any) -> bool:
    return (is_number(value) and is_number(limit)) or type(value) is type(limit) is str


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def lookup(fields: dict[str, Any], key: str) -> Iterator[Any]:
    for name, value in fields.items():
        if name == key:
            yield value
        elif key.startswith(name + ".") and isinstance(value, dict):
            yield from lookup(value, key[len(name) + 1 :])


def is_value(value: Any, wanted: Condition) -> bool:
    """Whether a value without others inside is the wanted one."""
    if isinstance(value, str):
        return in_text(value, wanted)
    if not isinstance(wanted, Typed):
        return not isinstance(wanted, Exists) and is_between(value, wanted)
    text = wanted.text
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value] == text
    if text in ("null", "true", "false") or isinstance(value, bytes):
        return False
    number = float(text) if re.search(r"[.eEnN]", text) else int(text)
    return bool(value == number) or (value != value and number != number)


def has_value(metadata: dict[str, Any], key: str, wanted: Condition) -> bool:
    """Whether what is found at a key, or anything inside, is the wanted value."""
    found = list(lookup(metadata, key))
    if isinstance(wanted, Exists):
        return any(value is not None for value in found)
    return any(is_value(leaf, wanted) for value in found for leaf in leaves(value))


def severity(level: Any) -> int:
    """Which of the six levels a number of the scale, or a name, belongs to."""
    number = level if isinstance(level, int) else parse_level(level)
    assert number is not None
    return (number - 1) // 4


def has_level(level: int, wanted: Condition) -> bool:
    """Levels compare as severities."""
    match wanted:
        case Text(name):
            return severity(level) == severity(name)
        case Compare(op, name):
            return is_between(severity(level), Compare(op, severity(name)))
        case Between(low, high):
            ends = [None if end is None else severity(end) for end in (low, high)]
            ranked = replace(wanted, low=ends[0], high=ends[1])
            return is_between(severity(level), ranked)
    return isinstance(wanted, Exists)


def texts_of(entry: Entry) -> list[str]:
    """Where a bare word is looked for."""
    inside = [leaf for leaf in leaves(entry.metadata or {}) if isinstance(leaf, str)]
    trace = [] if entry.trace_id is None else [entry.trace_id]
    return [entry.message, *trace, *(entry.tags or []), *inside]


def in_field(entry: Entry, name: str, wanted: Condition) -> bool:
    """Whether one field of an entry is what is asked for."""
    names = {
        "source": [entry.source],
        "tag": entry.tags or [],
        "trace_id": [] if entry.trace_id is None else [entry.trace_id],
    }
    if name in names:
        return any(in_name(value, wanted) for value in names[name])
    match name:
        case "level":
            return has_level(entry.level, wanted)
        case "timestamp":
            return is_between(entry.timestamp, wanted)
        case "message":
            return in_text(entry.message, wanted)
    return has_value(entry.metadata or {}, name.removeprefix("metadata."), wanted)


def matches(entry: Entry, node: Node) -> bool:
    """Whether an entry is what the tree asks for."""
    match node:
        case And(terms):
            return all(matches(entry, term) for term in terms)
        case Or(terms):
            return any(matches(entry, term) for term in terms)
        case Not(term):
            return not matches(entry, term)
        case Pair():
            meant = [node.field] if node.text is None else [node.field, node.text]
            return any(matches(entry, term) for term in meant)
        case Field(name, condition):
            return in_field(entry, name, condition)
    return any(in_text(value, node) for value in texts_of(entry))


def find(
    stored: Iterable[Stored],
    tree: Node,
    low: int | None = None,
    high: int | None = None,
    *,
    descending: bool = True,
) -> list[Stored]:
    """All that match, in order."""
    found = [
        row
        for row in stored
        if (low is None or row.entry.timestamp >= low)
        and (high is None or row.entry.timestamp < high)
        and matches(row.entry, tree)
    ]
    return sorted(found, key=lambda row: row.key, reverse=descending)


def around(stored: Sequence[Stored], hits: Sequence[Stored], n: int) -> set[str]:
    """Ids of what stands within n entries of a hit of the same source, hits too."""
    found = set()
    for hit in hits:
        same = sorted(
            (row for row in stored if row.entry.source == hit.entry.source),
            key=lambda row: row.key,
        )
        place = same.index(hit)
        found |= {row.id for row in same[max(0, place - n) : place + n + 1]}
    return found
