"""`events`: patterns of entries of some commits by source, for the analyzer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pipeline.query.budget import Budget
from pipeline.query.committed import EventsReply, EventsRequest, Group
from pipeline.query.filters import Levels
from pipeline.query.grouped import group_rows, merge_groups
from pipeline.query.methods.counts import commits_plan
from pipeline.query.methods.method import Context, read_params
from pipeline.query.scan import Scan

NAME: Final = "events"

MERGE_AT: Final = 50_000
"""Groups held at a time."""

_LEVELS_END: Final = 25


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> EventsReply:
    """The groups."""
    del now
    request = read_params(params, EventsRequest)
    newest = context.headers.refresh()
    wanted = Levels(range(request.level, _LEVELS_END))
    scan = Scan(context.headers, commits_plan(request, newest, wanted), budget)
    groups: list[Group] = []
    for header in scan.visit(descending=False):
        budget.check()
        matched = scan.match(header) if scan.may_match(header) else None
        if matched is None:
            continue
        view, mask = matched
        groups += group_rows(view.batch, np.flatnonzero(mask))
        if len(groups) > MERGE_AT:
            groups = merge_groups(groups)
    groups = merge_groups(groups)
    return EventsReply(newest, groups[: request.limit], len(groups) > request.limit)
