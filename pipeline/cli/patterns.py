"""`pipeline patterns`: which kinds of messages there are, and how many of each."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any, Final

from pipeline.cli import options, query, session, showing
from pipeline.cli.printable import on_one_line
from pipeline.cli.rendering import short_time
from pipeline.cli.session import Session
from pipeline.cli.tables import Table, aligned

LIMIT: Final = 20


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    parser.add_argument(
        *("-n", "--limit"),
        type=options.positive,
        default=LIMIT,
        metavar="N",
        help=f"the N most frequent (default {LIMIT})",
    )
    parser.add_argument(
        "--compare-to",
        metavar="AGE",
        help="what is new, has vanished or changed since the 1h, 1d before; or FROM/TO",
    )
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show them; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `aggregate` with the pipe `patterns`, or for what has changed."""
    arguments = asking.arguments
    params = options.filter_of(arguments)
    if arguments.compare_to is not None:
        compare(asking, params)
        return
    params["q"] = f"{params.get('q', '')} | patterns {arguments.limit}".lstrip()
    reply = asking.ask("aggregate", params)
    if arguments.json or not asking.out.is_terminal:
        query.show_table(asking, reply)
        return
    asking.warn_of_damage(reply)
    for line in lines(asking.values(reply)["table"]):
        asking.out.line(line)


def compare(asking: Session, params: dict[str, Any]) -> None:
    """Ask for `patterns` beside another window."""
    arguments = asking.arguments
    first, slash, last = arguments.compare_to.partition("/")
    times = {"since": first.strip(), "until": last.strip()}
    window = {name: time for name, time in times.items() if time} if slash else first
    asked = {"limit": arguments.limit, "buckets": 0, "compare_to": window}
    reply = asking.ask("patterns", params | asked)
    asking.warn_of_damage(reply)
    if arguments.json:
        asking.json_map(reply)
        return
    table = changes(asking.values(reply)["comparison"])
    if table.rows:
        showing.show_table(asking.out, table, json=False)
    else:
        asking.out.remark("nothing is new, has vanished or changed much")


def changes(comparison: dict[str, Any]) -> Table:
    """A row for each pattern that differs."""
    rows = [
        [name, one["count"], one["before"], one["change"], one["pattern"]]
        for name in ("new", "vanished", "changed")
        for one in comparison[name]
    ]
    return Table(("what", "entries", "before", "change", "pattern"), rows)


def lines(table: dict[str, Any]) -> Iterator[str]:
    """What a person sees: the patterns last, whole, since they are long."""
    found = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    rows = [
        [each["count"], f"{each['share']:.1%}", short_time(each["last_seen"])]
        for each in found
    ]
    head, *numbers = aligned(Table(("entries", "share", "last seen"), rows))
    columns = max(map(len, [head, *numbers]))
    yield f"{head:{columns}}  pattern"
    for line, each in zip(numbers, found, strict=True):
        yield f"{line:{columns}}  {on_one_line(str(each['pattern']))}"
