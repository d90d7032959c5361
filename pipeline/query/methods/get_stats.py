"""`get_stats`: counts by source, level and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from pipeline.level import Level
from pipeline.query.budget import Budget
from pipeline.query.methods.method import (
    Context,
    mark_plan,
    read_params,
    window_of,
)
from pipeline.query.plan import make_plan
from pipeline.query.replies import Bucket, Group, SourceCount, StatsReply
from pipeline.query.requests import StatsRequest
from pipeline.query.scan import Scan
from pipeline.query.stats import Tally, tally
from pipeline.timestamp import SECOND, format_timestamp

NAME: Final = "get_stats"

TOP_SOURCES: Final = 10
"""Sources in `top_sources`."""


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> StatsReply:
    """The counts."""
    started = context.clock()
    request = read_params(params, StatsRequest)
    plan = make_plan(request, now)
    scan = Scan(context.headers, mark_plan(plan, context.headers.refresh()), budget)
    found = tally(scan, context.cells, request.buckets, request.group_by)
    total = sum(found.sources.values())
    errors = sum(found.source_errors.values())
    return StatsReply(
        total_logs=total,
        by_source=dict(found.sources.most_common()),
        by_level={level.name: found.levels[level.name] for level in Level},
        error_rate=errors / total if total else 0.0,
        top_sources=[
            SourceCount(name, count, found.source_errors[name])
            for name, count in found.sources.most_common(TOP_SOURCES)
        ],
        bucket_seconds=found.buckets.width / SECOND,
        buckets=_buckets(found),
        groups=_groups(found, request.group_by),
        window=window_of(plan),
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _buckets(found: Tally) -> list[Bucket]:
    counts, errors = found.counts.tolist(), found.errors.tolist()
    return [
        Bucket(format_timestamp(found.buckets.start(index)), counts[index], bad)
        for index, bad in enumerate(errors)
    ]


def _groups(found: Tally, group_by: str | None) -> list[Group] | None:
    """The largest first; units of time in their order, without the empty ones."""
    if group_by is None:
        return None
    if group_by == "source":
        ranked = found.sources.most_common()
        return [Group(name, count, found.source_errors[name]) for name, count in ranked]
    if group_by == "level":
        severe = {level.name for level in Level if level >= Level.ERROR}
        return [
            Group(name, count, count if name in severe else 0)
            for name, count in found.levels.most_common()
        ]
    buckets = _buckets(found)
    return [Group(b.start, b.count, b.errors) for b in buckets if b.count]
