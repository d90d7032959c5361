"""`pipeline context`: the entries before and after one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any, Final

from pipeline.cli import options, session
from pipeline.cli.session import Session
from pipeline.cli.showing import Entries

AROUND: Final = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("id", metavar="ID", help="as --json or --fields id shows it")
    for name, what in (("-B", "before"), ("-A", "after")):
        parser.add_argument(
            *(name, f"--{what}"),
            type=options.count,
            default=AROUND,
            metavar="N",
            help=f"entries {what} it (default {AROUND})",
        )
    parser.add_argument(
        "--all", action="store_true", help="of all sources, not only of its own"
    )
    options.add_fields(parser)
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show them; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `get_context`."""
    arguments = asking.arguments
    params: dict[str, Any] = {"id": arguments.id}
    params |= {"before": arguments.before, "after": arguments.after}
    params["scope"] = "all" if arguments.all else "source"
    if arguments.fields:
        params["fields"] = arguments.fields
    reply = asking.ask("get_context", params)
    asking.warn_of_damage(reply)
    Entries(asking.out, json=arguments.json, fields=arguments.fields, marked=True).show(
        reply["logs"]
    )
