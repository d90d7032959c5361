"""`get_alerts`: what the entries of source `alerts` come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from pipeline.alerts.fold import fold
from pipeline.alerts.model import SILENCE_DAYS, SOURCE, Alert
from pipeline.batch.layout import METADATA
from pipeline.query.alerted import AlertsReply, AlertsRequest
from pipeline.query.budget import Budget
from pipeline.query.filters import Sources
from pipeline.query.methods.method import REPLY_BYTES, Context, read_params
from pipeline.query.plan import Plan
from pipeline.query.rows import Renderer
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page
from pipeline.query.timerange import resolve_moment
from pipeline.timestamp import SECOND, parse_timestamp

NAME: Final = "get_alerts"

LOOK_BACK: Final = SILENCE_DAYS * 86_400 * SECOND
"""How long before now, or before `since`, an open alert may last have been told of,
or a silence ordered."""

_PAGE_ROWS: Final = 1_000


class _Row(Struct):
    metadata: dict[str, Any]


_read: Final = msgspec.json.Decoder(_Row).decode


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> AlertsReply:
    """The alerts that fit, and the silences that hold."""
    started = context.clock()
    request = read_params(params, AlertsRequest)
    since = None
    if request.since is not None:
        since = resolve_moment("since", request.since, now)
    newest = context.headers.refresh()
    low = (now if since is None else min(now, since)) - LOOK_BACK
    scan = Scan(context.headers, Plan(Sources([SOURCE]), low, None, newest), budget)
    folded = fold(_events(scan))
    wanted = _Wanted(request, since)
    found = [alert for alert in folded.alerts if wanted.fits(alert)]
    limit = min(request.limit, context.limits.rows)
    return AlertsReply(
        alerts=found[:limit],
        count=len(found),
        returned=len(found[:limit]),
        truncated=len(found) > limit,
        silences=[
            one for one in folded.silences if parse_timestamp(one.until, now) > now
        ],
        undelivered=folded.undelivered,
        malformed=folded.malformed,
        newest_commit=newest,
        took_ms=context.took_ms(started),
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _events(scan: Scan) -> Iterator[dict[str, Any]]:
    """Metadata of the matches, oldest first; no more than a page of them is held."""
    renderer, after = Renderer([METADATA]), None
    while True:
        wish = Wish(_PAGE_ROWS, False, after, count=False, bytes_max=REPLY_BYTES)
        page = find_page(scan, wish, renderer)
        for row in page.rows:
            yield _read(row.json).metadata
        if not page.more or not page.rows:
            return
        after = page.rows[-1].key


@dataclass(frozen=True, slots=True)
class _Wanted:
    request: AlertsRequest
    since: int | None

    def fits(self, alert: Alert) -> bool:
        """Whether the question is about it."""
        request = self.request
        if request.state not in ("all", alert.state):
            return False
        if request.source is not None and request.source not in alert.sources:
            return False
        if self.since is None or alert.resolved is None:
            return True
        return parse_timestamp(alert.resolved, 0) >= self.since
