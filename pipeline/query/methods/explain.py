"""`explain`: how a question is understood, what answering it takes, why it is empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.budget import Budget, CostError
from pipeline.query.explanations import (
    BlocksExplained,
    ConditionExplained,
    ExplainReply,
    ExplainRequest,
    RowsExplained,
    StepExplained,
)
from pipeline.query.filtered import plan_of
from pipeline.query.methods.method import (
    REPLY_BYTES,
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
from pipeline.query.syntax import Node
from pipeline.query.why import misspelt_levels, unknown_levels, why_empty
from pipeline.query.wording import in_words, parameters_in_words

NAME: Final = "explain"

_TIME: Final = "time"
_STEPS: Final = ("plan", "headers", "open", "match")
"""As the budget names them; what else a question took is its page."""


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
    tree = None
    try:
        with budget.step("plan"):
            tree = None if request.q is None else read_filter("q", request.q)
            plan = mark_plan(plan_of(request, now), newest)
    except FieldError as error:
        # a misspelt level is refused by all other methods
        misspelt = misspelt_levels(request)
        if not misspelt:
            raise
        levels = partial(unknown_levels, scan, misspelt, error.problem)
        return _reply(context, scan, started, request, tree, 0, None, levels)
    plan.filter.key = None  # what is remembered would explain nothing
    scan = Scan(context.headers, plan, budget)
    matched, stopped = _run(context, scan, request)
    why = partial(why_empty, scan, request, tree)
    return _reply(context, scan, started, request, tree, matched, stopped, why)


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


def _reply(
    context: Context,
    scan: Scan,
    started: float,
    request: ExplainRequest,
    tree: Node | None,
    matched: int | None,
    stopped: str | None,
    why: Callable[[], list[ConditionExplained]],
) -> ExplainReply:
    budget = scan.budget
    # what the question itself took, before its conditions are looked at one by one
    blocks, rows, read = _blocks(scan), budget.rows, budget.bytes
    steps = _steps(budget, context.clock() - started)
    conditions = [] if matched != 0 else why()
    said = parameters_in_words(request)
    if tree is not None:
        said.append(in_words(tree))
    elif request.q is not None:
        said.append(f"{request.q} is not understood")
    total = sum(header.rows for header in context.headers.reader.headers)
    return ExplainReply(
        query=None if tree is None else str(tree),
        meaning="; ".join(said) or "every entry",
        window=window_of(scan.plan),
        blocks=blocks,
        rows=RowsExplained(total, rows, matched),
        bytes_read=read,
        steps=steps,
        stopped=stopped,
        conditions=conditions,
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _blocks(scan: Scan) -> BlocksExplained:
    pruned = {name or "values": count for name, count in scan.pruned.items() if count}
    without = sum(count for name, count in pruned.items() if name != _TIME)
    opened = scan.budget.blocks
    counted = max(0, scan.budget.blocks_planned - without - opened)
    return BlocksExplained(len(scan.headers), pruned, opened, counted)


def _steps(budget: Budget, seconds: float) -> list[StepExplained]:
    known = {name: budget.seconds.get(name, 0.0) for name in _STEPS}
    known["page"] = max(0.0, seconds - sum(known.values()))
    return [StepExplained(name, round(s * 1000, 3)) for name, s in known.items()]
