"""One condition of a search text: what stands bare, or behind a field's colon.

`read_bare` and `read_value` take it from the lexer; `apply_field` says what it means
for the field, or why it can't be asked there.
"""

from __future__ import annotations

import math
import re
from typing import Final

from pipeline.errors import EntryError, QueryError
from pipeline.level import Level
from pipeline.query.conditions import (
    Anywhere,
    Between,
    Bound,
    Compare,
    Condition,
    Exact,
    Exists,
    Operator,
    Prefix,
    Substring,
    Text,
    Typed,
    looks_typed,
    quote,
)
from pipeline.query.levels import asked_level
from pipeline.query.lexer import QUOTE_IT, Lexer
from pipeline.query.suggest import nearest
from pipeline.query.syntax import FIELDS, METADATA, Field, Node, Pair
from pipeline.timestamp import parse_timestamp

PIPE_NAMES: Final = (
    *("stats", "histogram", "top", "patterns", "uniq"),
    *("fields", "sort", "limit"),
    *("json", "logfmt", "extract", "filter"),
)

_NAMES: Final = frozenset({"source", "tag", "trace_id"})
"""Fields whose values are compared as a whole, in their case, so `=` says nothing."""

_TEXTS: Final = _NAMES | {"message", "level", "timestamp"}
"""Fields in which an unquoted number is text."""

_NUMBER: Final = re.compile(r"-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Infinity)", re.ASCII)
_WORD_BOUND: Final = re.compile(r"[^\W\d][\w.\-]*")
_END: Final = re.compile(r'[^\s"\[\]{}()]*')
_STARRED: Final = re.compile(r"[\w*]+")
_PIPE_INSIDE: Final = re.compile(rf"\|(?:{'|'.join(PIPE_NAMES)})\b|\|\Z")
_NUMBER_CHARACTERS: Final = 64
_LEVELS: Final = tuple(level.name for level in Level)
_OPERATORS: Final[tuple[Operator, ...]] = ("<=", ">=", "<", ">")
_CLOSING: Final = {"[": "]", "{": "}", "<": ">"}
_FOREIGN: Final = {"=": "{}:{}", "!": "-{}:{}", "~": "{}:/{}/"}
"""Operators of other languages, and how they are written here."""
_MOMENT_HINT: Final = (
    "write timestamp:>=2026-11-22T10:00:00Z; ages such as 1h go into since and until"
)


def read_bare(lexer: Lexer) -> Anywhere:
    """A condition on an entry's whole text."""
    start = lexer.at
    marked = _read_marked(lexer)
    if marked is not None:
        return marked
    word = lexer.word()
    if word == "&&":
        raise QueryError("'&&' is no operator", start, f"write AND; {QUOTE_IT}")
    if word == "*":
        raise QueryError(
            "'*' alone is everything, beside which nothing can stand",
            start,
            f"leave it out; {QUOTE_IT}",
        )
    return _of_word(word, start)


def read_value(lexer: Lexer, name: str) -> Condition:
    """A condition on the field's values; the colon is taken, and something is there."""
    if lexer.take('""'):
        _check_ended(lexer)
        return Text("")
    return _read_marked(lexer) or _read_unmarked(lexer, name)


def _read_unmarked(lexer: Lexer, name: str) -> Condition:
    start = lexer.at
    word = lexer.peek_word()
    # [a,b], {x:1} and <nil> are pasted: a range has spaces inside
    bracketed = word[-1] == _CLOSING.get(word[0])
    if not bracketed and word[0] in "<>":
        return _read_compared(lexer, name)
    if not bracketed and word[0] in "[{":
        return _read_range(lexer, name)
    if word[0] in _FOREIGN:
        raise _foreign(word, name, start)
    lexer.word()
    if word == "*":
        return Exists()
    typed = looks_typed(word) and name not in _TEXTS
    return Typed(word) if typed else _of_word(word, start)


