"""Method and parameters in, reply as JSON out: all of a worker but its pipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw

from pipeline.level import Level
from pipeline.query.budget import Budget
from pipeline.query.context import find_context
from pipeline.query.cursor import Cursor, encode_cursor
from pipeline.query.plan import (
    Paged,
    Plan,
    digest,
    make_filter,
    make_plan,
    read_cursor,
    resume_plan,
)
from pipeline.query.replies import (
    Bucket,
    Group,
    LogsReply,
    SourceCount,
    StatsReply,
    TailReply,
    Window,
)
from pipeline.query.requests import (
    FieldError,
    QueryRequest,
    SearchRequest,
    StatsRequest,
    TailRequest,
)
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Headers, Scan
from pipeline.query.search import Page, Wish, find_page
from pipeline.query.stats import Tally, tally
from pipeline.store.reader import Reader
from pipeline.timestamp import SECOND, format_timestamp

TOP_SOURCES: Final = 10
"""Sources in `top_sources`."""

REPLY_BYTES: Final = 64 << 20
"""A page ends early beyond this: it is held whole by worker, gateway and client."""

Request = TypeVar("Request", QueryRequest, SearchRequest, StatsRequest, TailRequest)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings allow one question."""

    rows: int = 10_000
    """Entries returned."""
    rows_scanned: int = 1_000_000_000
    seconds: float = 30.0


class Engine:
    """Answers questions about one database, which may not exist yet."""

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float]) -> None:
        self._headers = Headers(Reader(path))
        self._limits = limits
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._methods: dict[str, Callable[[Mapping[str, Any], int, Budget], Any]] = {
            "query": self._query,
            "search": self._search,
            "get_stats": self._stats,
            "tail": self._tail,
        }

    def budget(
        self, timeout: float | None = None, cancelled: Callable[[], bool] = bool
    ) -> Budget:
        """The budget of a question that begins now."""
        seconds = min(timeout or self._limits.seconds, self._limits.seconds)
        deadline = self._clock() + seconds
        return Budget(self._clock, deadline, self._limits.rows_scanned, cancelled)

    def answer(
        self, method: str, params: Mapping[str, Any], now: int, budget: Budget
    ) -> bytes:
        """The reply as JSON; raises QueryError of any kind, and StoreError."""
        return self._encode(self._methods[method](params, now, budget))

    def _query(self, params: Mapping[str, Any], now: int, budget: Budget) -> LogsReply:
        request = _read(params, QueryRequest)
        return self._page(request, now, budget, None)

    def _search(self, params: Mapping[str, Any], now: int, budget: Budget) -> LogsReply:
        request = _read(params, SearchRequest)
        return self._page(request, now, budget, request.context)

    def _page(
        self, request: Paged, now: int, budget: Budget, context: int | None
    ) -> LogsReply:
        started = self._clock()
        cursor = read_cursor(request)
        plan = resume_plan(request, cursor) if cursor else make_plan(request, now)
        newest = self._headers.refresh()
        if cursor is None:
            plan = _marked(plan, newest)
        known = cursor.total if cursor else None
        scan = Scan(self._headers, plan, budget)
        wish = Wish(
            min(request.limit, self._limits.rows),
            descending=request.order == "desc",
            after=cursor.key if cursor else None,
            count=request.count == "exact" and known is None,
            bytes_max=REPLY_BYTES,
            context=None if context is None else False,
        )
        renderer = Renderer(request.fields)
        page = find_page(scan, wish, renderer)
        total = known if page.total is None else page.total
        rows = page.rows
        if context and rows:
            rows = _with_context(scan, rows, context, renderer, wish)
        return LogsReply(
            logs=[Raw(row.json) for row in rows],
            count=total if request.count == "exact" else None,
            returned=len(page.rows),
            truncated=page.more,
            next_cursor=_next(request, page, scan, total),
            window=_window(plan),
            took_ms=self._took(started),
            unreadable_blocks=len(scan.damaged) or UNSET,
        )

    def _stats(self, params: Mapping[str, Any], now: int, budget: Budget) -> StatsReply:
        started = self._clock()
        request = _read(params, StatsRequest)
        plan = make_plan(request, now)
        scan = Scan(self._headers, _marked(plan, self._headers.refresh()), budget)
        found = tally(scan, request.buckets, request.group_by)
        total = sum(found.sources.values())
        errors = sum(found.source_errors.values())
        return StatsReply(
            total_logs=total,
            by_source=dict(found.sources.most_common()),
            by_level={level.name: found.levels[level.name] for level in Level},
            error_rate=errors / total if total else 0.0,
            top_sources=[
                SourceCount(name, count, found.source_errors[name])
                for name, count in found.sources.most_common(TOP_SOURCES)
            ],
            bucket_seconds=found.buckets.width / SECOND,
            buckets=_buckets(found),
            groups=_groups(found, request.group_by),
            window=_window(plan),
            took_ms=self._took(started),
            unreadable_blocks=len(scan.damaged) or UNSET,
        )

    def _tail(self, params: Mapping[str, Any], now: int, budget: Budget) -> TailReply:  # noqa: ARG002 - a method as the others
        request = _read(params, TailRequest)
        wanted = make_filter(request)
        newest = self._headers.refresh()
        if request.after_block is None or request.after_block >= newest:
            return TailReply(logs=[], last_block=newest, missed=0)
        plan = Plan(wanted, mark=newest, after_block=request.after_block)
        wish = Wish(min(request.limit, self._limits.rows), bytes_max=REPLY_BYTES)
        scan = Scan(self._headers, plan, budget)
        page = find_page(scan, wish, Renderer(request.fields))
        return TailReply(
            logs=[Raw(row.json) for row in reversed(page.rows)],
            last_block=newest,
            missed=(page.total or 0) - len(page.rows),
        )

    def _took(self, started: float) -> float:
        return round((self._clock() - started) * 1000, 3)


