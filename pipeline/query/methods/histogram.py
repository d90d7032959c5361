"""`histogram`: entries in each span of time, by the values of a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.aggregate.timeline import Timeline, fixed_buckets
from pipeline.query.budget import Budget
from pipeline.query.filtered import plan_of
from pipeline.query.methods.method import Context, mark_plan, read_params, window_of
from pipeline.query.overviews import HistogramReply, HistogramRequest, HistogramSeries
from pipeline.query.pipes import resolve_field
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.stats import choose_buckets, extent
from pipeline.query.timerange import parse_age
from pipeline.timestamp import SECOND, format_timestamp

NAME: Final = "histogram"

_NARROWEST: Final = 1_000_000
_WIDEST: Final = 366 * 86_400 * SECOND
"""As of the pipe; beyond some centuries the count of a bucket has no 64 bits."""


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> HistogramReply:
    """The counts."""
    started = context.clock()
    request = read_params(params, HistogramRequest)
    plan = mark_plan(plan_of(request, now), context.headers.refresh())
    scan = Scan(context.headers, plan, budget)
    span = extent(scan)
    if request.interval is None:
        grid = choose_buckets(span, request.buckets, None)
    else:
        grid = fixed_buckets(span, read_interval(request.interval))
    by = None if request.by is None else resolve_field(request.by)
    timeline = Timeline(grid, by)
    series = timeline.run(scan, context.cells)
    totals = [int(one.counts.sum()) for one in series]
    return HistogramReply(
        total=timeline.entries,
        interval_seconds=grid.width / SECOND,
        starts=[format_timestamp(grid.start(index)) for index in range(grid.size)],
        series=[
            HistogramSeries(one.value, total, one.counts.tolist())
            for one, total in zip(series, totals, strict=True)
        ],
        window=window_of(plan),
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def read_interval(interval: str | float) -> int:
    """A width in ns; raises FieldError."""
    width = _width(interval)
    if width is None or not _NARROWEST <= width <= _WIDEST:
        shown = f"{interval!r}"[:64]
        problem = f"{shown} is no length of time from 1ms to a year"
        raise FieldError("interval", problem, hint="write 10s, 1m, 2h or seconds")
    return int(width)


def _width(interval: str | float) -> float | None:
    return parse_age(interval) if isinstance(interval, str) else interval * SECOND
