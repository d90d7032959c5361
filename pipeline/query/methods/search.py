"""`search`: a page of the entries that match, each with those around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context, read_params
from pipeline.query.methods.query import answer_page
from pipeline.query.pages import LogsReply
from pipeline.query.requests import SearchRequest

NAME: Final = "search"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> LogsReply:
    """The page."""
    request = read_params(params, SearchRequest)
    return answer_page(context, request, now, budget, request.context)
