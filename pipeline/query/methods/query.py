"""`query`: a page of the entries that match."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pipeline.query.aggregate.aggregation import Bounds
from pipeline.query.aggregate.table import make_table
from pipeline.query.budget import Budget
from pipeline.query.context import find_context
from pipeline.query.cursor import Cursor, encode_cursor
from pipeline.query.explanations import ExplainReply
from pipeline.query.methods.explained import explain_run, run_of
from pipeline.query.methods.method import (
    REPLY_BYTES,
    Context,
    mark_plan,
    read_params,
    window_of,
)
from pipeline.query.ordered import Ordered
from pipeline.query.pages import LogsReply
from pipeline.query.piped import picked_fields, split_pipes
from pipeline.query.pipes import Fields, Limit, Query
from pipeline.query.plan import Paged, digest, make_plan, read_cursor, resume_plan
from pipeline.query.requests import FieldError, QueryRequest
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.search import Page, Wish, find_page
from pipeline.query.tables import Table
from pipeline.query.why import why_empty

NAME: Final = "query"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> LogsReply:
    """The page."""
    return answer_page(context, read_params(params, QueryRequest), now, budget, None)


def answer_page(
    context: Context, request: Paged, now: int, budget: Budget, around: int | None
) -> LogsReply:
    """A page, with so many entries around each hit; None: without that flag."""
    started = context.clock()
    request, query = split_pipes(request)
    if any(not isinstance(pipe, Fields) for pipe in query.rest):
        return _answer_pipes(context, request, query, now, budget)
    if query.rest:
        request = msgspec.structs.replace(request, fields=picked_fields(query.rest))
    cursor = read_cursor(request)
    with budget.step("plan"):
        plan = resume_plan(request, cursor) if cursor else make_plan(request, now)
    newest = context.headers.refresh()
    if cursor is None:
        plan = mark_plan(plan, newest)
    known = cursor.total if cursor else None
    scan = Scan(context.headers, plan, budget)
    wish = Wish(
        min(request.limit, context.limits.rows),
        descending=request.order == "desc",
        after=cursor.key if cursor else None,
        count=request.count == "exact" and known is None,
        bytes_max=REPLY_BYTES,
        context=None if around is None else False,
    )
    renderer = Renderer(request.fields)
    page = find_page(scan, wish, renderer)
    total = known if page.total is None else page.total
    rows = page.rows
    explain = _explained(context, scan, started, request, query, page)
    if around and rows:
        rows = _with_context(scan, rows, around, renderer, wish)
    return LogsReply(
        logs=[Raw(row.json) for row in rows],
        count=total if request.count == "exact" else None,
        returned=len(page.rows),
        truncated=page.more,
        next_cursor=_next(request, page, scan, total),
        window=window_of(plan),
        took_ms=context.took_ms(started),
        explain=explain,
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _explained(
    context: Context,
    scan: Scan,
    started: float,
    request: Paged,
    query: Query,
    page: Page | None = None,
) -> ExplainReply | UnsetType:
    """What became of the question, if that is asked for."""
    if not request.explain:
        return UNSET
    run = run_of(context, scan, started)
    matched = None if page is None else page.total
    if matched is None and (page is None or not (page.rows or request.cursor)):
        matched = find_page(scan, Wish(1), Renderer(["id"])).total
    why = partial(why_empty, scan, request, query)
    return explain_run(context, run, started, request, query, matched, None, why)


def _answer_pipes(
    context: Context, request: Paged, query: Query, now: int, budget: Budget
) -> LogsReply:
    """A table, or entries that are sorted or cut: one page, whatever the limits."""
    started = context.clock()
    _refuse_cursor(request)
    with budget.step("plan"):
        plan = make_plan(request, now)
    plan = mark_plan(plan, context.headers.refresh())
    scan = Scan(context.headers, plan, budget)
    rows: list[Row] = []
    table: Table | UnsetType = UNSET
    total: int | None = None
    if query.table is not None:
        bounds = Bounds(context.limits.groups, context.limits.rows)
        table = make_table(scan, query, bounds, context.cells)
    else:
        has_limit = any(isinstance(pipe, Limit) for pipe in query.pipes)
        most = context.limits.rows if has_limit else request.limit
        ordered = Ordered(scan, most, descending=request.order == "desc")
        hits = ordered.run(query.row_pipes)
        renderer = Renderer(picked_fields(query.pipes) or request.fields)
        rows, total = ordered.render(hits, renderer), ordered.total
    return LogsReply(
        logs=[Raw(row.json) for row in rows],
        count=total if request.count == "exact" else None,
        returned=len(rows),
        truncated=False if table is UNSET else table.truncated,
        next_cursor=None,
        window=window_of(plan),
        took_ms=context.took_ms(started),
        table=table,
        explain=_explained(context, scan, started, request, query),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _refuse_cursor(request: Paged) -> None:
    if request.cursor is not None:
        problem = "a query with pipes other than `fields` has one page"
        raise FieldError("cursor", problem)


def _with_context(
    scan: Scan, hits: list[Row], around: int, renderer: Renderer, wish: Wish
) -> list[Row]:
    """Hits and the entries near them, in the order of the hits."""
    rows = hits + find_context(scan, hits, around, renderer)
    if sum(len(row.json) for row in rows) > REPLY_BYTES:
        problem = f"the reply would be longer than {REPLY_BYTES >> 20} MiB"
        raise FieldError("context", problem, hint="ask for a lower limit or context")
    return sorted(rows, key=_key, reverse=wish.descending)


def _key(row: Row) -> tuple[int, bytes, int]:
    return row.key


def _next(request: Paged, page: Page, scan: Scan, total: int | None) -> str | None:
    plan = scan.plan
    if not page.more or not page.rows:
        return None
    key = page.rows[-1].key
    mark = plan.mark or 0
    cursor = Cursor(digest(request), mark, key, plan.low, plan.high, total)
    return encode_cursor(cursor)
