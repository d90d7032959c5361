"""`pipeline patterns`: which kinds of messages there are, and how many of each."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any, Final

from pipeline.cli import options, query, session
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
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show them; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `aggregate` with the pipe `patterns`."""
    arguments = asking.arguments
    params = options.filter_of(arguments)
    params["q"] = f"{params.get('q', '')} | patterns {arguments.limit}".lstrip()
    reply = asking.ask("aggregate", params)
    if arguments.json or not asking.out.is_terminal:
        query.show_table(asking, reply)
        return
    asking.warn_of_damage(reply)
    for line in lines(asking.values(reply)["table"]):
        asking.out.line(line)


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
