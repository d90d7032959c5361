"""`pipeline explain`: how a question is understood, what it takes, why it is empty."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.cli import options, session
from pipeline.cli.printable import on_one_line
from pipeline.cli.session import Session
from pipeline.cli.stats import window_text
from pipeline.cli.tables import Table, aligned

Reply = Mapping[str, Any]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    options.add_order(parser)
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show it; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `explain`."""
    params = options.filter_of(asking.arguments) | {"order": asking.arguments.order}
    reply = asking.ask("explain", params)
    asking.warn_of_damage(reply)
    if asking.arguments.json:
        asking.json_map(reply)
        return
    for line in lines(asking.values(reply)):
        asking.out.line(line)


def lines(found: Reply) -> Iterator[str]:
    """The meaning, the blocks and entries that were looked at, the times it took."""
    blocks, rows = found["blocks"], found["rows"]
    yield on_one_line(found["meaning"]) + window_text(found["window"])
    yield ""
    if found["query"] is not None:
        yield f"query    {on_one_line(found['query'])}"
    yield f"blocks   {blocks['total']:,}: {', '.join(_blocks(blocks))}"
    looked = f"{rows['scanned']:,} looked at"
    yield f"entries  {rows['total']:,}: {looked}, {_matched(found)}"
    yield f"read     {found['bytes_read'] / 1e6:,.2f} MB"
    steps = (f"{on_one_line(step['name'])} {step['ms']:g}" for step in found["steps"])
    yield f"ms       {found['took_ms']:g}: {', '.join(steps)}"
    if found["conditions"]:
        yield ""
        yield "each condition alone:"
        yield from aligned(Table(("condition", "entries", ""), [*_alone(found)]))


def _blocks(blocks: Reply) -> Iterator[str]:
    for why, count in blocks["pruned"].items():
        if count:
            yield f"{count:,} ruled out by {on_one_line(why)}"
    yield f"{blocks['counted']:,} counted without a look"
    yield f"{blocks['opened']:,} opened"


def _matched(found: Reply) -> str:
    if found["rows"]["matched"] is None:
        return f"then stopped: {on_one_line(found['stopped'] or 'a limit')}"
    return f"{found['rows']['matched']:,} match"


def _alone(found: Reply) -> Iterator[list[Any]]:
    for each in found["conditions"]:
        near = ", ".join(map(_near, each["nearest"]))
        remarks = [f"near: {near}" if near else "", each["hint"] or ""]
        yield [each["condition"], each["count"], "; ".join(filter(None, remarks))]


def _near(value: Reply) -> str:
    count = "" if value["count"] is None else f" ({value['count']:,})"
    return f"{value['value']}{count}"
