"""`facets`: the most frequent values of every field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.aggregate.facets import Facets
from pipeline.query.budget import Budget
from pipeline.query.filtered import plan_of
from pipeline.query.methods.method import Context, mark_plan, read_params, window_of
from pipeline.query.overviews import Facet, FacetsReply, FacetsRequest, FacetValue
from pipeline.query.scan import Scan

NAME: Final = "facets"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> FacetsReply:
    """The fields."""
    started = context.clock()
    request = read_params(params, FacetsRequest)
    plan = mark_plan(plan_of(request, now), context.headers.refresh())
    scan = Scan(context.headers, plan, budget)
    found = Facets()
    found.run(scan)
    return FacetsReply(
        total=found.total,
        facets=[
            Facet(
                one.field,
                one.entries,
                one.distinct,
                [FacetValue(value, count) for value, count in one.values],
            )
            for one in found.fields(scan, request.limit)
        ],
        truncated=found.truncated,
        window=window_of(plan),
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )
