"""Why nothing matches: each condition alone, and values that may have been meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.batch.distinct import distinct
from pipeline.batch.layout import METADATA_PREFIX, TAGS
from pipeline.level import LEVEL_NAMES, parse_level
from pipeline.query.budget import CostError
from pipeline.query.conditions import (
    Between,
    Compare,
    Exact,
    Prefix,
    Substring,
    Text,
    Typed,
)
from pipeline.query.explanations import (
    ConditionExplained,
    ExplainRequest,
    NearValue,
)
from pipeline.query.filters import Everything
from pipeline.query.levels import asked_level
from pipeline.query.near_numbers import beyond, extremes, nearest_numbers
from pipeline.query.pipes import Query
from pipeline.query.plan import make_plan
from pipeline.query.requests import StatsRequest
from pipeline.query.rows import Renderer
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page
from pipeline.query.stages import Where
from pipeline.query.stats import extent
from pipeline.query.syntax import METADATA, And, Field, Node, Pair
from pipeline.query.values import values_at
from pipeline.query.view import View
from pipeline.query.wording import Asked
from pipeline.timestamp import format_timestamp

_NEAREST: Final = 3
_CUTOFF: Final = 0.6
"""How alike difflib wants two names to be: its own default."""

_BLOCKS: Final = 8
"""The newest blocks whose values are looked at: a misspelt one is there too."""

_VALUES: Final = 5_000
_LONGEST: Final = 64
"""Values of a block, and characters of one, that are compared: it takes a while."""

_LEVEL: Final = re.compile(r"level:[<>=]*\s*\"?([\w-]+)", re.IGNORECASE)


class _Condition(NamedTuple):
    """One of the conditions that must hold together."""

    label: str
    request: StatsRequest
    term: Node | None = None


def why_empty(
    scan: Scan, request: Asked, query: Query | None
) -> list[ConditionExplained]:
    """Each condition alone, within the window of the scan."""
    # of the question itself it is remembered which blocks have nothing
    scan = scan.other(replace(scan.plan, filter=Everything()))
    return [_explain(scan, condition) for condition in _conditions(request, query)]


def misspelt_levels(request: ExplainRequest) -> list[tuple[str, str]]:
    """The levels that are none, each with what asks for it."""
    asked = [("level", name) for name in _LEVEL.findall(request.q or "")]
    asked += [("levels", str(name)) for name in request.levels or ()]
    if request.min_level is not None:
        asked.append(("min_level", str(request.min_level)))
    return [(field, name) for field, name in asked if asked_level(name) is None]


def unknown_levels(
    scan: Scan, misspelt: Sequence[tuple[str, str]], problem: str
) -> list[ConditionExplained]:
    """The levels that are none, with those that may be meant."""
    return [
        ConditionExplained(
            condition=f"{field}:{name}",
            count=0,
            nearest=_near_levels(scan, name),
            hint=problem,
        )
        for field, name in misspelt
    ]


def _conditions(request: Asked, query: Query | None) -> Iterator[_Condition]:
    tree = And() if query is None else query.filter
    for term in tree.terms if isinstance(tree, And) else (tree,):
        yield _Condition(str(term), StatsRequest(q=str(term)), term)
    stages = () if query is None else query.stages
    for at, stage in enumerate(stages):
        if isinstance(stage, Where):
            before = [each for each in stages[:at] if not isinstance(each, Where)]
            text = str(Query(And(), (*before, stage)))
            yield _Condition(text, StatsRequest(q=text))
    for name in request.sources or ():
        term = Field("source", Text(name))
        yield _Condition(f"sources: {name}", StatsRequest(sources=[name]), term)
    if request.levels:
        label, levels = ", ".join(map(str, request.levels)), list(request.levels)
        yield _Condition(f"levels: {label}", StatsRequest(levels=levels))
    if request.min_level is not None:
        label = f"min_level: {request.min_level}"
        yield _Condition(label, StatsRequest(min_level=request.min_level))
    for tag in request.tags or ():
        yield _Condition(
            f"tags: {tag}", StatsRequest(tags=[tag]), Field("tag", Text(tag))
        )
    if request.trace_id is not None:
        label = f"trace_id: {request.trace_id}"
        yield _Condition(label, StatsRequest(trace_id=request.trace_id))


def _explain(scan: Scan, condition: _Condition) -> ConditionExplained:
    nearest: list[NearValue] = []
    hint = None
    try:
        count = _count(scan, condition.request)
        if count == 0 and condition.term is not None:
            nearest, hint = _near(scan, condition.term)
    except CostError as error:
        count, hint = None, error.problem
    return ConditionExplained(
        condition=condition.label, count=count, nearest=nearest, hint=hint
    )


def _count(scan: Scan, request: StatsRequest) -> int:
    wanted = make_plan(request, 0).filter
    alone = scan.other(replace(scan.plan, filter=wanted))
    page = find_page(alone, Wish(1), Renderer(["id"]))
    return page.total or 0


def _near(  # noqa: PLR0911 - one line a kind
    scan: Scan, term: Node
) -> tuple[list[NearValue], str | None]:
    """What may have been meant by a condition that nothing meets."""
    match term:
        case Field("source", Text(text) | Exact(text)):
            return _near_values(scan, "source", text, _names(scan)[0]), None
        case Field("level", Text(text)):
            return _near_levels(scan, text), None
        case Field("level", (Compare() | Between()) as condition):
            return _extreme_levels(scan, condition), None
        case Field("timestamp"):
            return _extreme_times(scan), None
        case Field("tag", Text(text) | Exact(text)):
            return _near_values(scan, "tag", text, _tags(scan)), None
        case Field(name, condition) if name.startswith(METADATA):
            return _near_metadata(scan, name, condition)
        case Pair(key, condition):
            return _near_metadata(scan, METADATA + key, condition)
        case Exact(text):
            return _others(scan, [Text(text), Substring(text)]), None
        case Text(text) | Prefix(text):
            return _others(scan, [Substring(text)]), None
    return [], None


def _near_metadata(
    scan: Scan, name: str, condition: object
) -> tuple[list[NearValue], str | None]:
    key = name[len(METADATA) :]
    values, keys = _metadata(scan, key)
    if values:
        match condition:
            case Compare() | Between():
                return _extreme_numbers(scan, name, condition)
            case Typed() if numbers := nearest_numbers(condition, values):
                return _counted(scan, name, numbers), None
            case Text(text) | Exact(text) | Typed(text):
                return _near_values(scan, name, text, values), None
        return [], None
    near = [METADATA + other for other in _closest(key, keys)]
    hint = f"no entry looked at has {name}"
    return [], f"{hint}; near: {', '.join(near)}" if near else hint


def _extreme_numbers(
    scan: Scan, name: str, condition: Compare | Between
) -> tuple[list[NearValue], str | None]:
    """The greatest number there is, of what none is greater than."""
    least, greatest, count = extremes(scan, name)
    if least is None:
        return [], f"none of the {count:,} values of {name} is a number"
    numbers = beyond(condition, least, greatest)
    return _counted(scan, name, list(map(str, numbers))), None


def _extreme_levels(scan: Scan, condition: Compare | Between) -> list[NearValue]:
    names = sorted(_names(scan)[1], key=lambda name: parse_level(name) or 0)
    if not names:
        return []
    near = beyond(condition, names[0], names[-1])
    return [
        NearValue(name, _count(scan, StatsRequest(q=f"level:{name}"))) for name in near
    ]


def _extreme_times(scan: Scan) -> list[NearValue]:
    """The oldest and the newest entry of the window's blocks."""
    span = extent(scan)
    if span is None:
        return []
    return [NearValue(format_timestamp(ns), None) for ns in dict.fromkeys(span)]


