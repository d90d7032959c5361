"""`get_context`: the entries before and after one, of its source or of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, Raw

from pipeline.query.budget import Budget
from pipeline.query.filters import Everything, Sources
from pipeline.query.locate import Located, bounded, locate
from pipeline.query.lookups import ContextReply, ContextRequest
from pipeline.query.methods.method import REPLY_BYTES, Context, read_params
from pipeline.query.plan import Plan
from pipeline.query.rows import Renderer
from pipeline.query.search import Page, Wish, find_page

NAME: Final = "get_context"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> ContextReply:
    """The entry among its neighbours."""
    del now
    started = context.clock()
    request = read_params(params, ContextRequest)
    renderer = Renderer(request.fields)
    found = locate(context, request.id, budget)
    hit = found.row(renderer, context=False)
    wanted = Sources([hit.source]) if request.scope == "source" else Everything()
    moment, mark = found.key[0], found.scan.plan.mark
    older = Plan(wanted, None, bounded(moment), mark)
    newer = Plan(wanted, moment, None, mark)
    before = _side(found, older, request.before, renderer, descending=True)
    after = _side(found, newer, request.after, renderer, descending=False)
    rows = [*reversed(before.rows), hit, *after.rows]
    return ContextReply(
        logs=[Raw(row.json) for row in rows],
        more_before=before.more,
        more_after=after.more,
        took_ms=context.took_ms(started),
        unreadable_blocks=len(found.scan.damaged) or UNSET,
    )


def _side(
    found: Located, plan: Plan, limit: int, renderer: Renderer, *, descending: bool
) -> Page:
    """The nearest neighbours on one side, the nearest first."""
    wish = Wish(
        limit,
        descending=descending,
        after=found.key,
        count=False,
        bytes_max=REPLY_BYTES // 2,
        context=True,
    )
    return find_page(found.scan.other(plan), wish, renderer)
