"""`pipeline trace`: what all sources did for one trace id, in time order."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.cli import options, session
from pipeline.cli.printable import on_one_line, padded, width
from pipeline.cli.rendering import DIM, EntryLines, Painter
from pipeline.cli.session import Session
from pipeline.cli.tables import Table, aligned

LIMIT: Final = 1_000
BAR_COLUMNS: Final = 40


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("trace_id", metavar="TRACE_ID")
    parser.add_argument(
        *("-n", "--limit"),
        type=options.count,
        default=LIMIT,
        metavar="N",
        help=f"the first N entries (default {LIMIT:,}); the sums are of all",
    )
    parser.add_argument("--since", metavar="TIME", help="look from then on only")
    parser.add_argument("--until", metavar="TIME", help="look before then only")
    options.add_fields(parser)
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show it; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `get_trace`."""
    arguments = asking.arguments
    params: dict[str, Any] = {"trace_id": arguments.trace_id}
    params["limit"] = arguments.limit or options.PAGE_MOST
    for name in ("since", "until", "fields"):
        if value := getattr(arguments, name):
            params[name] = value
    reply = asking.ask("get_trace", params)
    asking.warn_of_damage(reply)
    if arguments.json:
        asking.json_map(reply)
        return
    found = asking.values(reply)
    for line in lines(found, arguments.fields, colour=asking.out.colour):
        asking.out.line(line)


def lines(
    found: Mapping[str, Any], fields: list[str], *, colour: bool
) -> Iterator[str]:
    """The sums, the sources as bars in time, and the entries with what passed before.

    A bar begins where its source's first entry stands within the trace.
    """
    trace_id, count = on_one_line(found["trace_id"]), found["count"]
    if not count:
        yield f"no entry has the trace id {trace_id}"
        return
    span = found["span_ms"]
    errors = f", {found['errors']:,} errors" if found["errors"] else ""
    yield f"{trace_id}: {count:,} entries in {milliseconds(span)}{errors}"
    yield ""
    yield from _sources(found["sources"], span)
    yield ""
    paint = Painter(colour=colour)
    shown = EntryLines(colour=colour, fields=fields)
    shown.see(found["logs"])
    for log in found["logs"]:
        gap = log["gap_ms"]
        offset = f"{milliseconds(log['offset_ms']):>10}"
        after = "" if gap is None else f"+{milliseconds(gap)}"
        yield shown.text(log, before=f"{offset}  {paint(DIM, f'{after:>10}')}  ")
    if found["truncated"]:
        yield f"and {count - found['returned']:,} more entries, which --limit shows"


def _sources(sources: list[dict[str, Any]], span: float) -> Iterator[str]:
    rows = [
        [s["source"], s["count"], s["errors"], milliseconds(s["span_ms"])]
        for s in sources
    ]
    head, *table = aligned(Table(("source", "entries", "errors", "took"), rows))
    widest = max(map(width, table))
    yield head
    for line, source in zip(table, sources, strict=True):
        start, end = (
            round(at / span * BAR_COLUMNS) if span else 0
            for at in (source["offset_ms"], source["offset_ms"] + source["span_ms"])
        )
        bar = " " * min(start, BAR_COLUMNS - 1) + "━" * max(1, end - start)
        yield f"{padded(line, widest)}  {bar}"


def milliseconds(value: float) -> str:
    """A length of time in the unit that suits it."""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"
