"""Entries that match a filter go: their blocks are written anew without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pipeline.errors import FrameError, QueryError
from pipeline.query.budget import Budget
from pipeline.query.filtered import FILTERS
from pipeline.query.plan import Plan
from pipeline.query.requests import FieldError, StatsRequest
from pipeline.query.scan import Headers, Scan
from pipeline.query.spared import plan_of_deletion
from pipeline.store.compacted import Compacted, compact
from pipeline.store.template_table import Allowed


class Rewritten(NamedTuple):
    """A block without the entries that match, and how many these were."""

    block: Compacted
    deleted: int
    bytes: int


def plan_deletion(params: Mapping[str, Any], now: int, up_to: int) -> Plan:
    """What matches among commits up to one; raises QueryError.

    A filter of nothing is refused: everything must be asked for by name.
    """
    given = {name: value for name, value in params.items() if value is not None}
    unknown = sorted(given.keys() - {*FILTERS})
    if unknown:
        hint = "parameters are " + ", ".join(FILTERS)
        raise FieldError(unknown[0], "is no parameter of a filter", hint=hint)
    if not given:
        raise FieldError("q", "a filter is needed", hint="q='level:*' is everything")
    try:
        request = msgspec.convert(given, StatsRequest)
    except msgspec.ValidationError as error:
        raise QueryError(str(error)) from None
    return replace(plan_of_deletion(request, now), mark=up_to)


def rewrite(
    headers: Headers,
    plan: Plan,
    level: int,
    clock: Callable[[], float],
    allowed: Callable[[], Allowed],
    damaged: set[int],
    share: float = 0.0,
    *,
    beat: Callable[[], bool] = bool,
) -> Iterator[Rewritten]:
    """New blocks, each to be swapped in; raises QueryError.

    Blocks that can't be read are added to `damaged`. With a `share`, blocks of whose
    rows less than that match are left as they are. `beat` is called now and then.
    """
    budget = Budget(clock, float("inf"), 1 << 62, beat)
    scan = Scan(headers, plan, budget)
    scan.damaged = damaged
    for header in scan.visit(descending=False):
        if not scan.may_match(header):
            continue
        found = scan.match(header)
        if found is None:
            continue
        view, mask = found
        count = int(np.count_nonzero(mask))
        if count and count >= share * view.rows:
            try:
                made = compact([view.block], level, [~mask], allowed=allowed())
            except FrameError:  # in a column that the filter did not ask for
                damaged.add(header.id)
                continue
            yield Rewritten(made, count, header.size - made.size)
