"""`pipeline stats`: how many entries there are, by source, level and time."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.cli import options, session, showing
from pipeline.cli.printable import on_one_line
from pipeline.cli.session import Session
from pipeline.cli.tables import Table, sparkline, with_bars

UNITS: Final = ("source", "level", "minute", "hour", "day")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    parser.add_argument(
        "--group-by", choices=UNITS, help="count by this only, all groups of it"
    )
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show them; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `get_stats`."""
    arguments = asking.arguments
    params = options.filter_of(arguments)
    if arguments.group_by:
        params["group_by"] = arguments.group_by
    reply = asking.ask("get_stats", params)
    asking.warn_of_damage(reply)
    if arguments.json:
        asking.json_map(reply)
        return
    found = asking.values(reply)
    if arguments.group_by:
        rows = [[g["key"], g["count"], g["errors"]] for g in found["groups"]]
        table = Table((arguments.group_by, "entries", "errors"), rows)
        showing.show_table(asking.out, table, json=False, bars=1)
    elif asking.out.is_terminal:
        for line in overview(found, asking.out.columns):
            asking.out.line(line)
    else:
        showing.show_table(asking.out, everything(found), json=False)


def overview(found: Mapping[str, Any], columns: int) -> Iterator[str]:
    """What a person sees: the sum, its course in time, sources and levels."""
    total, rate = found["total_logs"], found["error_rate"]
    yield f"{total:,} entries, {rate:.2%} errors{window_text(found['window'])}"
    if not total:
        return
    counts = [bucket["count"] for bucket in found["buckets"]]
    if len(counts) > 1:
        width = found["bucket_seconds"]
        yield sparkline(counts, columns)
        since, until = found["buckets"][0]["start"], found["buckets"][-1]["start"]
        yield f"{since[:19]}Z to {until[:19]}Z, {width:g} s each, most {max(counts):,}"
    yield ""
    tops = found["top_sources"]
    rows = [[top["source"], top["count"], top["errors"]] for top in tops]
    yield from with_bars(Table(("source", "entries", "errors"), rows), 1, columns)
    more = len(found["by_source"]) - len(tops)
    if more > 0:
        yield f"and {more:,} more sources, which --group-by source shows"
    yield ""
    levels = [[name, n] for name, n in found["by_level"].items() if n]
    yield from with_bars(Table(("level", "entries"), levels), 1, columns)


def everything(found: Mapping[str, Any]) -> Table:
    """What a program gets: every count with what it counts."""
    rows = [["total", "", found["total_logs"]]]
    for kind in ("source", "level"):
        rows += [[kind, name, n] for name, n in found[f"by_{kind}"].items()]
    return Table(("of", "name", "entries"), rows)


def window_text(window: Mapping[str, Any]) -> str:
    """The times that were looked at, behind a comma; nothing if all were."""
    ends = {"from": window["since"], "to": window["until"]}
    text = " ".join(
        f"{name} {on_one_line(at)[:19]}Z" for name, at in ends.items() if at
    )
    return f", {text}" if text else ""