def apply_field(name: str, condition: Condition, start: int) -> Node:
    """The condition as one on the field; raises QueryError where it has no sense."""
    if name == "level":
        condition = _leveled(condition, start)
    elif name == "timestamp":
        condition = _dated(condition, start)
    elif name in _NAMES and isinstance(condition, Exact):
        condition = Text(condition.text)
    if isinstance(condition, Between):
        _check_range(name, condition, start)
    if name in FIELDS or name.startswith(METADATA):
        return Field(name, condition)
    return Pair(name, condition)


def _read_marked(lexer: Lexer) -> Anywhere | None:
    """What begins with a quote, with a star or `=` before one, or with a slash."""
    start = lexer.at
    if lexer.peek() == '"':
        text = _filled(lexer)
        if not lexer.take("*"):
            return Text(text)
        _check_ended(lexer)
        return Prefix(text)
    if lexer.peek(2) == '="':
        lexer.at += 1
        return Exact(_filled(lexer))
    if lexer.peek(2) == '*"':
        lexer.at += 1
        text = _filled(lexer)
        if not lexer.take("*"):
            raise _only_suffix(quote(text), start)
        _check_ended(lexer)
        return Substring(text)
    return lexer.pattern() if lexer.peek() == "/" else None


def _filled(lexer: Lexer) -> str:
    """Take a quoted text that isn't empty."""
    start = lexer.at
    text = lexer.quoted()
    if not text:
        raise QueryError("there is nothing between these quotes", start)
    return text


def _check_ended(lexer: Lexer) -> None:
    if not lexer.is_border():
        raise QueryError(
            "this has to end here", lexer.at, f"put a space behind; {QUOTE_IT}"
        )


def _of_word(word: str, start: int) -> Text | Prefix | Substring:
    """A word as it stands, or with its stars."""
    pipe = _PIPE_INSIDE.search(word)
    if pipe is not None:
        raise QueryError(
            "a pipe needs a space before its '|'", start + pipe.start(), QUOTE_IT
        )
    if "*" not in word:
        return Text(word)
    inside = word.removesuffix("*").removeprefix("*")
    if not inside or "*" in inside:
        pattern = ".*".join(filter(None, inside.split("*")))
        meant = f"write /{pattern}/; " if _STARRED.fullmatch(word) and pattern else ""
        raise QueryError(
            "a star stands only at the end of a word, or at both ends",
            start,
            meant + QUOTE_IT,
        )
    if word[-1] != "*":
        raise _only_suffix(inside, start)
    return Substring(inside) if word[0] == "*" else Prefix(inside)


def _only_suffix(text: str, start: int) -> QueryError:
    return QueryError(
        "a word can't be asked for by its end alone",
        start,
        f"write *{text}* for these characters anywhere",
    )


def _foreign(word: str, name: str, start: int) -> QueryError:
    """What `=x`, `!x` and `~x`, as other languages write them, are here."""
    value = word.lstrip("=!~") or "x"
    meant = _FOREIGN[word[0]].format(name, value)
    return QueryError(
        f"{word[0]!r} is no operator behind a colon",
        start,
        f"write {meant}; {QUOTE_IT}",
    )


def _read_compared(lexer: Lexer, name: str) -> Compare:
    op = next(op for op in _OPERATORS if lexer.take(op))
    if lexer.is_border():
        raise QueryError(
            f"{name}:{op} needs a value right after it",
            lexer.at,
            f"write {name}:{op}10; {QUOTE_IT}",
        )
    value = _read_bound(lexer, name, op)
    _check_ended(lexer)
    return Compare(op, value)


def _read_range(lexer: Lexer, name: str) -> Between:
    low_included = lexer.peek() == "["
    lexer.at += 1
    lexer.skip_space()
    low = None if lexer.take("*") else _read_bound(lexer, name, "")
    lexer.skip_space()
    if not lexer.take_operator("TO"):
        raise QueryError(
            "a range needs TO between its ends",
            lexer.at,
            f"write {name}:[1 TO 5]; {QUOTE_IT}",
        )
    high = None if lexer.take("*") else _read_bound(lexer, name, "")
    lexer.skip_space()
    high_included = lexer.take("]")
    if not high_included and not lexer.take("}"):
        raise QueryError("a range ends with ] or }", lexer.at, QUOTE_IT)
    _check_ended(lexer)
    return Between(low, high, low_included, high_included)


