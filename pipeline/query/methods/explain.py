"""`explain`: how a question is understood, what answering it takes, why it is empty."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pipeline.query.budget import Budget, CostError
from pipeline.query.explanations import ExplainReply, ExplainRequest
from pipeline.query.filtered import plan_of
from pipeline.query.methods.explained import explain_run, run_of
from pipeline.query.methods.method import (
    REPLY_BYTES,
    Context,
    mark_plan,
    read_params,
)
from pipeline.query.reading import read_entries
from pipeline.query.requests import FieldError
from pipeline.query.rows import Renderer
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page
from pipeline.query.why import misspelt_levels, unknown_levels, why_empty

NAME: Final = "explain"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> ExplainReply:
    """What the question does: it is answered, and its entries are thrown away."""
    started = context.clock()
    request = read_params(params, ExplainRequest)
    newest = context.headers.refresh()
    window = ExplainRequest(
        since=request.since, until=request.until, timerange=request.timerange
    )
    scan = Scan(context.headers, mark_plan(plan_of(window, now), newest), budget)
    query = None
    try:
        with budget.step("plan"):
            query = None if request.q is None else read_entries("q", request.q)
            plan = mark_plan(plan_of(request, now), newest)
    except FieldError as error:
        # a misspelt level is refused by all other methods
        misspelt = misspelt_levels(request)
        if not misspelt:
            raise
        levels = partial(unknown_levels, scan, misspelt, error.problem)
        run = run_of(context, scan, started)
        text = request.q if query is None else query
        return explain_run(context, run, started, request, text, 0, None, levels)
    plan.filter.key = None  # what is remembered would explain nothing
    scan = Scan(context.headers, plan, budget)
    matched, stopped = _run(context, scan, request)
    run = run_of(context, scan, started)
    why = partial(why_empty, scan, request, query)
    return explain_run(context, run, started, request, query, matched, stopped, why)


def _run(
    context: Context, scan: Scan, request: ExplainRequest
) -> tuple[int | None, str | None]:
    """How many match, or the limit that was met."""
    limit = min(request.limit, context.limits.rows)
    descending = request.order == "desc"
    wish = Wish(limit, descending=descending, bytes_max=REPLY_BYTES)
    try:
        return find_page(scan, wish, Renderer(None)).total, None
    except CostError as error:
        return None, error.problem
