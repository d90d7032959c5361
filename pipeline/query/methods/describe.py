"""`describe`: what is stored, from headers and directories, and a sample of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.aggregate.facets import Facets, Values
from pipeline.query.aggregate.inventory import FieldCount, FieldSeen, SourceCount
from pipeline.query.budget import Budget
from pipeline.query.descriptions import (
    FIELDS_MAX,
    SOURCES_MAX,
    BlocksOfState,
    DescribedBlocks,
    DescribedField,
    DescribedSource,
    DescribeReply,
    DescribeRequest,
)
from pipeline.query.filters import Everything
from pipeline.query.methods.method import Context, read_params
from pipeline.query.overviews import FacetValue
from pipeline.query.plan import Plan
from pipeline.query.scan import Scan
from pipeline.store.reader import Header
from pipeline.store.schema import COMPACTED
from pipeline.timestamp import format_timestamp

NAME: Final = "describe"

SAMPLE_ROWS: Final = 65_536
SAMPLE_BLOCKS: Final = 100
"""The newest blocks whose values are counted: so many, or until they have the rows.
Small fresh ones take 1 ms each: 2,000 of 100 rows took 0.9 s without that bound."""

_FIRST: Final = ("level", "source", "tag", "trace_id")


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> DescribeReply:
    """All of it."""
    del now
    started = context.clock()
    request = read_params(params, DescribeRequest)
    newest = context.headers.refresh()
    scan = Scan(context.headers, Plan(Everything(), mark=newest), budget)
    headers = scan.visit(descending=True)
    sources = SourceCount()
    sources.run(scan, headers)
    fields = FieldCount(scan)
    fields.run(headers)
    facets = _sample(scan, headers) if request.values else Facets()
    values = {one.field: one for one in facets.fields(scan, request.values)}
    described = _fields(fields.fields, values)
    entries = sum(header.rows for header in headers)
    size = sum(header.size for header in headers)
    return DescribeReply(
        entries=entries,
        bytes=size,
        bytes_per_entry=round(size / entries, 2) if entries else None,
        oldest=_time([header.minimum for header in headers], min),
        newest=_time([header.maximum for header in headers], max),
        newest_commit=newest,
        blocks=DescribedBlocks(
            fresh=_blocks([header for header in headers if header.id < COMPACTED]),
            compacted=_blocks([header for header in headers if header.id >= COMPACTED]),
        ),
        levels=dict(sources.levels.most_common()),
        sources=_sources(sources),
        sources_total=len(sources.sources),
        fields=described[:FIELDS_MAX],
        fields_total=len(described),
        uncounted=fields.uncounted,
        sampled=facets.total < entries,
        sample_entries=facets.total,
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _sample(scan: Scan, headers: Sequence[Header]) -> Facets:
    """The values of the newest blocks."""
    chosen, rows = [], 0
    for header in headers[:SAMPLE_BLOCKS]:
        if rows >= SAMPLE_ROWS:
            break
        chosen.append(header)
        rows += header.rows
    facets = Facets()
    facets.look(scan, chosen)
    return facets


def _fields(
    seen: Mapping[str, FieldSeen], values: Mapping[str, Values]
) -> list[DescribedField]:
    """Those of the directories, and those that only the sample has: rare keys."""
    found = [
        DescribedField(
            field=name,
            kinds=sorted(one.kinds),
            count=one.count,
            distinct=sample.distinct if (sample := values.get(name)) else None,
            values=_values(sample),
        )
        for name, one in seen.items()
    ]
    found += [
        DescribedField(
            field=name,
            kinds=["mixed"],
            count=sample.entries,
            distinct=sample.distinct,
            values=_values(sample),
        )
        for name, sample in values.items()
        if name not in seen
    ]
    known = {name: place for place, name in enumerate(_FIRST)}
    found.sort(key=lambda one: (known.get(one.field, 9), -one.count, one.field))
    return found


def _values(sample: Values | None) -> list[FacetValue]:
    return [FacetValue(*pair) for pair in sample.values] if sample else []


def _sources(counted: SourceCount) -> list[DescribedSource]:
    ranked = sorted(counted.sources.items(), key=lambda one: (-one[1].count, one[0]))
    return [
        DescribedSource(
            source=name,
            count=seen.count,
            first=format_timestamp(seen.first),
            last=format_timestamp(seen.last),
        )
        for name, seen in ranked[:SOURCES_MAX]
    ]


def _blocks(headers: Sequence[Header]) -> BlocksOfState:
    return BlocksOfState(
        blocks=len(headers),
        entries=sum(header.rows for header in headers),
        bytes=sum(header.size for header in headers),
    )


def _time(times: list[int], choose: Callable[[list[int]], int]) -> str | None:
    return format_timestamp(choose(times)) if times else None
