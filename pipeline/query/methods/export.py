"""`export`: whole lines of a file, a page at a time; the gateway asks until the end.

Each page is a question of its own, so no worker is held and no transaction kept while
a client reads; the cursor keeps what the first page saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from pipeline.query.budget import Budget
from pipeline.query.csv_rows import CsvRows
from pipeline.query.cursor import Cursor, decode_cursor, encode_cursor
from pipeline.query.exports import (
    CSV_FIELDS,
    PAGE_BYTES,
    PAGE_ROWS,
    ExportPage,
    ExportPart,
)
from pipeline.query.filtered import digest_of, plan_of
from pipeline.query.methods.method import Context, mark_plan, read_params
from pipeline.query.plan import Plan
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page

NAME: Final = "export"

_LINES: Final = 1_000
"""Made between two looks at the clock: 10 ms."""


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> ExportPart:
    """The next lines."""
    request = read_params(params, ExportPage)
    digest = digest_of(request, "order", "format", "fields")
    cursor = request.cursor and decode_cursor(request.cursor, digest)
    plan = plan_of(request, now)
    newest = context.headers.refresh()
    if cursor:
        plan = Plan(plan.filter, cursor.low, cursor.high, cursor.mark)
    else:
        plan = mark_plan(plan, newest)
    renderer = Renderer(request.fields)
    if request.check:
        return ExportPart(text="", rows=0, next_cursor=None)
    scan = Scan(context.headers, plan, budget)
    wish = Wish(
        min(request.limit or PAGE_ROWS, PAGE_ROWS, context.limits.rows),
        descending=request.order == "desc",
        after=cursor.key if cursor else None,
        count=False,
        bytes_max=PAGE_BYTES,
    )
    page = find_page(scan, wish, renderer)
    following = None
    if page.more and page.rows:
        key = page.rows[-1].key
        following = encode_cursor(
            Cursor(digest, plan.mark or 0, key, plan.low, plan.high, None)
        )
    return ExportPart(
        text=_text(request, page.rows, budget, is_first=not cursor),
        rows=len(page.rows),
        next_cursor=following,
        unreadable_blocks=len(scan.damaged) or UNSET,
    )


def _text(
    request: ExportPage, rows: list[Row], budget: Budget, *, is_first: bool
) -> str:
    if request.format == "ndjson":
        return b"".join(b"%b\n" % row.json for row in rows).decode()
    made = CsvRows(request.fields or CSV_FIELDS, spreadsheet=request.spreadsheet)
    parts = [made.header() if is_first else ""]
    for start in range(0, len(rows), _LINES):
        budget.check()
        parts.append(made.lines(row.json for row in rows[start : start + _LINES]))
    return "".join(parts)
