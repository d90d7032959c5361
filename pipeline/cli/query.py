"""`pipeline query`: the entries that match, or the table that a query's pipes make."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pipeline.cli import explain, options, session, showing
from pipeline.cli.printable import as_json, on_one_line
from pipeline.cli.session import Session
from pipeline.cli.tables import Table

if TYPE_CHECKING:
    from msgspec import Raw

LIMIT: Final = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    add_page(parser)
    options.add_output(parser)
    options.add_place(parser)


def add_page(parser: ArgumentParser) -> None:
    """How many entries, in which order, with which fields."""
    parser.add_argument(
        *("-n", "--limit"),
        type=options.count,
        default=LIMIT,
        metavar="N",
        help=f"entries at most (default {LIMIT}); 0: all",
    )
    options.add_order(parser)
    options.add_fields(parser)
    parser.add_argument(
        "--count", action="store_true", help="only say how many entries match"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="also say on standard error what answering took, and why nothing matches",
    )


def run(arguments: Namespace) -> int:
    """Show them; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `query`."""
    params = options.without_timerange(options.filter_of(asking.arguments))
    show_pages(asking, "query", params)


def show_pages(
    asking: Session, method: str, params: dict[str, Any], *, marked: bool = False
) -> None:
    """Show what a method of pages answers."""
    import msgspec

    arguments = asking.arguments
    if arguments.explain:
        params = params | {"explain": True}
    if arguments.count:
        show_count(asking, asking.ask(method, params | {"limit": 1, "count": "exact"}))
        return
    params = params | {"order": arguments.order, "count": "none"}
    if arguments.fields:
        params["fields"] = arguments.fields
    shown = showing.Entries(
        asking.out, json=arguments.json, fields=arguments.fields, marked=marked
    )
    reply: dict[str, Raw] = {}
    for reply in session.pages(asking, method, params, arguments.limit):
        if show_table(asking, reply):
            return
        shown.show(reply["logs"])
        show_explained(asking, reply)
    asking.warn_of_damage(reply)
    if msgspec.json.decode(reply["truncated"], type=bool):
        asking.out.remark(f"{arguments.limit:,} are shown; --limit 0 shows all")
    elif not shown.count:
        asking.out.remark("nothing matches; `pipeline explain` says why")


def show_count(asking: Session, reply: dict[str, Raw]) -> None:
    """Show how many entries match."""
    if not show_table(asking, reply):
        asking.warn_of_damage(reply)
        asking.out.raw(bytes(reply["count"]))
        show_explained(asking, reply)


def show_table(asking: Session, reply: dict[str, Raw]) -> bool:
    """Show the table that a reply has; whether it has one."""
    import msgspec

    found = msgspec.json.decode(reply["table"]) if "table" in reply else None
    if found is None:
        return False
    asking.warn_of_damage(reply)
    table = Table(found["columns"], found["rows"])
    showing.show_table(
        asking.out, table, json=asking.arguments.json, bars=_bars_of(table)
    )
    for text in _remarks(found):
        asking.warn(text)
    show_explained(asking, reply)
    return True


def show_explained(asking: Session, reply: dict[str, Raw]) -> None:
    """What became of the question, behind its answer; as it was with --json."""
    if "explain" not in reply:
        return
    import msgspec

    found = bytes(reply["explain"])
    if asking.arguments.json:
        lines = [as_json(found).decode()]
    else:
        lines = ["", *explain.lines(msgspec.json.decode(found))]
    asking.out.flush()
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _remarks(table: dict[str, Any]) -> Iterator[str]:
    """What a table says of itself."""
    if table.get("truncated"):
        yield "the table has more rows than a reply may have"
    for column, count in (table.get("skipped") or {}).items():
        yield f"{on_one_line(column)}: {count:,} values are no numbers, left out"
    for column, error in (table.get("estimated") or {}).items():
        yield f"{on_one_line(column)} is estimated, to {error:.2%}"


def _bars_of(table: Table) -> int | None:
    """The column of counts in a table of two, a value or time and how often."""
    if len(table.columns) != 2 or len(table.rows) < 2:
        return None
    counts = [row[1] for row in table.rows]
    plain = all(isinstance(n, int) and not isinstance(n, bool) for n in counts)
    return 1 if plain else None
