"""The tools for language models: each a method, whose reply keeps to its tokens."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.tools import replies, requests


def _tool(
    name: str, summary: str, params: type[Struct], result: type[Struct]
) -> Method:
    """A method that a worker answers, as all tools are."""

    async def answer(services: Services, given: Params, is_notification: bool) -> bytes:
        del is_notification
        return await services.pool.ask(name, bind(given, params))

    return Method(name, summary, params, result, QUERY_ERRORS, answer)


TOOLS: Final = (
    _tool(
        "get_recent_errors",
        "Errors of the last minutes by kind of message.",
        requests.ErrorsRequest,
        replies.ErrorsResult,
    ),
    _tool(
        "analyze_performance",
        "Slow requests and queries, and percentiles of each path.",
        requests.PerformanceRequest,
        replies.PerformanceResult,
    ),
    _tool(
        "debug_session",
        "What happens right now, at one moment.",
        requests.SessionRequest,
        replies.SessionResult,
    ),
    _tool(
        "search_logs",
        "Entries that match, as lines.",
        requests.FindRequest,
        replies.FindResult,
    ),
    _tool(
        "get_log_stats",
        "Counts by source, level and hour.",
        requests.CountsRequest,
        replies.CountsResult,
    ),
    _tool(
        "list_patterns",
        "Kinds of messages, and what is new.",
        requests.KindsRequest,
        replies.KindsResult,
    ),
    _tool(
        "describe_logs",
        "What is stored, in short.",
        requests.StoreRequest,
        replies.StoreResult,
    ),
)
"""Those that are no methods without a budget, too."""