def _read(params: Mapping[str, Any], kind: type[Request]) -> Request:
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise FieldError(path.rstrip("`") or "params", problem) from None


def _marked(plan: Plan, newest: int) -> Plan:
    return Plan(plan.filter, plan.low, plan.high, newest)


def _with_context(
    scan: Scan, hits: list[Row], around: int, renderer: Renderer, wish: Wish
) -> list[Row]:
    """Hits and the entries near them, in the order of the hits."""
    rows = hits + find_context(scan, hits, around, renderer)
    if sum(len(row.json) for row in rows) > REPLY_BYTES:
        problem = f"the reply would be longer than {REPLY_BYTES >> 20} MiB"
        raise FieldError("context", problem, hint="ask for a lower limit or context")
    return sorted(rows, key=_key, reverse=wish.descending)


def _key(row: Row) -> tuple[int, bytes, int]:
    return row.key


def _next(request: Paged, page: Page, scan: Scan, total: int | None) -> str | None:
    plan = scan.plan
    if not page.more or not page.rows:
        return None
    key = page.rows[-1].key
    mark = plan.mark or 0
    cursor = Cursor(digest(request), mark, key, plan.low, plan.high, total)
    return encode_cursor(cursor)


def _window(plan: Plan) -> Window:
    return Window(
        None if plan.low is None else format_timestamp(plan.low),
        None if plan.high is None else format_timestamp(plan.high),
    )


def _buckets(found: Tally) -> list[Bucket]:
    counts, errors = found.counts.tolist(), found.errors.tolist()
    return [
        Bucket(format_timestamp(found.buckets.start(index)), counts[index], bad)
        for index, bad in enumerate(errors)
    ]


def _groups(found: Tally, group_by: str | None) -> list[Group] | None:
    """The largest first; units of time in their order, without the empty ones."""
    if group_by is None:
        return None
    if group_by == "source":
        ranked = found.sources.most_common()
        return [Group(name, count, found.source_errors[name]) for name, count in ranked]
    if group_by == "level":
        severe = {level.name for level in Level if level >= Level.ERROR}
        return [
            Group(name, count, count if name in severe else 0)
            for name, count in found.levels.most_common()
        ]
    buckets = _buckets(found)
    return [Group(b.start, b.count, b.errors) for b in buckets if b.count]
