"""The tree that a search text stands for; `str()` of a tree is a text that means it.

Trees are immutable. Build `And` and `Or` with `all_of` and `any_of`, which flatten, so
that each meaning has one form and `parse(str(tree)) == tree`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FIELDS: Final = ("source", "level", "tag", "trace_id", "message")
"""Fields that take `field:value`; metadata's are `metadata.<key>`."""

METADATA: Final = "metadata."

OPERATORS: Final = frozenset({"AND", "OR", "NOT"})
"""Words that are operators, in capitals only."""

_BARE: Final = re.compile(r"[\w/.@#$%&+,;=][\w/.@#$%&+,;=\-]*")
_BARE_KEY: Final = re.compile(r"\w[\w.\-]*")
_TYPED: Final = re.compile(
    r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity", re.ASCII
)


def looks_typed(value: str) -> bool:
    """Whether an unquoted value is a number, a boolean or null, and not only text."""
    return _TYPED.fullmatch(value) is not None


def quote(text: str) -> str:
    """The text between quotes, with `"` and `\\` escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(text: str) -> str:
    bare = _BARE.fullmatch(text) is not None and text not in OPERATORS
    return text if bare else quote(text)


def _value(value: str, typed: bool) -> str:
    if typed:
        return value
    return quote(value) if looks_typed(value) or value[:1] == "=" else _word(value)


@dataclass(frozen=True, slots=True)
class Text:
    """A word or phrase, anywhere in an entry's text."""

    text: str

    def __str__(self) -> str:
        return _word(self.text)


@dataclass(frozen=True, slots=True)
class Field:
    """A value in one field: one of FIELDS or `metadata.<key>`.

    `typed` values of metadata also match the number, boolean or null that they name.
    """

    name: str
    value: str
    typed: bool = False

    def __str__(self) -> str:
        name = self.name
        if name.startswith(METADATA):
            key = name[len(METADATA) :]
            name = METADATA + (key if _BARE_KEY.fullmatch(key) else quote(key))
        return f"{name}:{_value(self.value, self.typed)}"


@dataclass(frozen=True, slots=True)
class Pair:
    """`key:value` with a key that is no field: that metadata, or just that text.

    It means the same whatever keys the store knows, so that neither a new key nor
    the next page can change what a search finds.
    """

    key: str
    value: str
    typed: bool = False

    def __str__(self) -> str:
        return f"{self.key}:{_value(self.value, self.typed)}"

    @property
    def field(self) -> Field:
        """The metadata that may be meant."""
        return Field(METADATA + self.key, self.value, self.typed)

    @property
    def text(self) -> Text:
        """The text that may be meant."""
        return Text(f"{self.key}:{self.value}")


@dataclass(frozen=True, slots=True)
class Not:
    """What the term doesn't match."""

    term: Node

    def __str__(self) -> str:
        inside = _grouped(self.term)
        # two dashes in a row are an option's, such as --verbose, and refused
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


Node = Text | Field | Pair | Not | And | Or


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
