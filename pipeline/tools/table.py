"""All tools by name, as the query worker takes methods.

Three of them are methods without a budget, too: those answer as before without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.methods import get_context as plain_context
from pipeline.query.methods import get_entry as plain_entry
from pipeline.query.methods import get_trace as plain_trace
from pipeline.query.methods.method import Context, Method
from pipeline.query.methods.table import METHODS
from pipeline.query.scan import Headers
from pipeline.tools import (
    analyze_performance,
    debug_session,
    describe_logs,
    get_context,
    get_entry,
    get_log_stats,
    get_recent_errors,
    get_trace,
    list_patterns,
    search_logs,
)

_Answer = Callable[[Context, Mapping[str, Any], int, Budget], Any]


@dataclass(slots=True)
class _Tool:
    NAME: str
    answer: _Answer


def _honest(tool: _Answer) -> _Answer:
    """The tool, which says when some entries could not be read."""

    def answer(
        context: Context, params: Mapping[str, Any], now: int, budget: Budget
    ) -> Any:
        reply = tool(context, params, now, budget)
        lacks = _lacks(context.headers)
        if lacks and isinstance(reply, dict):
            reply = reply | {"unreadable": lacks}
        return reply

    return answer


def _lacks(headers: Headers) -> str:
    """What all numbers of a reply are without."""
    parts = [
        (len(headers.damaged), "blocks of the store are damaged"),
        (headers.reader.unattached, "archives beside the store can't be read"),
    ]
    told = " and ".join(f"{count} {what}" for count, what in parts if count)
    return f"{told}: what is in them is missing in all numbers" if told else ""


def _with_or_without(tool: _Answer, plain: Method) -> _Answer:
    def answer(
        context: Context, params: Mapping[str, Any], now: int, budget: Budget
    ) -> Any:
        has_budget = params.get("max_tokens") is not None
        return (tool if has_budget else plain.answer)(context, params, now, budget)

    return answer


_TOOLS: Final[dict[str, _Answer]] = {
    "get_recent_errors": get_recent_errors.answer,
    "analyze_performance": analyze_performance.answer,
    "search_logs": search_logs.answer,
    "get_log_stats": get_log_stats.answer,
    "get_trace": _with_or_without(get_trace.answer, plain_trace),
    "list_patterns": list_patterns.answer,
    "get_context": _with_or_without(get_context.answer, plain_context),
    "describe_logs": describe_logs.answer,
    "get_entry": _with_or_without(get_entry.answer, plain_entry),
}


def with_tools(project_name: str, project_type: str) -> dict[str, Method]:
    """The worker's methods and the tools, of a project."""
    session = partial(
        debug_session.answer, {"name": project_name, "type": project_type}
    )
    tools = _TOOLS | {"debug_session": session}
    made: dict[str, Method] = {
        name: _Tool(name, _honest(answer)) for name, answer in tools.items()
    }
    return METHODS | made
