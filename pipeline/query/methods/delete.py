"""`delete`: what would go, exactly; the ingester does it.

The token of a dry run keeps what it saw: the filter's digest, the newest commit, the
time that ages are counted from, and the count. So a delete takes nothing that its dry
run has not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.budget import Budget
from pipeline.query.cursor import Cursor, decode_cursor, encode_cursor
from pipeline.query.deletions import DeletePlan, DeleteRequest
from pipeline.query.filtered import FILTERS, digest_of
from pipeline.query.methods.method import (
    Context,
    mark_plan,
    read_params,
    window_of,
)
from pipeline.query.reading import read_filter
from pipeline.query.requests import FieldError
from pipeline.query.rows import Renderer
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page
from pipeline.query.spared import plan_of_deletion

NAME: Final = "delete"

_NOBODY: Final = bytes(16)


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> DeletePlan:
    """How many entries the filter has now, or what a token says that it had."""
    started = context.clock()
    request = read_params(params, DeleteRequest)
    if not any(_has_value(getattr(request, name)) for name in FILTERS):
        hint = "q: * means every entry"
        raise FieldError("q", "a delete needs a condition", hint=hint)
    if request.q is not None:
        read_filter("q", request.q)  # what the ingester takes
    digest = digest_of(request)
    if request.confirm is not None:
        return _confirmed(context, request, digest, started)
    plan = mark_plan(plan_of_deletion(request, now), context.own.refresh())
    scan = Scan(context.own, plan, budget)
    count = find_page(scan, Wish(1), Renderer(["id"])).total or 0
    mark = plan.mark or 0
    token = Cursor(digest, mark, (now, _NOBODY, 0), None, None, count)
    return DeletePlan(
        count=count,
        confirm=encode_cursor(token),
        mark=mark,
        now=now,
        window=window_of(plan),
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _confirmed(
    context: Context, request: DeleteRequest, digest: int, started: float
) -> DeletePlan:
    assert request.confirm is not None
    try:
        token = decode_cursor(request.confirm, digest)
    except FieldError:
        problem = "not that of a dry run with this filter"
        raise FieldError("confirm", problem, hint="repeat the dry run") from None
    return DeletePlan(
        count=token.total or 0,
        confirm=request.confirm,
        mark=token.mark,
        now=token.key[0],
        window=window_of(plan_of_deletion(request, token.key[0])),
        took_ms=context.took_ms(started),
    )


def _has_value(given: object) -> bool:
    """Zero is a moment; no text and no list are no condition."""
    return bool(given.strip()) if isinstance(given, str) else given not in (None, [])
