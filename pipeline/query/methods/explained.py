"""What became of a question: the reply of `explain`, or a part of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import UNSET

from pipeline.query.explanations import (
    BlocksExplained,
    ConditionExplained,
    ExplainReply,
    RowsExplained,
    StepExplained,
)
from pipeline.query.methods.method import Context, window_of
from pipeline.query.pipes import Query
from pipeline.query.scan import Scan
from pipeline.query.wording import Asked, in_words, parameters_in_words

_TIME: Final = "time"
_STEPS: Final = ("plan", "headers", "open", "match")
"""As the budget names them; what else a question took is its page."""


class Run(NamedTuple):
    """What a question took so far: what is looked at later is not in it."""

    scan: Scan
    blocks: BlocksExplained
    rows: int
    bytes: int
    steps: list[StepExplained]


def run_of(context: Context, scan: Scan, started: float) -> Run:
    """The question that the scan was made for, at its end."""
    budget = scan.budget
    seconds = context.clock() - started
    known = {name: budget.seconds.get(name, 0.0) for name in _STEPS}
    known["page"] = max(0.0, seconds - sum(known.values()))
    steps = [StepExplained(name, round(s * 1000, 3)) for name, s in known.items()]
    # bytes are read of whole blocks, also where a scope shows a part of them
    read = 0 if scan.headers.reader.is_scoped else budget.bytes
    return Run(scan, _blocks(scan), budget.rows, read, steps)


def explain_run(
    context: Context,
    run: Run,
    started: float,
    asked: Asked,
    query: Query | str | None,
    matched: int | None,
    stopped: str | None,
    why: Callable[[], list[ConditionExplained]],
) -> ExplainReply:
    """The reply; `query` is a text where it was not understood."""
    conditions = [] if matched != 0 else why()
    said = parameters_in_words(asked)
    if isinstance(query, Query):
        said += _in_words(query)
    elif query is not None:
        said.append(f"{query} is not understood")
    total = sum(header.rows for header in context.headers.reader.headers)
    return ExplainReply(
        query=str(query) if isinstance(query, Query) else None,
        meaning="; ".join(said) or "every entry",
        window=window_of(run.scan.plan),
        blocks=run.blocks,
        rows=RowsExplained(total, run.rows, matched),
        bytes_read=run.bytes,
        steps=run.steps,
        stopped=stopped,
        conditions=conditions,
        took_ms=context.took_ms(started),
        unreadable_blocks=len(run.scan.damaged) or UNSET,
    )


def _in_words(query: Query) -> list[str]:
    if not query.pipes:
        return [in_words(query.filter)]
    return [in_words(query.filter), "then " + " | ".join(map(str, query.pipes))]


def _blocks(scan: Scan) -> BlocksExplained:
    pruned = {name or "values": count for name, count in scan.pruned.items() if count}
    without = sum(count for name, count in pruned.items() if name != _TIME)
    opened = scan.budget.blocks
    counted = max(0, scan.budget.blocks_planned - without - opened)
    return BlocksExplained(len(scan.headers), pruned, opened, counted)
