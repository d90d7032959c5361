"""A search text's tree in words: what `explain` says is asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from pipeline.query.conditions import (
    Between,
    Bound,
    Compare,
    Condition,
    Exact,
    Exists,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
    quote,
)
from pipeline.query.syntax import METADATA, And, Field, Node, Not, Or, Pair
from pipeline.timestamp import format_timestamp

_OPERATORS: Final = {
    "<": "less than",
    "<=": "at most",
    ">": "more than",
    ">=": "at least",
}
_WHOLE: Final = ("source", "level", "trace_id")
"""Fields whose value is one name, not a text with words in it."""


class Asked(Protocol):
    """A request with the parameters that stand beside a search text."""

    @property
    def sources(self) -> Sequence[str] | None:
        """Any of these."""

    @property
    def levels(self) -> Sequence[str | int] | None:
        """Any of these."""

    @property
    def min_level(self) -> str | int | None:
        """This or a more severe one."""

    @property
    def tags(self) -> Sequence[str] | None:
        """All of these."""

    @property
    def trace_id(self) -> str | None:
        """Exactly this."""


def in_words(node: Node) -> str:  # noqa: PLR0911 - one line a kind
    """The tree as one sentence without its end."""
    match node:
        case And(()):
            return "every entry"
        case And(terms):
            return " and ".join(map(_part, terms))
        case Or(terms):
            return " or ".join(map(_part, terms))
        case Not(term):
            return f"not {_part(term)}"
        case Field(name, condition):
            return _field(name, condition)
        case Pair():
            return _pair(node)
    return f"some text {_text(node)}"


def _part(node: Node) -> str:
    """A term within others: one that has several of its own is set apart."""
    is_several = isinstance(node, And | Or) and len(node.terms) > 1
    return f"({in_words(node)})" if is_several else in_words(node)


def _pair(pair: Pair) -> str:
    named = _field(METADATA + pair.key, pair.condition)
    return named if pair.text is None else f"({named} or {in_words(pair.text)})"


def _field(name: str, condition: Condition) -> str:  # noqa: PLR0911 - as above
    shown = "a tag" if name == "tag" else name
    match condition:
        case Exists():
            return f"{shown} is there"
        case Compare(op, value):
            what = "the level" if name == "level" else shown
            return f"{what} is {_OPERATORS[op]} {_bound(name, value)}"
        case Between():
            return f"{shown} is {_range(name, condition)}"
        case Typed(text):
            return f"{shown} is {text}, or has that word"
        case Text(""):
            return f"{shown} is empty"
        case Text(text) | Exact(text) if name in _WHOLE or name == "tag":
            return f"{shown} is {quote(text)}"
    return f"{shown} {_text(condition)}"


def _text(condition: Condition) -> str:
    """What a text has to have."""
    match condition:
        case Text(text):
            return f"has {_words(text)}"
        case Prefix(text):
            return f"has a word that begins with {quote(text)}"
        case Substring(text):
            return f"has {quote(text)}, also within words"
        case Regex(pattern):
            return f"matches the pattern /{pattern}/"
        case Exact(text):
            return f"has {_words(text)} in exactly this case"
    return str(condition)


def _words(text: str) -> str:
    return f"the {'phrase' if ' ' in text else 'word'} {quote(text)}"


def _range(name: str, between: Between) -> str:
    low, high = between.low, between.high
    ends = []
    if low is not None:
        word = "at least" if between.low_included else "more than"
        ends.append(f"{word} {_bound(name, low)}")
    if high is not None:
        word = "at most" if between.high_included else "less than"
        ends.append(f"{word} {_bound(name, high)}")
    return " and ".join(ends)


def _bound(name: str, value: Bound) -> str:
    if name == "timestamp" and isinstance(value, int):
        return format_timestamp(value)
    return value if isinstance(value, str) else repr(value)


def parameters_in_words(request: Asked) -> list[str]:
    """The parameters beside a search text, each as in_words would say it."""
    said = []
    if request.sources:
        said.append(f"source is {_either(request.sources)}")
    if request.levels:
        said.append(f"level is {_either(map(str, request.levels))}")
    if request.min_level is not None:
        said.append(f"the level is at least {request.min_level}")
    said += [f"a tag is {quote(tag)}" for tag in request.tags or ()]
    if request.trace_id is not None:
        said.append(f"trace_id is {quote(request.trace_id)}")
    return said


def _either(values: Iterable[str]) -> str:
    return " or ".join(map(quote, values))
