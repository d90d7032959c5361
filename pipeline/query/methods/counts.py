"""`counts`: entries by time, source and level of some commits, for the analyzer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pipeline.batch.layout import LEVEL, SOURCE
from pipeline.query.budget import Budget
from pipeline.query.committed import CommitsRequest, CountsReply, CountsRequest
from pipeline.query.filters import Everything, Filter
from pipeline.query.methods.method import Context, read_params
from pipeline.query.plan import Plan
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.text import Ints
from pipeline.timestamp import SECOND

NAME: Final = "counts"

ROWS_MAX: Final = 500_000
"""Of a reply, which the analyzer holds whole: 20 MB."""


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> CountsReply:
    """The counts."""
    del now
    request = read_params(params, CountsRequest)
    newest = context.headers.refresh()
    plan = commits_plan(request, newest, Everything())
    scan = Scan(context.headers, plan, budget)
    tally = _Tally(request.step)
    cells, blocks = context.cells.gather(
        scan, scan.visit(descending=False), request.step * SECOND
    )
    counts = cells.counts
    tally.add(
        *(cells.times, counts.sources, counts.source_codes),
        *(counts.levels, counts.counts),
    )
    for header in blocks:
        budget.check()
        matched = scan.match(header) if scan.may_match(header) else None
        if matched is None:
            continue
        view, mask = matched
        source = view.batch.columns[SOURCE]
        levels = view.batch.columns[LEVEL].numbers[mask]
        ones = np.ones(len(levels), np.int64)
        tally.add(
            view.timestamps()[mask], source.dictionary, source.codes[mask], levels, ones
        )
    return tally.reply(newest)


def commits_plan(request: CommitsRequest, newest: int, wanted: Filter) -> Plan:
    """The commits that are asked for, of those that there are."""
    low = None if request.since is None else request.since * SECOND
    high = None if request.until is None else request.until * SECOND
    mark = newest if request.up_to is None else min(newest, request.up_to)
    return Plan(wanted, low, high, mark, request.after)


class _Tally:
    """Counts by (step, source, level), of blocks with tables of their own."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._names: dict[str, int] = {}
        self._counts: dict[tuple[int, int, int], int] = {}

    def add(
        self, times: Ints, names: list[str], codes: Ints, levels: Ints, weights: Ints
    ) -> None:
        """Count rows, or cells that stand for as many as they weigh."""
        if not len(times):
            return
        table = [self._names.setdefault(name, len(self._names)) for name in names]
        steps = times // (self._step * SECOND)
        low = int(steps.min())
        own = np.array(table, np.int64)[codes.astype(np.int64)]
        keys = ((steps - low) << 25) + (own << 5) + levels.astype(np.int64)
        unique, places = np.unique(keys, return_inverse=True)
        sums = np.bincount(places, weights).astype(np.int64)
        for key, count in zip(unique.tolist(), sums.tolist(), strict=True):
            cell = (key >> 25) + low, (key >> 5) & 0xFFFFF, key & 31
            self._counts[cell] = self._counts.get(cell, 0) + count
        if len(self._counts) > ROWS_MAX:
            problem = f"more than {ROWS_MAX:,} rows"
            raise FieldError("step", problem, hint="a longer step or a shorter time")

    def reply(self, newest: int) -> CountsReply:
        """What was counted, by time."""
        rows = [
            (step * self._step, source, level, count)
            for (step, source, level), count in sorted(self._counts.items())
        ]
        return CountsReply(newest, list(self._names), rows)
