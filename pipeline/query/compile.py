"""A search text's tree becomes a filter: each condition as a matcher on its field."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import singledispatch
from typing import Any, Final

from pipeline.errors import QueryError
from pipeline.level import Level
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
)
from pipeline.query.conditions import Typed as TypedText
from pipeline.query.filters import (
    Either,
    Every,
    Everything,
    Filter,
    Levels,
    Sources,
    Times,
    Without,
)
from pipeline.query.filters_fields import Metadata, Tag, TraceId
from pipeline.query.filters_text import Anywhere, Message
from pipeline.query.levels import asked_level
from pipeline.query.matchers import (
    Anything,
    Bounds,
    Empty,
    Expression,
    Matcher,
    Start,
    Tokens,
    Typed,
    Whole,
)
from pipeline.query.numbers import Range
from pipeline.query.syntax import METADATA, And, Field, Not, Or, Pair
from pipeline.query.text import Needle

LEVEL_STEPS: Final = 4
"""Numbers of each level's name on the scale."""

_NUMBERS_MAX: Final = 256
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@singledispatch
def compile_tree(tree: Any) -> Filter:
    """The filter of a search text's tree; raises QueryError."""
    return Anywhere(text_matcher(tree))


@compile_tree.register
def _(tree: Field) -> Filter:
    return compile_field(tree.name, tree.condition)


@compile_tree.register
def _(tree: Pair) -> Filter:
    meant = [compile_tree(tree.field)]
    if tree.text is not None:
        meant.append(compile_tree(tree.text))
    return Either(meant)


@compile_tree.register
def _(tree: Not) -> Filter:
    return Without(compile_tree(tree.term))


@compile_tree.register
def _(tree: And) -> Filter:
    return Every(list(map(compile_tree, tree.terms))) if tree.terms else Everything()


@compile_tree.register
def _(tree: Or) -> Filter:
    return Either(list(map(compile_tree, tree.terms)))


def compile_field(name: str, condition: Condition) -> Filter:
    """The filter of a condition on a field."""
    if name.startswith(METADATA):
        return Metadata(name[len(METADATA) :], text_matcher(condition))
    if isinstance(condition, Exists) and name in _ALWAYS_THERE:
        return Everything()
    return _FIELDS[name](condition)


def text_matcher(condition: Condition) -> Matcher:  # noqa: PLR0911 - one line a kind
    """What a text, or a value of metadata, has to be."""
    match condition:
        case Text(""):
            return Empty()
        case Text(text):
            return Tokens(Needle(text))
        case Prefix(text):
            return Tokens(Needle(text, right=False))
        case Substring(text):
            return Tokens(Needle(text, left=False, right=False))
        case Exact(text):
            return Tokens(Needle(text, exact=True))
        case TypedText(text):
            return Typed(text)
        case Regex(pattern):
            return Expression(pattern)
        case Compare() | Between():
            return Bounds(range_of(condition))
        case Exists():
            return Anything()
    raise TypeError(f"{condition!r} is no condition")


def name_matcher(condition: Condition) -> Matcher:
    """What a name has to be: the whole of it counts, and not its tokens."""
    match condition:
        case Text(text) | Exact(text) | TypedText(text):
            return Whole(text)
        case Prefix(text):
            return Start(text)
    return text_matcher(condition)


def range_of(condition: Compare | Between) -> Range:
    """The bounds; texts as their UTF-8."""
    if isinstance(condition, Between):
        low, high = _encoded(condition.low), _encoded(condition.high)
        return Range(low, high, condition.low_included, condition.high_included)
    value, included = _encoded(condition.value), condition.op.endswith("=")
    if condition.op.startswith("<"):
        return Range(None, value, high_included=included)
    return Range(value, None, low_included=included)


def _encoded(value: Bound | None) -> Bound | bytes | None:
    return value.encode() if isinstance(value, str) else value


def _source(condition: Condition) -> Filter:
    matcher = name_matcher(condition)
    return Sources((), lambda name: matcher.in_text(name.encode()))


def _trace_id(condition: Condition) -> Filter:
    if isinstance(condition, Text | Exact):
        return TraceId(condition.text)
    return TraceId(name_matcher(condition))


def _levels(condition: Condition) -> Filter:
    match condition:
        case Compare(op, value):
            return Levels(_compared(op, value))
        case Between(low, high, low_included, high_included):
            chosen = set(range(_NUMBERS_MAX))
            if low is not None:
                chosen &= set(_compared(">=" if low_included else ">", low))
            if high is not None:
                chosen &= set(_compared("<=" if high_included else "<", high))
            return Levels(sorted(chosen))
        case Text(text) | Exact(text) | TypedText(text):
            return Levels(_compared("==", text))
    raise QueryError(f"level:{condition} can't be answered: a level is one of six")


def _compared(op: str, value: Bound) -> list[int]:
    """The numbers of the scale whose level's name compares so."""
    number = asked_level(value)
    if number is None:
        names = ", ".join(level.name for level in Level)
        raise QueryError(f"{value!r} is no level", hint=f"levels are {names}")
    compare = _COMPARE[op]
    wanted = (number - 1) // LEVEL_STEPS
    numbers = range(1, _NUMBERS_MAX)
    return [n for n in numbers if compare((n - 1) // LEVEL_STEPS, wanted)]


def _times(condition: Condition) -> Filter:
    if isinstance(condition, Compare | Between):
        return Times(range_of(condition))
    raise QueryError(f"timestamp:{condition} can't be answered: compare it")


_ALWAYS_THERE: Final = frozenset({"source", "level", "message", "timestamp"})
_FIELDS: Final[dict[str, Callable[[Condition], Filter]]] = {
    "source": _source,
    "level": _levels,
    "tag": lambda condition: Tag(name_matcher(condition)),
    "trace_id": _trace_id,
    "message": lambda condition: Message(text_matcher(condition)),
    "timestamp": _times,
}
