"""`get_trace`: what all sources did for one trace id, in time order.

The sums are of the whole trace, from one look at its blocks; the entries are a page
within the time that it took.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from pipeline.batch.distinct import distinct
from pipeline.batch.layout import LEVEL, SOURCE
from pipeline.level import Level
from pipeline.query.budget import Budget
from pipeline.query.filters_fields import TraceId
from pipeline.query.locate import bounded
from pipeline.query.lookups import Step, TraceReply, TraceRequest, TraceSource
from pipeline.query.methods.method import REPLY_BYTES, Context, read_params
from pipeline.query.plan import Plan
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.search import Page, Wish, find_page
from pipeline.query.text import Mask
from pipeline.query.timerange import resolve_window
from pipeline.query.view import View
from pipeline.timestamp import TIMESTAMP_MAX, format_timestamp

NAME: Final = "get_trace"

_MS: Final = 1_000_000


@dataclass(slots=True)
class _Source:
    first: int
    last: int
    count: int = 0
    errors: int = 0


@dataclass(slots=True)
class _Sums:
    """What the whole trace comes to, by source."""

    sources: dict[str, _Source] = field(default_factory=dict)

    def add(self, view: View, mask: Mask) -> None:
        """Count a block's rows of the trace."""
        places = np.flatnonzero(mask)
        if not len(places):
            return
        times = view.timestamps()[places]
        names, levels = view.batch.columns[SOURCE], view.batch.columns[LEVEL]
        codes = names.codes[places]
        severe = levels.numbers[places] >= Level.ERROR
        for code in distinct(codes).tolist():
            mine = codes == code
            first, last = int(times[mine].min()), int(times[mine].max())
            known = self.sources.setdefault(
                names.dictionary[code], _Source(first, last)
            )
            known.first, known.last = min(known.first, first), max(known.last, last)
            known.count += int(np.count_nonzero(mine))
            known.errors += int(np.count_nonzero(mine & severe))

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and last nanosecond; None without entries."""
        if not self.sources:
            return None
        found = self.sources.values()
        return min(s.first for s in found), max(s.last for s in found)


class _Metadata(Struct):
    duration_ms: Any = UNSET


class _Shown(Struct):
    metadata: _Metadata | UnsetType = UNSET


_read: Final = msgspec.json.Decoder(_Shown).decode


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> TraceReply:
    """The trace; one that nobody knows has no entries."""
    started = context.clock()
    request = read_params(params, TraceRequest)
    renderer = Renderer(request.fields)
    low, high = resolve_window(request.since, request.until, None, now)
    if high is not None and high > TIMESTAMP_MAX:
        high = None
    wanted = TraceId(request.trace_id)
    plan = Plan(wanted, low, high, context.headers.refresh())
    scan = Scan(context.headers, plan, budget)
    sums = _sum_up(scan)
    page = Page([], more=False, total=None)
    if (span := sums.span) is not None:
        near = scan.other(Plan(wanted, span[0], bounded(span[1]), plan.mark))
        limit = min(request.limit, context.limits.rows)
        wish = Wish(limit, descending=False, count=False, bytes_max=REPLY_BYTES)
        page = find_page(near, wish, renderer)
    return _reply(request.trace_id, sums, page, context.took_ms(started), scan)


def _sum_up(scan: Scan) -> _Sums:
    sums = _Sums()
    for header in scan.visit(descending=False):
        scan.budget.check()
        matched = scan.match(header) if scan.may_match(header) else None
        if matched is not None:
            sums.add(*matched)
    return sums


def _reply(
    trace_id: str, sums: _Sums, page: Page, took_ms: float, scan: Scan
) -> TraceReply:
    first, last = sums.span or (0, 0)
    found = sums.sources
    return TraceReply(
        trace_id=trace_id,
        count=sum(source.count for source in found.values()),
        errors=sum(source.errors for source in found.values()),
        first=format_timestamp(first) if found else None,
        last=format_timestamp(last) if found else None,
        span_ms=(last - first) / _MS,
        sources=[
            TraceSource(
                source=name,
                count=source.count,
                errors=source.errors,
                first=format_timestamp(source.first),
                last=format_timestamp(source.last),
                span_ms=(source.last - source.first) / _MS,
                offset_ms=(source.first - first) / _MS,
            )
            for name, source in sorted(found.items(), key=_by_first)
        ],
        logs=_steps(page.rows),
        returned=len(page.rows),
        truncated=page.more,
        took_ms=took_ms,
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _by_first(item: tuple[str, _Source]) -> tuple[int, str]:
    return item[1].first, item[0]


def _steps(rows: list[Row]) -> list[Raw]:
    """The rows with what stands beside them; theirs is spliced in undecoded."""
    if not rows:
        return []
    begin = rows[0].key[0]
    gaps = [None, *((b.key[0] - a.key[0]) / _MS for a, b in pairwise(rows))]
    steps = []
    for row, gap in zip(rows, gaps, strict=True):
        step = Step((row.key[0] - begin) / _MS, gap, _duration(row))
        steps.append(Raw(b"%b,%b" % (row.json[:-1], msgspec.json.encode(step)[1:])))
    return steps


def _duration(row: Row) -> float | UnsetType:
    if b'"duration_ms"' not in row.json:
        return UNSET
    metadata = _read(row.json).metadata
    if isinstance(metadata, UnsetType):
        return UNSET
    value = metadata.duration_ms
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else UNSET