def _counted(scan: Scan, name: str, numbers: Sequence[str]) -> list[NearValue]:
    nodes = [Field(name, Typed(number)) for number in numbers]
    return [
        NearValue(number, _count(scan, StatsRequest(q=str(node))))
        for number, node in zip(numbers, nodes, strict=True)
    ]


def _near_values(
    scan: Scan, field: str, text: str, values: Iterable[str]
) -> list[NearValue]:
    near = [Field(field, Text(value)) for value in _closest(text, values)]
    return [
        NearValue(node.condition.text, _count(scan, StatsRequest(q=str(node))))
        for node in near
        if isinstance(node.condition, Text)
    ]


def _others(scan: Scan, nodes: Sequence[Text | Substring]) -> list[NearValue]:
    """Wider forms of a text, those that anything has."""
    found = [
        NearValue(str(node), _count(scan, StatsRequest(q=str(node)))) for node in nodes
    ]
    return [each for each in found if each.count]


def _near_levels(scan: Scan, text: str) -> list[NearValue]:
    return _near_values(scan, "level", text, _names(scan)[1])


def _names(scan: Scan) -> tuple[set[str], set[str]]:
    """The sources and levels of the window's blocks, from their headers."""
    sources: set[str] = set()
    levels: set[str] = set()
    for header in scan.visit(descending=True):
        counts = scan.maybe_counts(header)
        if counts is not None:
            sources.update(counts.sources)
            levels.update(LEVEL_NAMES[n] for n in distinct(counts.levels).tolist())
    return sources, levels


def _closest(text: str, known: Iterable[str]) -> list[str]:
    """The likeliest first; upper and lower case are alike."""
    spelled = {name.lower(): name for name in known if len(name) <= _LONGEST}
    lower = text[:_LONGEST].lower()
    found = get_close_matches(lower, spelled, _NEAREST, _CUTOFF)
    return [spelled[name] for name in found]


def _opened(scan: Scan) -> Iterator[View]:
    """The newest blocks of the window."""
    for header in islice(scan.visit(descending=True), _BLOCKS):
        view = scan.open(header)
        if view is not None:
            yield view


def _tags(scan: Scan) -> set[str]:
    found: set[str] = set()
    for view in _opened(scan):
        column = view.column(TAGS)
        for tags in column.dictionary if column is not None else ():
            found.update(tags)
    return found


def _metadata(scan: Scan, key: str) -> tuple[Counter[str], set[str]]:
    """Values of the key, and the keys that there are."""
    values: Counter[str] = Counter()
    keys: set[str] = set()
    for view in _opened(scan):
        names = view.batch.names()
        keys.update(
            name[len(METADATA_PREFIX) :]
            for name in names
            if name.startswith(METADATA_PREFIX)
        )
        for name, rest in view.metadata_columns(key):
            column = view.column(name)
            if column is None:
                continue
            some = column.values(np.arange(min(column.count, _VALUES)))
            values.update(map(_shown, _inner(some, rest)))
    return values, keys


def _inner(values: Sequence[Any], rest: str | None) -> Iterator[Any]:
    for value in values:
        if rest is None:
            yield value
        elif isinstance(value, dict):
            yield from values_at(value, rest)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
