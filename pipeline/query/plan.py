"""A request becomes a plan: one filter, a window, and where a cursor goes on.

Pure: it knows no store. The search text is one filter; the parameters beside it are
filters too, and all of them must hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

from pipeline.level import LEVEL_NAMES, Level
from pipeline.query.compile import LEVEL_STEPS, compile_tree
from pipeline.query.cursor import Cursor, decode_cursor
from pipeline.query.derived import Stages
from pipeline.query.filters import Every, Everything, Filter, Levels, Sources
from pipeline.query.filters_fields import Tag, TraceId
from pipeline.query.filters_stages import Staged
from pipeline.query.levels import asked_level
from pipeline.query.pipes import Query
from pipeline.query.reading import read_entries
from pipeline.query.requests import (
    FieldError,
    QueryRequest,
    SearchRequest,
    StatsRequest,
    TailRequest,
)
from pipeline.query.stages import Where
from pipeline.query.syntax import And
from pipeline.query.timerange import resolve_window
from pipeline.timestamp import TIMESTAMP_MAX

Paged = QueryRequest | SearchRequest
Request = QueryRequest | SearchRequest | StatsRequest | TailRequest

_FATAL_LAST: Final = max(LEVEL_NAMES)
_LEVEL_HINT: Final = "levels are " + ", ".join(level.name for level in Level)
FILTER_NAMES: Final = ("q", "sources", "levels", "min_level", "tags", "trace_id")
"""Parameters that say which entries are meant, whenever they were logged."""

_QUESTION: Final = (
    *FILTER_NAMES,
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
    """The newest commit to look at; None: whatever there is."""
    after_block: int = 0
    """Only commits after this one."""


def make_filter(request: Request) -> Filter:
    """Everything that the request demands of an entry but its time."""
    query = _query(request)
    filters = list(_filters(request, query))
    made: Filter
    if not filters:
        made = Everything()
    else:
        made = filters[0] if len(filters) == 1 else Every(filters)
    if query.stages:
        made.stages = Stages(query.stages)
    if not filters:
        return made
    asked = [_asked(request, name) for name in FILTER_NAMES]
    made.key = blake2b(msgspec.json.encode(asked), digest_size=16).digest()
    return made


def _asked(request: Request, name: str) -> object:
    """A parameter; the text of a search has another name."""
    if name == "q" and isinstance(request, SearchRequest):
        return request.query
    return getattr(request, name, None)


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
    asked = [_asked(request, name) for name in _QUESTION]
    return crc32(msgspec.json.encode([type(request).__name__, asked]))


def _query(request: Request) -> Query:
    """The search text: a filter and stages."""
    if request.q is None:
        return Query(And())
    name = "query" if isinstance(request, SearchRequest) else "q"
    return read_entries(name, request.q)


def _filters(request: Request, query: Query) -> Iterator[Filter]:
    if query.filter != And():
        yield compile_tree(query.filter)
    if any(isinstance(stage, Where) for stage in query.stages):
        yield Staged(query.stages)
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
    number = asked_level(level)
    if number is None:
        raise FieldError(name, f"{level!r} is no level", hint=_LEVEL_HINT)
    return range(number, number + LEVEL_STEPS)