def _read_bound(lexer: Lexer, name: str, op: str) -> Bound:
    """A number or text to compare with."""
    start = lexer.at
    if lexer.peek() == '"':
        return lexer.quoted()
    found = _END.match(lexer.text, start)
    raw = found.group() if found else ""
    if not raw:
        raise QueryError("a value is missing here", start, QUOTE_IT)
    lexer.at += len(raw)
    if name in _TEXTS:
        return raw
    if _NUMBER.fullmatch(raw):
        return _number(raw, start)
    if looks_typed(raw):
        raise QueryError(
            f"nothing is less or greater than {raw}",
            start,
            f"write {name}:{raw} for the value itself, or quotes to compare as text",
        )
    if not _WORD_BOUND.fullmatch(raw):
        raise QueryError(
            f"{raw[:64]!r} is no number",
            start,
            "numbers have no units here; quotes compare as text: "
            f"{name}:{op}{quote(raw[:64])}",
        )
    return raw


def _number(raw: str, start: int) -> int | float:
    if raw.endswith("Infinity"):
        return float(raw)
    if len(raw) > _NUMBER_CHARACTERS:
        raise QueryError("no number that is stored is as long", start)
    if raw.removeprefix("-").isdigit():
        return int(raw)
    number = float(raw)
    if math.isinf(number):
        raise QueryError("no number that is stored is as large", start)
    return number


def _leveled(condition: Condition, start: int) -> Condition:
    """A condition on levels, each of which is one."""
    match condition:
        case Exact(text) | Text(text):
            names: tuple[Bound | None, ...] = (text,)
            condition = Text(text)
        case Compare(_, value):
            names = (value,)
        case Between(low, high):
            names = (low, high)
        case Exists():
            names = ()
        case _:
            raise QueryError(
                "levels are asked for by their whole names",
                start,
                f"levels are {', '.join(_LEVELS)}; level:>=WARN compares",
            )
    for name in names:
        if name is not None and asked_level(name) is None:
            near = nearest(str(name), _LEVELS)
            meant = f"{near}? " if near else ""
            raise QueryError(
                f"{str(name)[:64]!r} is no level",
                start,
                f"{meant}levels are {', '.join(_LEVELS)}",
            )
    return condition


def _dated(condition: Condition, start: int) -> Condition:
    """A condition on moments, with ns since 1970 as its bounds."""
    match condition:
        case Compare(op, value):
            return Compare(op, _moment(value, start))
        case Between(low, high, low_included, high_included):
            first, last = _moment_or_none(low, start), _moment_or_none(high, start)
            return Between(first, last, low_included, high_included)
        case Exists():
            return condition
    raise QueryError("a timestamp can only be compared", start, _MOMENT_HINT)


def _moment_or_none(value: Bound | None, start: int) -> int | None:
    return None if value is None else _moment(value, start)


def _moment(value: Bound, start: int) -> int:
    try:
        return parse_timestamp(value, 0)
    except EntryError:
        problem = f"{str(value)[:64]!r} is no ISO 8601 time"
        raise QueryError(problem, start, _MOMENT_HINT) from None


def _check_range(name: str, between: Between, start: int) -> None:
    low, high = between.low, between.high
    if low is None and high is None:
        raise QueryError(
            "a range needs an end on one side", start, f"write {name}:* for any value"
        )
    if low is None or high is None:
        return
    if name == "level":
        low, high = asked_level(low) or 0, asked_level(high) or 0
    if isinstance(low, str) != isinstance(high, str):
        raise QueryError(
            "a range can't be from a number to a text",
            start,
            "both in quotes are texts",
        )
    # both are numbers or both texts, which no type says
    if low > high:  # type: ignore[operator]
        raise QueryError("this range begins after its end", start, "exchange the two")
