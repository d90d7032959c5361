"""`get_context` with a budget: the entries before and after one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.lookups import ContextRequest
from pipeline.query.methods.method import Context
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.definitions import MAX_TOKENS
from pipeline.tools.rows import Log, lines, shared
from pipeline.tools.snapshot import Snapshot, read
from pipeline.tools.text import NOTICE

_HINT: Final = "scope all shows what other sources did meanwhile"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """The lines, oldest first; those with · stand around the one that was asked for."""
    request = read(params, ContextRequest)
    found = Snapshot(context, now, budget).ask(
        "get_context",
        id=request.id,
        before=request.before,
        after=request.after,
        scope=request.scope,
    )
    logs: list[Log] = found["logs"]
    middle = next(at for at, log in enumerate(logs) if not log["context"])

    def build(detail: Detail) -> Reply:
        side = detail.rows // 2
        shown = logs[max(0, middle - side) : middle + side + 1]
        common = shared(shown, detail.characters)
        is_cut = len(shown) < len(logs)
        return {
            "notice": NOTICE,
            "shared": common,
            "logs": lines(shown, common, detail.characters),
            "count": len(logs),
            "returned": len(shown),
            "truncated": is_cut,
            "more_before": found["more_before"] or middle > side,
            "more_after": found["more_after"] or len(logs) > middle + side + 1,
            "hints": [_HINT] if request.scope == "source" else [],
        }

    return fit(build, request.max_tokens or MAX_TOKENS)
