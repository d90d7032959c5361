"""`tail`: the matches that were committed after a block; the gateway's live tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw

from pipeline.query.budget import Budget
from pipeline.query.methods.method import REPLY_BYTES, Context, read_params
from pipeline.query.piped import split_fields
from pipeline.query.plan import Plan, make_filter
from pipeline.query.replies import TailReply
from pipeline.query.requests import TailRequest
from pipeline.query.rows import Renderer
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page

NAME: Final = "tail"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> TailReply:
    """The new matches, oldest first."""
    del now
    request = split_fields(read_params(params, TailRequest))
    wanted = make_filter(request)
    newest = context.headers.refresh()
    if request.after_block is None or request.after_block >= newest:
        return TailReply(logs=[], last_block=newest, missed=0)
    plan = Plan(wanted, mark=newest, after_block=request.after_block)
    wish = Wish(min(request.limit, context.limits.rows), bytes_max=REPLY_BYTES)
    scan = Scan(context.headers, plan, budget)
    page = find_page(scan, wish, Renderer(request.fields))
    return TailReply(
        logs=[Raw(row.json) for row in reversed(page.rows)],
        last_block=newest,
        missed=(page.total or 0) - len(page.rows),
    )
