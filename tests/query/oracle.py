"""The same questions answered one entry at a time: slow, plain and independent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.entry import LEVEL_NAMES, Entry, encode_id, parse_level
from pipeline.query.syntax import And, Field, Node, Not, Or, Pair, Text, Typed

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


def has_text(value: str, text: str) -> bool:
    """Whether a value has a text, as whole tokens."""
    word = lower(text)
    pattern = re.escape(word)
    first = re.match(f"{TOKEN}+", word)
    last = re.search(f"{TOKEN}+\\Z", word)
    if first is not None and first.group().isascii():
        pattern = f"(?<!{TOKEN}){pattern}"
    if last is not None and last.group().isascii():
        pattern = f"{pattern}(?!{TOKEN})"
    return re.search(pattern, lower(value)) is not None


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


def is_value(value: Any, wanted: Text | Typed) -> bool:
    text = wanted.text
    if isinstance(value, str):
        return has_text(value, text) if text else not value
    if not isinstance(wanted, Typed):
        return False
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value] == text
    if text in ("null", "true", "false") or isinstance(value, bytes):
        return False
    number = float(text) if re.search(r"[.eEnN]", text) else int(text)
    return bool(value == number) or (value != value and number != number)


def matches(entry: Entry, node: Node) -> bool:  # noqa: C901, PLR0911 - one line a kind
    """Whether an entry is what the tree asks for."""
    metadata = entry.metadata or {}
    match node:
        case And(terms):
            return all(matches(entry, term) for term in terms)
        case Or(terms):
            return any(matches(entry, term) for term in terms)
        case Not(term):
            return not matches(entry, term)
        case Pair():
            text = node.text
            either = text is not None and matches(entry, text)
            return matches(entry, node.field) or either
        case Text(text):
            texts = [entry.message, entry.trace_id or "", *(entry.tags or [])]
            texts += [leaf for leaf in leaves(metadata) if isinstance(leaf, str)]
            return any(has_text(value, text) for value in texts)
        case Field("source", Text(value)):
            return entry.source == value
        case Field("level", Text(value)):
            return LEVEL_NAMES[entry.level] == LEVEL_NAMES[parse_level(value) or 0]
        case Field("tag", Text(value)):
            return value in (entry.tags or [])
        case Field("trace_id", Text(value)):
            return bool(value) and entry.trace_id == value
        case Field("message", Text(value)):
            return has_text(entry.message, value) if value else not entry.message
        case Field(name, (Text() | Typed()) as wanted):
            found = lookup(metadata, name.removeprefix("metadata."))
            return any(is_value(leaf, wanted) for v in found for leaf in leaves(v))
    raise AssertionError(node)


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
