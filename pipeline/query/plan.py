"""A request becomes a plan: one filter, a window, and where a cursor goes on.

Pure: it knows no store. `compile_tree` turns a search text's tree into filters; the
parameters beside the text are filters too, and all of them must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final
from zlib import crc32

import msgspec

from pipeline.errors import QueryError
from pipeline.level import LEVEL_NAMES, Level, parse_level
from pipeline.query.cursor import Cursor, decode_cursor
from pipeline.query.filters import (
    Anywhere,
    Either,
    Every,
    Everything,
    Filter,
    Levels,
    Message,
    Metadata,
    Sources,
    Tag,
    TraceId,
    Without,
)
from pipeline.query.reading import read_filter
from pipeline.query.requests import (
    FieldError,
    QueryRequest,
    SearchRequest,
    StatsRequest,
    TailRequest,
)
from pipeline.query.syntax import METADATA, And, Field, Not, Or, Pair, Text, Typed
from pipeline.query.timerange import resolve_window
from pipeline.query.values import Wanted
from pipeline.timestamp import TIMESTAMP_MAX

Paged = QueryRequest | SearchRequest
Request = QueryRequest | SearchRequest | StatsRequest | TailRequest

_FATAL_LAST: Final = max(LEVEL_NAMES)
_LEVEL_HINT: Final = "levels are " + ", ".join(level.name for level in Level)
_QUESTION: Final = (
    *("q", "sources", "levels", "min_level", "tags", "trace_id"),
    *("since", "until", "timerange", "order"),
)
"""Parameters that may not change from page to page."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, in the store's terms."""

    filter: Filter
    low: int | None = None
    """The first ns that counts."""
    high: int | None = None
    """The first ns that no longer does."""
    mark: int | None = None
    """The newest block to look at; None: whatever there is."""
    after_block: int = 0
    """Only blocks after this one."""


def make_filter(request: Request) -> Filter:
    """Everything that the request demands of an entry but its time."""
    filters = list(_filters(request))
    if not filters:
        return Everything()
    return filters[0] if len(filters) == 1 else Every(filters)


def make_plan(request: QueryRequest | SearchRequest | StatsRequest, now: int) -> Plan:
    """The plan of a first page or of counts; raises FieldError."""
    timerange = None if isinstance(request, QueryRequest) else request.timerange
    low, high = resolve_window(request.since, request.until, timerange, now)
    if high is not None and high > TIMESTAMP_MAX:
        high = None
    return Plan(make_filter(request), low, high)


def resume_plan(request: Paged, cursor: Cursor) -> Plan:
    """The plan of a later page, over what the first one saw."""
    return Plan(make_filter(request), cursor.low, cursor.high, cursor.mark)


def read_cursor(request: Paged) -> Cursor | None:
    """The request's cursor, if it has one; raises FieldError."""
    if request.cursor is None:
        return None
    return decode_cursor(request.cursor, digest(request))


def digest(request: Paged) -> int:
    """A number that tells one question from another."""
    asked = [getattr(request, name, None) for name in _QUESTION]
    return crc32(msgspec.json.encode([type(request).__name__, asked]))


def _filters(request: Request) -> Iterator[Filter]:
    if request.q is not None:
        name = "query" if isinstance(request, SearchRequest) else "q"
        tree = read_filter(name, request.q)
        if tree != And():
            yield compile_tree(tree)
    if request.sources:
        yield Sources(request.sources)
    if request.levels:
        yield Levels([n for level in request.levels for n in _steps("levels", level)])
    if request.min_level is not None:
        lowest = _steps("min_level", request.min_level)[0]
        yield Levels(range(lowest, _FATAL_LAST + 1))
    for tag in request.tags or ():
        yield Tag(tag)
    if request.trace_id is not None:
        yield TraceId(request.trace_id)


def _steps(name: str, level: str | int) -> range:
    """The numbers of a level's name: each name has several on the scale."""
    number = parse_level(level)
    if number is None:
        raise FieldError(name, f"{level!r} is no level", hint=_LEVEL_HINT)
    return range(number, number + 4)


@singledispatch
def compile_tree(tree: Any) -> Filter:
    """The filter of a search text's tree."""
    raise QueryError(f"no condition such as {tree} can be answered yet")


@compile_tree.register
def _(tree: Text) -> Filter:
    return Anywhere(tree.text)


@compile_tree.register
def _(tree: Field) -> Filter:
    condition = tree.condition
    if tree.name == "timestamp" or not isinstance(condition, Text | Typed):
        raise QueryError(f"no condition such as {tree} can be answered yet")
    if tree.name.startswith(METADATA):
        wanted = Wanted(condition.text, typed=isinstance(condition, Typed))
        return Metadata(tree.name[len(METADATA) :], wanted)
    return _FIELDS[tree.name](condition.text)


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


_FIELDS: Final[dict[str, Callable[[str], Filter]]] = {
    "source": lambda name: Sources([name]),
    "level": lambda level: Levels(_steps("level", level)),
    "tag": Tag,
    "trace_id": TraceId,
    "message": Message,
}
