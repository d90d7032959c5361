"""`aggregate`: the table that pipes make of the entries that match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.aggregate.aggregation import Bounds
from pipeline.query.aggregate.table import make_table
from pipeline.query.aggregates import AggregateReply, AggregateRequest
from pipeline.query.budget import Budget
from pipeline.query.filtered import plan_of
from pipeline.query.methods.method import Context, mark_plan, read_params, window_of
from pipeline.query.piped import split_pipes
from pipeline.query.scan import Scan

NAME: Final = "aggregate"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> AggregateReply:
    """The table."""
    started = context.clock()
    request, query = split_pipes(read_params(params, AggregateRequest))
    plan = mark_plan(plan_of(request, now), context.headers.refresh())
    scan = Scan(context.headers, plan, budget)
    bounds = Bounds(context.limits.groups, context.limits.rows)
    return AggregateReply(
        table=make_table(scan, query, bounds, context.cells),
        window=window_of(plan),
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )
