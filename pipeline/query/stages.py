"""Pipes before all others: what they read out of texts, and which entries they keep.

`str()` of a stage is a text that means it. What a stage reads is metadata for those
behind it, and is put in the place of metadata of that name that an entry has itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.query.conditions import quote
from pipeline.query.pipe_names import name_text, names_text, resolve_field
from pipeline.query.syntax import METADATA, And, Field, Node, Not, Or, Pair

MESSAGE: Final = "message"
SKIPPED: Final = "_"
"""The name of a placeholder whose text isn't wanted."""

_PLACEHOLDER: Final = re.compile(r"<([^<>]*)>")
_ESCAPES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def _from(field: str) -> str:
    return "" if field == MESSAGE else f" from {name_text(field)}"


@dataclass(frozen=True, slots=True)
class _Fields:
    """A text that names its fields itself."""

    field: str = MESSAGE
    """What the text is the value of."""
    names: tuple[str, ...] = ()
    """Only these of its fields; without, all."""
    prefix: str = ""
    """Before each name."""

    def _text(self, word: str) -> str:
        names = f" fields ({names_text(self.names)})" if self.names else ""
        prefix = f" prefix {quote(self.prefix)}" if self.prefix else ""
        return f"{word}{_from(self.field)}{names}{prefix}"


@dataclass(frozen=True, slots=True)
class Json(_Fields):
    """The members of the JSON object that a text is."""

    def __str__(self) -> str:
        return self._text("json")


@dataclass(frozen=True, slots=True)
class Logfmt(_Fields):
    """The key=value pairs of a text."""

    def __str__(self) -> str:
        return self._text("logfmt")


@dataclass(frozen=True, slots=True)
class Extract:
    """What stands in the places of a pattern's names, as in `<ip> - <user>`."""

    pattern: str
    field: str = MESSAGE

    def __str__(self) -> str:
        return f"extract {quote(self.pattern)}{_from(self.field)}"

    @property
    def parts(self) -> list[str]:
        """Literal text and name in turn, the first and the last a text."""
        parts = _PLACEHOLDER.split(self.pattern)
        return [
            part if place % 2 else _unescape(part) for place, part in enumerate(parts)
        ]


@dataclass(frozen=True, slots=True)
class Where:
    """Only entries that match."""

    condition: Node

    def __str__(self) -> str:
        return f"filter {str(self.condition) or '*'}"


Extraction = Json | Logfmt | Extract
Stage = Extraction | Where


def _unescape(literal: str) -> str:
    for escape, character in _ESCAPES:
        literal = literal.replace(escape, character)
    return literal


def metadata_keys(names: Iterable[str]) -> set[str]:
    """Keys of metadata, whole or the first of paths, that these fields may be under."""
    found: set[str] = set()
    for name in names:
        field = resolve_field(name)
        if field.startswith(METADATA):
            key = field[len(METADATA) :]
            found.add(key)
            found.update(key[:at] for at, letter in enumerate(key) if letter == ".")
    return found


def asked_fields(tree: Node) -> set[str] | None:
    """The fields that a condition asks for; None where it asks any text."""
    found: set[str] = set()
    for leaf in _leaves(tree):
        if not isinstance(leaf, Field):
            return None
        found.add(leaf.name)
    return found


def _leaves(tree: Node) -> Iterator[Node]:
    match tree:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _leaves(term)
        case Not(term):
            yield from _leaves(term)
        case Pair() if tree.text is None:
            yield tree.field
        case _:
            yield tree
