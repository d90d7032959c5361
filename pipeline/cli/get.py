"""`pipeline get`: one entry by its id, with everything that it has."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from pipeline.cli import options, session
from pipeline.cli.printable import on_lines, on_one_line, padded, width
from pipeline.cli.rendering import value_text
from pipeline.cli.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("id", metavar="ID", help="as --json or --fields id shows it")
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show it; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `get_entry`."""
    reply = asking.ask("get_entry", {"id": asking.arguments.id})
    if asking.arguments.json:
        asking.json(bytes(reply["log"]))
        return
    log = asking.values(reply)["log"]
    columns = max(map(width, map(on_one_line, log)))
    for name, value in log.items():
        for at, line in enumerate(_text(value).split("\n")):
            label = on_one_line(name) if at == 0 else ""
            asking.out.line(f"{padded(label, columns)}  {line}".rstrip())


def _text(value: Any) -> str:
    """A field; a map has a line for each key."""
    if isinstance(value, str):
        return on_lines(value)
    if isinstance(value, dict):
        pairs = (
            f"{on_one_line(key)}={value_text(each)}" for key, each in value.items()
        )
        return "\n".join(pairs)
    if isinstance(value, list):
        return " ".join(map(value_text, value))
    return "" if value is None else value_text(value)
