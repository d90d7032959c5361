"""What a value may be asked for: one class a form, each printed as it is written.

The same conditions stand bare (anywhere in an entry's text) or behind a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Operator = Literal["<", "<=", ">", ">="]
Bound = str | int | float
"""What values are compared with: a number with numbers, a text with texts."""

WORD_OPERATORS: Final = frozenset({"AND", "OR", "NOT", "TO"})
"""Words that are operators, in capitals only; `TO` is one inside a range."""

# No slash in front unless another follows within the word: `/a b/` has to stay two
# words. No `=`, `&`, `-`, `!`, `*`, `|` in front: they are, or begin, operators.
_BARE: Final = re.compile(r"(?:[\w.@#$%+]|/[\w.]+/\w)[\w/.@#$%&+,;=\-]*")
_BARE_BOUND: Final = re.compile(r"[A-Za-z_][\w.\-]*")
_TYPED: Final = re.compile(
    r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity", re.ASCII
)
_PAIR: Final = re.compile(r"\\.|/", re.DOTALL)
_SURE: Final = re.compile(r"[*+?\[\](){}|^$\\]")


def looks_typed(value: str) -> bool:
    """Whether an unquoted value is a number, a boolean or null, and not only text."""
    return _TYPED.fullmatch(value) is not None


def is_surely_pattern(inside: str) -> bool:
    """Whether what stands between two slashes can't be meant as a path."""
    edges = inside[:1] + inside[-1:]
    return _SURE.search(inside) is not None and edges.strip() == edges


def quote(text: str) -> str:
    """The text between quotes, with `"` and `\\` escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def word(text: str) -> str:
    """The text as it has to be written to be found: bare, or quoted."""
    bare = _BARE.fullmatch(text) is not None and text not in WORD_OPERATORS
    return text if bare else quote(text)


@dataclass(frozen=True, slots=True)
class Text:
    """A word or phrase: whole tokens, A-Z and a-z alike."""

    text: str

    def __str__(self) -> str:
        return word(self.text)

    @property
    def as_value(self) -> str:
        """The form behind a colon, where a bare number would be more than text."""
        return quote(self.text) if looks_typed(self.text) else word(self.text)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning (not empty) of a word, or a phrase with an open end."""

    text: str

    def __str__(self) -> str:
        return f"{word(self.text)}*"


@dataclass(frozen=True, slots=True)
class Substring:
    """A text (not empty) whatever stands beside it; A-Z and a-z alike."""

    text: str

    def __str__(self) -> str:
        return f"*{word(self.text)}*"


@dataclass(frozen=True, slots=True)
class Regex:
    """An RE2 pattern, found anywhere in a value; the case counts unless `(?i)`.

    `/api/` could be a path as well, so a pattern without any sign of one is kept,
    and written, as `(?:api)`.
    """

    pattern: str

    def __post_init__(self) -> None:
        pattern = _PAIR.sub(_bare_slash, self.pattern)
        if not is_surely_pattern(pattern):
            pattern = f"(?:{pattern})"
        object.__setattr__(self, "pattern", pattern)

    def __str__(self) -> str:
        return f"/{_PAIR.sub(_escaped_slash, self.pattern)}/"


@dataclass(frozen=True, slots=True)
class Exact:
    """A word or phrase (not empty): whole tokens, in the case as written."""

    text: str

    def __str__(self) -> str:
        return f"={quote(self.text)}"


@dataclass(frozen=True, slots=True)
class Typed:
    """An unquoted number, true, false or null: that value, or the same as text."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Compare:
    """A number less or greater than a number, or a text before or after a text."""

    op: Operator
    value: Bound

    def __str__(self) -> str:
        return f"{self.op}{bound(self.value)}"


@dataclass(frozen=True, slots=True)
class Between:
    """From low to high; None is no limit there (on one side at most)."""

    low: Bound | None
    high: Bound | None
    low_included: bool = True
    high_included: bool = True

    def __str__(self) -> str:
        left = "[" if self.low_included else "{"
        right = "]" if self.high_included else "}"
        return f"{left}{bound(self.low)} TO {bound(self.high)}{right}"


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, with any value but null."""

    def __str__(self) -> str:
        return "*"


Anywhere = Text | Prefix | Substring | Regex | Exact
"""Conditions that may stand without a field."""

Condition = Anywhere | Typed | Compare | Between | Exists


def bound(value: Bound | None) -> str:
    """One end of a range as text."""
    if value is None:
        return "*"
    if isinstance(value, str):
        bare = _BARE_BOUND.fullmatch(value) is not None and not looks_typed(value)
        return value if bare and value not in WORD_OPERATORS else quote(value)
    return repr(value).replace("inf", "Infinity")


def _bare_slash(found: re.Match[str]) -> str:
    pair = found.group()
    return "/" if pair == "\\/" else pair


def _escaped_slash(found: re.Match[str]) -> str:
    pair = found.group()
    return "\\/" if pair == "/" else pair
