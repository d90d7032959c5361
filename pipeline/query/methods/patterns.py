"""`patterns`: kinds of messages, their course, and what another window had of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from msgspec import UNSET, Raw

from pipeline.query.aggregate.pattern_changes import Changes, compare
from pipeline.query.aggregate.pattern_details import Details
from pipeline.query.aggregate.patterns import Names, PatternCount, Seen, id_text
from pipeline.query.budget import Budget
from pipeline.query.filtered import plan_of
from pipeline.query.methods.method import Context, mark_plan, read_params, window_of
from pipeline.query.overviews import (
    Comparison,
    Pattern,
    PatternChange,
    PatternsReply,
    PatternsRequest,
)
from pipeline.query.plan import Plan
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.stats import Buckets, choose_buckets, extent
from pipeline.query.text import Ints
from pipeline.query.timerange import parse_age, resolve_window
from pipeline.store.templates import Ids
from pipeline.timestamp import SECOND, TIMESTAMP_MIN, format_timestamp

NAME: Final = "patterns"

SOURCES: Final = 20
"""Sources of one pattern in a reply."""


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> PatternsReply:
    """The patterns."""
    started = context.clock()
    request = read_params(params, PatternsRequest)
    plan = mark_plan(plan_of(request, now), context.headers.refresh())
    earlier = _earlier_plan(request, plan, now)
    scan = Scan(context.headers, plan, budget)
    count = PatternCount(scan, context.cells)
    # what is new or has vanished is only known of all
    every = count.top(None if earlier else request.limit + 1)
    top = every.at(np.arange(min(request.limit, len(every.ids))))
    every = every.without_times()
    grid = Buckets(SECOND, 0, 0)
    if request.buckets:
        grid = choose_buckets(extent(scan), request.buckets, None)
    details = Details(scan, top, grid)
    details.run(count)
    listed = _patterns(top, Names(scan, count.blocks).texts(top.ids), details, count)
    comparison = None
    if earlier is not None:
        other = _Other(scan, earlier, count, context)
        scale = _length(scan.other(earlier), now) / _length(scan, now)
        changes = compare(every, other.seen, scale)
        comparison = other.comparison(changes, top.ids, request.limit)
    return PatternsReply(
        total=count.total,
        patterns=listed,
        truncated=len(every.ids) > len(top.ids),
        bucket_seconds=grid.width / SECOND,
        starts=[format_timestamp(grid.start(index)) for index in range(grid.size)],
        comparison=comparison or UNSET,
        window=window_of(plan),
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _patterns(
    top: Seen, texts: list[str], details: Details, count: PatternCount
) -> list[Pattern]:
    examples = details.examples()
    return [
        Pattern(
            id=id_text(pattern),
            pattern=texts[place],
            count=entries,
            share=entries / count.total,
            first_seen=format_timestamp(first),
            last_seen=format_timestamp(last),
            trend=details.trends[place].tolist(),
            levels=details.levels(place),
            sources=dict(details.sources[place].most_common(SOURCES)),
            sources_total=len(details.sources[place]),
            example=Raw(examples[place] or b"null"),
        )
        for place, (pattern, entries, first, last) in enumerate(
            zip(*(column.tolist() for column in top), strict=True)
        )
    ]


class _Other:
    """The window that is compared with."""

    def __init__(
        self, scan: Scan, plan: Plan, count: PatternCount, context: Context
    ) -> None:
        self._plan, self._scan, self._count = plan, scan, count
        self._other = scan.other(plan)
        self._then = PatternCount(self._other, context.cells)
        self.seen = self._then.top(None).without_times()

    def comparison(self, changes: Changes, listed: Ids, limit: int) -> Comparison:
        """The lists, cut to the limit."""
        new, vanished = changes.new[:limit], changes.vanished[:limit]
        return Comparison(
            window=window_of(self._plan),
            total=self._then.total,
            patterns=self._list(changes, changes.places(listed)),
            new=self._list(changes, new),
            new_total=len(changes.new),
            vanished=self._list(changes, vanished, gone=True),
            vanished_total=len(changes.vanished),
            changed=self._list(changes, changes.changed[:limit]),
            changed_total=len(changes.changed),
        )

    def _list(
        self, changes: Changes, places: Ints, *, gone: bool = False
    ) -> list[PatternChange]:
        ids = changes.ids[places]
        where = (
            (self._other, self._then.blocks)
            if gone
            else (self._scan, self._count.blocks)
        )
        columns = changes.counts, changes.before, changes.ratios
        return [
            PatternChange(
                id=id_text(pattern),
                pattern=text,
                count=count,
                before=before,
                change=round(ratio, 4) if before else None,
            )
            for pattern, text, count, before, ratio in zip(
                ids.tolist(),
                Names(*where).texts(ids),
                *(column[places].tolist() for column in columns),
                strict=True,
            )
        ]


def _earlier_plan(request: PatternsRequest, plan: Plan, now: int) -> Plan | None:
    """The same question about the window to compare with; raises FieldError."""
    given = request.compare_to
    if given is None:
        return None
    if not isinstance(given, str):
        low, high = _read_window(given.since, given.until, now)
        return Plan(plan.filter, low, high, plan.mark)
    age = parse_age(given.strip())
    if not age:
        hint = "write 10m, 1h, 1d, or a map of since and until"
        raise FieldError(
            "compare_to", f"{given[:64]!r} is no length of time", hint=hint
        )
    if plan.low is None:
        problem = "this window has no beginning, before which the other one could end"
        raise FieldError("compare_to", problem, hint="give since or timerange too")
    return Plan(plan.filter, max(plan.low - age, TIMESTAMP_MIN), plan.low, plan.mark)


def _read_window(
    since: str | float | None, until: str | float | None, now: int
) -> tuple[int | None, int | None]:
    if since is None and until is None:
        hint = 'write {"since": "2h", "until": "1h"}'
        raise FieldError("compare_to", "has neither since nor until", hint=hint)
    try:
        return resolve_window(since, until, None, now)
    except FieldError as error:
        field = f"compare_to.{error.field}"
        raise FieldError(field, error.problem, hint=error.hint) from None


def _length(scan: Scan, now: int) -> int:
    """Nanoseconds of the window; one without an end ends now."""
    plan = scan.plan
    span = extent(scan)
    low = plan.low if plan.low is not None else (span[0] if span else now)
    high = plan.high if plan.high is not None else max(now, span[1] + 1 if span else 0)
    return max(1, high - low)
