"""`pipeline describe`: what is stored: span, volume, sources, fields."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.cli import options, session, showing
from pipeline.cli.rendering import short_time, value_text
from pipeline.cli.session import Session
from pipeline.cli.tables import Table, aligned

SHOWN: Final = 20
"""Sources that a terminal shows; programs get all of the reply."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show it; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `describe`."""
    reply = asking.ask("describe", {})
    asking.warn_of_damage(reply)
    if asking.arguments.json:
        asking.json_map(reply)
        return
    found = asking.values(reply)
    if not asking.out.is_terminal:
        showing.show_table(asking.out, everything(found), json=False)
        return
    for line in lines(found):
        asking.out.line(line)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What a person sees: volume and span, a table of sources and one of fields."""
    yield f"{found['entries']:,} entries, {found['bytes']:,} bytes{_each(found)}"
    if not found["entries"]:
        return
    yield f"{short_time(found['oldest'])} to {short_time(found['newest'])}"
    states = (f"{of['blocks']:,} {name}" for name, of in found["blocks"].items())
    yield f"blocks: {', '.join(states)}; newest commit {found['newest_commit']:,}"
    yield ""
    rows = [
        [one["source"], one["count"], short_time(one["first"]), short_time(one["last"])]
        for one in found["sources"][:SHOWN]
    ]
    yield from aligned(Table(("source", "entries", "first", "last"), rows))
    more = found["sources_total"] - len(rows)
    if more > 0:
        yield f"and {more:,} more sources, which `pipeline stats` counts"
    yield ""
    fields = [
        [one["field"], one["count"], _kinds(one), _values(one)]
        for one in found["fields"]
    ]
    yield from aligned(Table(("field", "entries", "kinds", "frequent values"), fields))
    if found["sampled"]:
        yield f"values are those of the newest {found['sample_entries']:,} entries"


def everything(found: Mapping[str, Any]) -> Table:
    """What a program gets: every source and field with its entries."""
    rows = [["total", "", found["entries"]]]
    rows += [["source", one["source"], one["count"]] for one in found["sources"]]
    rows += [["field", one["field"], one["count"]] for one in found["fields"]]
    return Table(("of", "name", "entries"), rows)


def _each(found: Mapping[str, Any]) -> str:
    each = found["bytes_per_entry"]
    return "" if each is None else f", {each:.1f} each"


def _kinds(one: Mapping[str, Any]) -> str:
    return ", ".join(one["kinds"])


def _values(one: Mapping[str, Any]) -> str:
    return ", ".join(value_text(each["value"]) for each in one["values"])
