"""The tree that a search text stands for; `str()` of a tree is a text that means it.

Trees are immutable. Build `And` and `Or` with `all_of` and `any_of`, which flatten, so
that each meaning has one form and `parse(str(tree)) == tree`. LANGUAGE.md says what
each node matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.query.conditions import (
    Anywhere,
    Between,
    Compare,
    Condition,
    Exact,
    Exists,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
    looks_typed,
    quote,
)
from pipeline.timestamp import format_timestamp

__all__ = [
    "FIELDS",
    "METADATA",
    "And",
    "Between",
    "Compare",
    "Condition",
    "Exact",
    "Exists",
    "Field",
    "Node",
    "Not",
    "Or",
    "Pair",
    "Prefix",
    "Regex",
    "Substring",
    "Text",
    "Typed",
    "all_of",
    "any_of",
    "field_text",
    "looks_typed",
    "quote",
]

FIELDS: Final = ("source", "level", "tag", "trace_id", "message", "timestamp")
"""Fields that take `field:value`; metadata's are `metadata.<key>`."""

METADATA: Final = "metadata."

_BARE_KEY: Final = re.compile(r"\w[\w.\-]*")


def field_text(name: str) -> str:
    """A field's name as it is written; metadata's keys may need quotes."""
    if not name.startswith(METADATA):
        return name
    key = name[len(METADATA) :]
    return METADATA + (key if _BARE_KEY.fullmatch(key) else quote(key))


def _value(condition: Condition) -> str:
    return condition.as_value if isinstance(condition, Text) else str(condition)


@dataclass(frozen=True, slots=True)
class Field:
    """A condition on one field: one of FIELDS or `metadata.<key>`.

    The bounds of `timestamp` are ns since 1970; those of other fields are as written.
    """

    name: str
    condition: Condition

    def __str__(self) -> str:
        if self.name == "timestamp":
            return f"timestamp:{_dated(self.condition)}"
        return f"{field_text(self.name)}:{_value(self.condition)}"


@dataclass(frozen=True, slots=True)
class Pair:
    """`key:value` with a key that is no field: that metadata, or just that text.

    It means the same whatever keys the store knows, so that neither a new key nor
    the next page can change what a search finds.
    """

    key: str
    condition: Condition

    def __str__(self) -> str:
        return f"{self.key}:{_value(self.condition)}"

    @property
    def field(self) -> Field:
        """The metadata that may be meant."""
        return Field(METADATA + self.key, self.condition)

    @property
    def text(self) -> Text | Prefix | None:
        """The text that may be meant, such as a URL's; None if none can be."""
        condition = self.condition
        if isinstance(condition, Text | Typed):
            return Text(f"{self.key}:{condition.text}")
        if isinstance(condition, Prefix):
            return Prefix(f"{self.key}:{condition.text}")
        return None


@dataclass(frozen=True, slots=True)
class Not:
    """What the term doesn't match."""

    term: Node

    def __str__(self) -> str:
        inside = _grouped(self.term)
        # two dashes in a row are an option's, such as --verbose, and a word
        return f"-({inside})" if isinstance(self.term, Not) else f"-{inside}"


@dataclass(frozen=True, slots=True)
class And:
    """What every term matches; without terms, everything."""

    terms: tuple[Node, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(_grouped, self.terms))


@dataclass(frozen=True, slots=True)
class Or:
    """What at least one of two or more terms matches."""

    terms: tuple[Node, ...]

    def __str__(self) -> str:
        return " OR ".join(map(_grouped, self.terms))


Node = Anywhere | Field | Pair | Not | And | Or


def _dated(condition: Condition) -> str:
    """A condition on the timestamp, with its moments as ISO 8601."""
    match condition:
        case Compare(op, int(ns)):
            return f"{op}{format_timestamp(ns)}"
        case Between(low, high, low_included, high_included):
            ends = [
                format_timestamp(ns) if isinstance(ns, int) else "*"
                for ns in (low, high)
            ]
            marks = "[" if low_included else "{", "]" if high_included else "}"
            return f"{marks[0]}{ends[0]} TO {ends[1]}{marks[1]}"
    return str(condition)


def _grouped(node: Node) -> str:
    """A term as part of another: what isn't one word goes into parentheses."""
    return f"({node})" if isinstance(node, And | Or) else str(node)


def all_of(terms: Iterable[Node]) -> Node:
    """All of the terms; one term is itself."""
    flat: list[Node] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, And) else (term,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(terms: Iterable[Node]) -> Node:
    """Any of the one or more terms; one term is itself."""
    flat: list[Node] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, Or) else (term,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat))
