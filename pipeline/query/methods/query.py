"""`query`: a page of the entries that match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, Raw

from pipeline.query.budget import Budget
from pipeline.query.context import find_context
from pipeline.query.cursor import Cursor, encode_cursor
from pipeline.query.methods.method import (
    REPLY_BYTES,
    Context,
    mark_plan,
    read_params,
    window_of,
)
from pipeline.query.plan import Paged, digest, make_plan, read_cursor, resume_plan
from pipeline.query.replies import LogsReply
from pipeline.query.requests import FieldError, QueryRequest
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.search import Page, Wish, find_page

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
    cursor = read_cursor(request)
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
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


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
